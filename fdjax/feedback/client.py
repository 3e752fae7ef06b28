"""Requests to a language model behind an OpenAI-compatible service, hosted or local.

A run goes on whatever the service does. Answers are written to a file before they are used, so that
none is paid for twice. The key is read from the environment and is sent to the service only.

Requests are sent again here and not by openai's client: its retries keep to neither the pace nor
the budgets, and hide the pause that the service asks for.
"""

import asyncio
import contextlib
import dataclasses
import email.utils
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
from fdjax.feedback.questions import without_thoughts
from fdjax.runtime.files import append_line, writable
from fdjax.runtime.metrics import console

OPENAI = "https://api.openai.com/v1"
CHARS_PER_TOKEN = 3  # a low estimate, for services that do not count
MAX_WRITTEN = 1024  # tokens of an answer, assumed where the options set no limit
MAX_CHARS = 32_768  # of an answer's text; the rest is cut off
MAX_BYTES = 1 << 20  # of an answer's body; a longer one is refused
BACKOFF = 1.0  # seconds before the first retry at most; doubled for each further one


class Question(NamedTuple):
    system: str
    user: str
    draw: int = 0  # questions that differ in it alone get separate answers


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


class Usage(NamedTuple):
    """Tokens."""

    read: int = 0
    written: int = 0


@dataclasses.dataclass(eq=False)
class RequestFailed(Exception):
    problem: str  # in our words: a service's may contain anything
    retry: bool = True  # the same request may succeed later
    general: bool = True  # the fault is the service's rather than this request's
    charged: bool = False  # an answer may have been written
    pause: float = 0.0  # seconds for which the service asks for no requests


class LLMClient:
    """Answers are kept in `folder` unless `config.cache` names a file; the budgets count all that
    the file holds. Not to be used by several threads.

    Raises ConfigError where the file cannot be used, the environment has no key, or the openai
    package is missing.
    """

    def __init__(self, config: LLMConfig, folder: str | os.PathLike):
        try:
            import openai  # noqa: F401
        except ImportError:
            raise ConfigError(
                "feedback by a language model needs the openai package: pip install 'fdjax[llm]'"
            ) from None
        self.config = config
        self._key = _read_key(config.key_variable)
        self._file = Path(config.cache or Path(folder) / "llm_answers.jsonl").expanduser()
        if self._file.is_dir() or not writable(self._file.parent):
            raise ConfigError(f"feedback.llm.cache: {self._file} cannot be written to")
        self._answers: dict[str, str] = {}
        self._tokens, self._money = 0, 0.0  # spent so far
        lines = self._file.read_bytes().split(b"\n")[:-1] if self._file.exists() else []
        for line in lines:
            with contextlib.suppress(ValueError, KeyError, TypeError):  # cut off by a crash
                self._count(json.loads(line))
        self._pace = _Pace(config.requests_per_minute, config.tokens_per_minute)
        self._pending: list[Usage] = []  # the estimates of requests that are not answered yet
        self._down = False  # the service; then one request a time finds out whether it is back
        self._last_success = -math.inf
        self._reported_down = self._reported_budget = False

    async def ask(self, questions: Sequence[Question]) -> list[Answer]:
        """An answer to each, in order. Equal questions are sent, and paid for, once."""
        keys = [self._hash(question) for question in questions]
        new = {k: q for k, q in zip(keys, questions) if k not in self._answers}
        received = await self._ask_new(new) if new else {}
        answers = []
        for key in keys:
            answer = received.get(key) or Answer(self._answers[key])
            received[key] = Answer(answer.text)
            answers.append(answer)
        return answers

    async def _ask_new(self, questions: dict[str, Question]) -> dict[str, Answer]:
        answers: dict[str, Answer] = {}
        slots = asyncio.Semaphore(self.config.concurrency)
        self._ended = asyncio.Event()  # of any pending request
        async with _open_client(self.config.base_url, self._key) as client:
            answer = functools.partial(self._answer, client, slots)
            if self._down:
                key = next(iter(questions))
                self._down = False
                answers[key] = await answer(key, questions[key], retries=0)
            rest = {key: question for key, question in questions.items() if key not in answers}
            retries = self.config.retries
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
                    break
                try:
                    text, usage = await self._request(client, question, estimate)
                except RequestFailed as failure:
                    problems.append(failure.problem)
                    if failure.charged:
                        spent.append(estimate)
                        self._record(key, None, estimate)
                    if not (left and failure.retry and failure.pause <= self.config.timeout):
                        self._give_up(failure, began)
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
        request = {
            "model": self.config.model,
            "messages": [
                {"role": "system", "content": question.system},
                {"role": "user", "content": question.user},
            ],
            "extra_body": dict(self.config.options),
        }
        self._pending.append(estimate)
        try:
            await self._pace.wait(sum(estimate))
            body = await _send(client, request, self.config.timeout)
        finally:
            self._pending.remove(estimate)
            self._ended.set()
            self._ended = asyncio.Event()
        text, usage = read_answer(body)
        if self.config.key_variable:  # the service has the key and could repeat it
            text = text.replace(self._key, "(key)")
        return text[:MAX_CHARS], usage or estimate

    # --- Reasons not to send a request ---

    async def _within_budget(self, estimate: Usage) -> bool:
        """Waits for pending requests where it is their estimates that exceed the budget."""
        while self._exceeded_by(*self._pending, estimate):
            if self._exceeded_by(estimate):
                if not self._reported_budget:
                    self._reported_budget = True
                    spent = f"{self._tokens} tokens, {self._money:.4g}"
                    _print(f"the budget is used up ({spent}); no more requests")
                return False
            await self._ended.wait()
        return True

    def _exceeded_by(self, *usages: Usage) -> bool:
        tokens = self._tokens + sum(map(sum, usages))
        money = self._money + sum(map(self._price, usages))
        limits = self.config.token_budget, self.config.money_budget
        return tokens > (limits[0] or math.inf) or money > (limits[1] or math.inf)

    def _give_up(self, failure: RequestFailed, began: float) -> None:
        """Where no request has succeeded since `began` either, the service is down."""
        self._down = self._down or (failure.general and self._last_success < began)
        if self._down and not self._reported_down:
            self._reported_down = True
            _print(f"no answers ({failure.problem}); the run goes on without them")

    def _succeed(self) -> None:
        self._last_success = time.monotonic()
        if self._reported_down:
            self._reported_down = False
            _print("there are answers again")

    # --- Answers and costs ---

    def _record(self, key: str, text: str | None, usage: Usage) -> None:
        """`text`: None for what was paid for in vain."""
        money = self._price(usage)
        entry = {"key": key, "text": text, "tokens": sum(usage), "money": money}
        self._file.parent.mkdir(parents=True, exist_ok=True)
        append_line(self._file, entry)
        self._count(entry)

    def _count(self, entry: Mapping[str, Any]) -> None:
        """Raises KeyError or TypeError, before it counts, where `entry` is not of `_record`."""
        tokens, money = self._tokens + entry["tokens"], self._money + entry["money"]
        if isinstance(text := entry["text"], str):
            self._answers[entry["key"]] = text
        self._tokens, self._money = tokens, money

    def _price(self, usage: Usage) -> float:
        config = self.config
        return (usage.read * config.price_in + usage.written * config.price_out) / 1e6

    def _estimate(self, question: Question) -> Usage:
        read = math.ceil((len(question.system) + len(question.user)) / CHARS_PER_TOKEN)
        limits = (self.config.options.get(n) for n in ("max_tokens", "max_completion_tokens"))
        return Usage(read, next((limit for limit in limits if limit), MAX_WRITTEN))

    def _hash(self, question: Question) -> str:
        """Of all that the answer depends on."""
        parts = [self.config.model, dict(self.config.options), *question]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def read_answer(body: bytes) -> tuple[str, Usage | None]:
    """(text, usage or None where the service does not count). Raises RequestFailed."""
    try:
        data = json.loads(body)
        text, usage = data["choices"][0]["message"]["content"], data.get("usage")
        text = without_thoughts(text or "")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise RequestFailed("bad answer", charged=True) from None
    if not text:
        raise RequestFailed("empty answer", charged=True)
    usage = usage if isinstance(usage, dict) else {}
    counts = [usage.get(name) for name in ("prompt_tokens", "completion_tokens")]
    counted = all(type(count) is int and 0 <= count < 1 << 40 for count in counts)
    return text, Usage(*counts) if counted else None


# --- HTTP ----------------------------------------------------------------------------------------


def _open_client(base_url: str | None, key: str):
    """An openai client that reads no body but that of a success."""
    import openai

    async def close_error(response) -> None:
        if not response.is_success:
            await response.aclose()

    return openai.AsyncOpenAI(
        api_key=key,
        base_url=base_url or OPENAI,  # not what the environment names: the key would go there
        max_retries=0,  # for the reasons at the top of this file
        timeout=None,  # its timeouts are for each piece of an answer; ours is for the whole
        default_headers={"Accept-Encoding": "identity"},  # MAX_BYTES must not unpack to more
        http_client=openai.DefaultAsyncHttpxClient(
            follow_redirects=False, event_hooks={"response": [close_error]}
        ),
    )


async def _send(client, request: Mapping[str, Any], timeout: float) -> bytes:
    """The answer's body, within `timeout` seconds. Raises RequestFailed."""
    begun = False
    try:
        async with asyncio.timeout(timeout):
            create = client.chat.completions.with_streaming_response.create
            async with create(**request) as response:
                begun = True
                received = bytearray()
                async for chunk in response.iter_bytes():
                    received += chunk
                    if len(received) > MAX_BYTES:
                        raise RequestFailed("too long", retry=False, general=False, charged=True)
                return bytes(received)
    except RequestFailed:
        raise
    except Exception as error:
        raise _failure(error, begun) from None


def _failure(error: Exception, begun: bool) -> RequestFailed:
    """`begun`: a part of the answer had arrived."""
    import openai

    if isinstance(error, openai.APIStatusError):
        status, pause = error.status_code, _retry_after(error.response.headers)
        if status == 429:
            return RequestFailed("rate limit", pause=pause)
        if status in (408, 409, 425) or status >= 500:
            return RequestFailed("server error", pause=pause)
        # 401 to 404: the key, the model or the address is wrong, hence for every request.
        general = status in (401, 402, 403, 404)
        return RequestFailed(f"refused {status}", retry=False, general=general)
    if isinstance(error, TimeoutError):
        return RequestFailed("timeout", charged=True)
    return RequestFailed("cut off", charged=True) if begun else RequestFailed("no connection")


def _retry_after(headers: Mapping[str, str]) -> float:
    """Seconds; 0 where the service asks for no pause. The header holds a number or a date."""
    value, seconds = headers.get("retry-after", ""), 0.0
    try:
        seconds = float(value)
    except ValueError:
        with contextlib.suppress(ValueError, TypeError, OverflowError):
            seconds = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
    return max(0.0, seconds)  # 0 for NaN, too


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


def _read_key(variable: str | None) -> str:
    if not variable:
        return "none"  # the openai package refuses to send no key
    key = os.environ.get(variable, "").strip()
    if not key:
        raise ConfigError(
            f"feedback.llm.key_variable: the environment has no {variable}; set it, or set the "
            "field to None for a service without keys"
        )
    return key
