"""Requests to a language model behind an OpenAI-compatible service, hosted or local.

A run begins only if the service answers, and then goes on whatever the service does. Answers are
written to a file before they are used, so that none is paid for twice. The key is read from the
environment and is sent to the service only.
"""

import asyncio
import contextlib
import functools
import hashlib
import json
import math
import os
import random
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from fdjax.config import ConfigError, LLMConfig
from fdjax.feedback import service
from fdjax.feedback.questions import repeats_question
from fdjax.feedback.service import RequestFailed, Usage
from fdjax.runtime.files import append_line, writable
from fdjax.runtime.metrics import console, status

CHARS_PER_TOKEN = 3  # a low estimate, for services that do not count
MAX_WRITTEN = 1024  # tokens of an answer, assumed where the options set no limit
MAX_CHARS = 32_768  # of an answer's text; the rest is cut off
BACKOFF = 1.0  # seconds before the first retry at most; doubled for each further one
FIRST_RETRIES = 2  # at most, of the question at the start: a person waits for it
IN_A_ROW = 8  # questions without an answer that count as an outage
PROBE = ""  # the key of the question at the start, whose answer is not kept
# Problems that may pass, or concern one answer: a run begins in spite of them.
PASSING = {
    "rate limit",
    "server error",
    "max_tokens reached",
    "content filter",
    "empty answer",
    "repeats the question",
}


class Question(NamedTuple):
    system: str
    user: str
    draw: int = 0  # questions that differ in it alone get separate answers
    may_repeat: bool = False  # may the answer repeat the question (around a proof, say)?


class Answer(NamedTuple):
    text: str | None  # None: there is none
    tokens: int = 0  # read and written; 0 where the file had the answer
    money: float = 0.0
    seconds: float = 0.0
    problems: tuple[str, ...] = ()  # also those that a retry solved

    def costs(self, useful: bool) -> dict[str, Any]:
        """Fields of Feedback. `useful`: was it feedback, or a proof that Lean accepts?"""
        return {
            "tokens": self.tokens,
            "seconds": self.seconds,
            "money": self.money,
            "requests": 1,
            "failed_requests": int(not useful),
            "problems": tuple(f"llm: {problem}" for problem in self.problems),
        }


class LLMClient:
    """Answers are kept in `folder` unless `config.cache` names a file, which several runs may
    share; the budgets count all that the file holds. Not to be used by several threads.

    Raises ConfigError where the file cannot be used, the environment has no key, or the httpx
    package is missing.
    """

    def __init__(self, config: LLMConfig, folder: str | os.PathLike):
        if service.httpx is None:
            raise ConfigError(
                "feedback by a language model needs the httpx package: pip install -e '.[llm]'"
            )
        self.config = config
        self._options = service.request_options(config)
        self._key = _read_key(config.key_variable)
        self._file = Path(config.cache or Path(folder) / "llm_answers.jsonl").expanduser()
        if self._file.is_dir() or not writable(self._file.parent):
            raise ConfigError(f"feedback.llm.cache: {self._file} cannot be written to")
        self._answers: dict[str, Answer] = {}
        self._tokens, self._money = 0, 0.0  # spent so far
        self._bytes_read = 0  # of the file
        self._read_file()
        self._pace = _Pace(config.requests_per_minute, config.tokens_per_minute)
        self._pending: list[Usage] = []  # the estimates of requests that are not answered yet
        self._down = False  # the service; then one request a time finds out whether it is back
        self._last_success = -math.inf
        self._unanswered = 0  # questions in a row
        self._reported: set[str] = set()  # of the problems; "in a row", "budget"

    async def ask(self, questions: Sequence[Question]) -> list[Answer]:
        """An answer to each, in order. Equal questions are sent, and paid for, once."""
        self._read_file()  # another run may have added answers
        keys = [self._hash(question) for question in questions]
        new = {k: q for k, q in zip(keys, questions) if k not in self._answers}
        received = await self._ask_new(new, self.config.retries) if new else {}
        answers = []
        for key in keys:
            answer = received.get(key) or self._answers[key]
            received[key] = Answer(answer.text)
            answers.append(answer)
        return answers

    def check(self, question: Question) -> None:
        """Sends a question whose answer is neither kept nor counted. Raises ConfigError with
        address, reason and the field to change, unless other questions may be answered.
        """
        where = service.address(self.config)
        with status(f"feedback.llm: a first question to {self.config.model} at {where}"):
            retries = min(self.config.retries, FIRST_RETRIES)
            asyncio.run(self._ask_new({PROBE: question}, retries))

    async def _ask_new(self, questions: dict[str, Question], retries: int) -> dict[str, Answer]:
        answers: dict[str, Answer] = {}
        slots = asyncio.Semaphore(self.config.concurrency)
        self._ended = asyncio.Event()  # of any pending request
        async with service.open_client(self.config, self._key) as client:
            answer = functools.partial(self._answer, client, slots)
            if self._down:
                key = next(iter(questions))
                self._down = False
                answers[key] = await answer(key, questions[key], retries=0)
            rest = {key: question for key, question in questions.items() if key not in answers}
            received = await asyncio.gather(*(answer(k, q, retries) for k, q in rest.items()))
        return answers | dict(zip(rest, received))

    async def _answer(
        self, client, slots: asyncio.Semaphore, key: str, question: Question, retries: int
    ) -> Answer:
        """Sends the request again until it succeeds or there is a reason to stop."""
        estimate = self._estimate(question)
        text, spent, problems, delay = None, [], [], BACKOFF
        async with slots:
            began = time.monotonic()
            for left in range(retries, -1, -1):
                if not await self._within_budget(estimate) or self._down:
                    problems.append("down" if self._down else "budget")
                    self._unanswered += self._down
                    break
                try:
                    text, usage = await self._request(client, question, estimate)
                except RequestFailed as failure:
                    problems.append(failure.problem)
                    if failure.charged:
                        spent.append(failure.usage or estimate)
                        final = "" if failure.retry else failure.problem
                        self._record(key, None, spent[-1], final)
                    if not (left and failure.retry and failure.pause <= self.config.timeout):
                        self._give_up(key, failure, began)
                        break
                    self._pace.hold(failure.pause)
                    backoff = min(delay, self.config.timeout) * random.uniform(0.5, 1.0)
                    delay *= 2
                    await asyncio.sleep(max(backoff, failure.pause))
                else:
                    spent.append(usage)
                    self._record(key, text, usage)
                    self._succeed()
                    break
        tokens, money = sum(map(sum, spent)), sum(map(self._price, spent))
        return Answer(text, tokens, money, time.monotonic() - began, tuple(problems))

    async def _request(self, client, question: Question, estimate: Usage) -> tuple[str, Usage]:
        """The answer's text and its usage. Raises RequestFailed."""
        messages = [
            {"role": "system", "content": question.system},
            {"role": "user", "content": question.user},
        ]
        request = {"model": self.config.model, "messages": messages, **self._options}
        self._pending.append(estimate)
        try:
            await self._pace.wait(sum(estimate))
            body = await service.send(client, request, self.config.timeout, self._key)
        finally:
            self._pending.remove(estimate)
            self._ended.set()
            self._ended = asyncio.Event()
        text, usage = service.read_answer(body, self._key)
        if not question.may_repeat and repeats_question(text):
            raise RequestFailed(
                "repeats the question", retry=False, general=False, charged=True, usage=usage
            )
        return text[:MAX_CHARS], usage or estimate

    # --- Reasons not to send a request ---

    async def _within_budget(self, estimate: Usage) -> bool:
        """Waits for pending requests where it is their estimates that exceed the budget."""
        while self._exceeded_by(*self._pending, estimate):
            if self._exceeded_by(estimate):
                spent = f"{self._tokens} tokens, {self._money:.4g}"
                self._report("budget", f"the budget is used up ({spent}); no more requests")
                return False
            await self._ended.wait()
        return True

    def _exceeded_by(self, *usages: Usage) -> bool:
        tokens = self._tokens + sum(map(sum, usages))
        money = self._money + sum(map(self._price, usages))
        limits = self.config.token_budget, self.config.money_budget
        return tokens > (limits[0] or math.inf) or money > (limits[1] or math.inf)

    def _give_up(self, key: str, failure: RequestFailed, began: float) -> None:
        """After a general failure the service is down, if no request has succeeded since `began`.

        Prints the first failure of each kind, and each outage once. Raises ConfigError for the
        question at the start, unless the problem is one of PASSING.
        """
        where, advice = service.address(self.config), service.advice(failure, self.config)
        said = "; ".join(filter(None, (failure.detail.rstrip("."), advice)))
        reason = f"({failure.problem}) from {where}{': ' if said else ''}{said}"
        if key == PROBE and failure.problem not in PASSING:
            raise ConfigError(f"feedback.llm: no answer {reason}")
        self._unanswered += 1
        self._down = self._down or (failure.general and self._last_success < began)
        if self._down or self._unanswered >= IN_A_ROW:
            count = f"{self._unanswered} questions in a row have no answer"
            self._report("outage", f"no answers {reason}. {count}; the run goes on")
        elif "outage" not in self._reported:
            self._report(failure.problem, f"no answer to a question {reason}")

    def _succeed(self) -> None:
        self._last_success = time.monotonic()
        if "outage" in self._reported:
            self._reported.remove("outage")
            _print(f"there are answers again, after {self._unanswered} questions without one")
        self._unanswered = 0

    def _report(self, kind: str, message: str) -> None:
        """Prints the message, once for each kind."""
        if kind not in self._reported:
            self._reported.add(kind)
            _print(message)

    # --- Answers and costs ---

    def _record(self, key: str, text: str | None, usage: Usage, problem: str = "") -> None:
        """`text`: None for an answer that was paid for and is of no use; with a `problem` the
        question is not sent again.
        """
        if key == PROBE:
            return
        entry = {"key": key, "text": text, "tokens": sum(usage), "money": self._price(usage)}
        if problem:
            entry["problem"] = problem
        self._file.parent.mkdir(parents=True, exist_ok=True)
        append_line(self._file, entry)
        self._read_file()

    def _read_file(self) -> None:
        """Counts what any run has added to the file since the last call."""
        if not self._file.exists():
            return
        with self._file.open("rb") as file:
            if os.fstat(file.fileno()).st_size < self._bytes_read:  # a new one
                self._bytes_read = 0
            file.seek(self._bytes_read)
            lines, newline, _ = file.read().rpartition(b"\n")
        self._bytes_read += len(lines) + len(newline)
        for line in lines.split(b"\n"):
            with contextlib.suppress(ValueError, KeyError, TypeError):  # cut off by a crash
                self._count(json.loads(line))

    def _count(self, entry: Mapping[str, Any]) -> None:
        """Raises KeyError or TypeError, before it counts, where `entry` is not of `_record`."""
        tokens, money = self._tokens + entry["tokens"], self._money + entry["money"]
        if isinstance(text := entry["text"], str):
            self._answers[entry["key"]] = Answer(text)
        elif problem := entry.get("problem"):
            self._answers.setdefault(entry["key"], Answer(None, problems=(problem,)))
        self._tokens, self._money = tokens, money

    def _price(self, usage: Usage) -> float:
        config = self.config
        return (usage.read * config.price_in + usage.written * config.price_out) / 1e6

    def _estimate(self, question: Question) -> Usage:
        read = math.ceil((len(question.system) + len(question.user)) / CHARS_PER_TOKEN)
        limits = (self._options.get(name) for name in service.LIMITS)
        return Usage(read, next(filter(None, limits), MAX_WRITTEN))

    def _hash(self, question: Question) -> str:
        """Of all that the answer depends on."""
        parts = [self.config.model, self._options, question.system, question.user, question.draw]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


class _Pace:
    """Spreads requests evenly over time. None: no limit."""

    def __init__(self, requests_per_minute: float | None, tokens_per_minute: float | None):
        self._seconds_per_request = 60 / (requests_per_minute or math.inf)
        self._seconds_per_token = 60 / (tokens_per_minute or math.inf)
        self._next = 0.0

    async def wait(self, tokens: int) -> None:
        now = time.monotonic()
        turn = max(now, self._next)
        self._next = turn + max(self._seconds_per_request, tokens * self._seconds_per_token)
        await asyncio.sleep(turn - now)

    def hold(self, seconds: float) -> None:
        """Requests that call `wait` from now on are sent in `seconds` at the earliest."""
        self._next = max(self._next, time.monotonic() + seconds)


def _print(message: str) -> None:
    console.print(f"feedback.llm: {message}", markup=False)


def _read_key(variable: str | None) -> str | None:
    if not variable:
        return None
    key = os.environ.get(variable, "").strip()
    if not key:
        raise ConfigError(
            f"feedback.llm.key_variable: the environment has no {variable}; set it, or set the "
            "field to None for a service without keys"
        )
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise ConfigError(
            f"feedback.llm.key_variable: {variable} holds characters that no key has, such as a "
            "line break, a space or a typographic quote"
        )
    return key
