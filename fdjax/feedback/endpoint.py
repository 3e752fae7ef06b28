"""Questions to a language model behind an OpenAI-compatible service, hosted or one's own.

Whatever the service does, a run goes on. Answers are kept in a file before they are used, so that
nothing is paid for twice. The key comes from the environment and goes nowhere but into requests.
"""

import asyncio
import hashlib
import json
import math
import os
import random
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from fdjax.config import ConfigError
from fdjax.feedback import wire
from fdjax.feedback.wire import Trouble, Used
from fdjax.runtime.files import writable
from fdjax.runtime.metrics import console

CHARS_PER_TOKEN = 3  # an estimate on the safe side, where the service does not count
WRITTEN = 1024  # tokens that an answer may have, where the options set no bound
MOST_CHARS = 32_768  # of an answer that are kept


class Question(NamedTuple):
    """Asked anew for each `draw`."""

    system: str
    user: str
    draw: int = 0


class Answer(NamedTuple):
    text: str | None  # None: there is none
    tokens: int = 0  # read and written; none for what was known already
    money: float = 0.0
    seconds: float = 0.0
    troubles: tuple[str, ...] = ()  # also those that a retry mended


class Endpoint:
    """`settings`: the fields of feedback.llm in fdjax.config. The answers are kept in
    `folder`, unless `settings.cache` names a file; the budget counts all that it holds.

    For one thread at a time. Raises ConfigError for settings that cannot be, a key that is not in
    the environment, and where the openai package is missing.
    """

    def __init__(self, settings, folder: str | os.PathLike):
        check_settings(settings)
        self.settings = settings
        self._options = settings.options.to_dict()
        self._key = read_key(settings.key_variable)
        kept = Path(settings.cache or Path(folder) / "llm_answers.jsonl")
        if kept.is_dir() or not writable(kept.parent):
            raise ConfigError(f"feedback.llm.cache: {kept} cannot be written to")
        self._kept = _Kept(kept)
        self._pace = _Pace(settings.requests_per_minute, settings.tokens_per_minute)
        self._under_way: list[Used] = []  # what requests may cost that are not yet answered
        self._down = False  # nothing is asked but whether it is back
        self._last_success = -math.inf
        self._told_down = self._told_budget = False

    async def ask(self, questions: Sequence[Question]) -> list[Answer]:
        """An answer to each, in order; equal questions are asked, and paid for, once."""
        keys = [self._identity(question) for question in questions]
        unknown = {k: q for k, q in zip(keys, questions) if k not in self._kept.answers}
        found = await self._ask_all(unknown) if unknown else {}
        answers = []
        for key in keys:
            answer = found.get(key) or Answer(self._kept.answers[key])
            found[key] = Answer(answer.text)
            answers.append(answer)
        return answers

    async def _ask_all(self, questions: dict[str, Question]) -> dict[str, Answer]:
        found: dict[str, Answer] = {}
        slots = asyncio.Semaphore(self.settings.concurrency)
        self._ended = asyncio.Event()
        base_url, timeout = self.settings.base_url, self.settings.timeout
        async with wire.make_client(base_url, self._key, timeout) as client:
            if self._down:  # is it back? One question tells.
                key = next(iter(questions))
                self._down = False
                found[key] = await self._answer(client, slots, key, questions[key], retries=0)
            rest = {key: q for key, q in questions.items() if key not in found}
            retries = self.settings.retries
            answers = await asyncio.gather(
                *(self._answer(client, slots, key, q, retries) for key, q in rest.items())
            )
        return found | dict(zip(rest, answers))

    async def _answer(
        self, client, slots: asyncio.Semaphore, key: str, question: Question, retries: int
    ) -> Answer:
        """Tries until there is an answer, or no hope of one."""
        estimate = self._estimate(question)
        text, used, troubles = None, [], []
        async with slots:
            began = time.monotonic()
            for tried in range(retries + 1):
                if not await self._can_pay(estimate) or self._down:
                    troubles.append("down" if self._down else "budget")
                    break
                try:
                    text, spent = await self._try(client, question, estimate)
                except Trouble as trouble:
                    troubles.append(trouble.kind)
                    if trouble.charged:
                        used.append(estimate)
                        self._keep(key, None, estimate)
                    too_patient = trouble.pause > self.settings.timeout
                    if tried == retries or too_patient or not trouble.retry:
                        self._give_up(trouble, began)
                        break
                    self._pace.hold(trouble.pause)
                    backoff = min(self.settings.backoff * 2**tried, self.settings.timeout)
                    await asyncio.sleep(max(backoff * random.uniform(0.5, 1.0), trouble.pause))
                else:
                    used.append(spent)
                    self._keep(key, text, spent)
                    self._succeed()
                    break
        tokens, money = sum(map(sum, used)), sum(map(self._price, used))
        return Answer(text, tokens, money, time.monotonic() - began, tuple(troubles))

    async def _try(self, client, question: Question, estimate: Used) -> tuple[str, Used]:
        s = self.settings
        messages = [
            {"role": "system", "content": question.system},
            {"role": "user", "content": question.user},
        ]
        self._under_way.append(estimate)
        try:
            await self._pace.turn(sum(estimate))
            reply = await wire.request(client, s.model, messages, self._options, s.timeout)
        finally:
            self._under_way.remove(estimate)
            self._ended.set()
            self._ended = asyncio.Event()
        # A service knows the key: not even its answers may carry it further.
        text = reply.text.replace(self._key, "(key)") if s.key_variable else reply.text
        return text[:MOST_CHARS], reply.used or estimate

    # --- What stops the asking ---

    async def _can_pay(self, estimate: Used) -> bool:
        """Waits for requests under way where these may use up what is left of the budget."""
        kept, s = self._kept, self.settings

        def over(tokens: float, money: float) -> bool:
            tokens, money = tokens + sum(estimate), money + self._price(estimate)
            return 0 < s.token_budget < tokens or 0 < s.money_budget < money

        while over(
            kept.tokens + sum(map(sum, self._under_way)),
            kept.money + sum(map(self._price, self._under_way)),
        ):
            if over(kept.tokens, kept.money):
                if not self._told_budget:
                    self._told_budget = True
                    spent = f"{kept.tokens} tokens, {kept.money:.4g}"
                    _tell(f"the budget is used up ({spent}); asking no more")
                return False
            await self._ended.wait()
        return True

    def _give_up(self, trouble: Trouble, began: float) -> None:
        """Where nobody else had an answer meanwhile either, the service is down."""
        self._down = self._down or (trouble.general and self._last_success < began)
        if self._down and not self._told_down:
            self._told_down = True
            _tell(f"no answers ({trouble.kind}); going on without them")

    def _succeed(self) -> None:
        self._last_success = time.monotonic()
        if self._told_down:
            self._told_down = False
            _tell("there are answers again")

    # --- Costs ---

    def _keep(self, key: str, text: str | None, used: Used) -> None:
        self._kept.add(key, text, used, self._price(used))

    def _price(self, used: Used) -> float:
        s = self.settings
        return (used.read * s.price_in + used.written * s.price_out) / 1e6

    def _estimate(self, question: Question) -> Used:
        read = math.ceil((len(question.system) + len(question.user)) / CHARS_PER_TOKEN)
        bounds = (self._options.get(n) for n in ("max_tokens", "max_completion_tokens"))
        return Used(read, next((b for b in bounds if b), WRITTEN))

    def _identity(self, question: Question) -> str:
        """Everything that an answer depends on, hashed; `system` holds the versioned prompt."""
        parts = [self.settings.model, self._options, *question]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _tell(what: str) -> None:
    console.print(f"feedback.llm: {what}", markup=False)


class _Kept:
    """The answers so far and what they cost: a JSON line each, also for what was paid in vain."""

    def __init__(self, path: Path):
        self.answers: dict[str, str] = {}
        self.tokens, self.money = 0, 0.0
        self._path, self._file = path, None
        for line in path.read_bytes().split(b"\n") if path.exists() else ():
            try:
                entry = json.loads(line)
                self._count(entry["key"], entry["text"], entry["tokens"], entry["money"])
            except (ValueError, KeyError, TypeError):
                continue  # torn by a crash: it will be asked again

    def add(self, key: str, text: str | None, used: Used, money: float) -> None:
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("ab", buffering=0)
            if self._path.read_bytes()[-1:] not in (b"", b"\n"):
                self._file.write(b"\n")  # ends a torn line
        entry = {"key": key, "text": text, "tokens": sum(used), "money": money}
        self._file.write(json.dumps(entry).encode() + b"\n")
        self._count(key, text, sum(used), money)

    def _count(self, key: str, text: str | None, tokens: int, money: float) -> None:
        self.tokens += tokens
        self.money += money
        if text is not None:
            self.answers[key] = text


class _Pace:
    """Spreads requests evenly over time; a rate of 0 sets no limit."""

    def __init__(self, requests_per_minute: float, tokens_per_minute: float):
        self._request = 60 / requests_per_minute if requests_per_minute else 0.0
        self._token = 60 / tokens_per_minute if tokens_per_minute else 0.0
        self._free = 0.0

    async def turn(self, tokens: int) -> None:
        now = time.monotonic()
        at = max(now, self._free)
        self._free = at + max(self._request, tokens * self._token)
        await asyncio.sleep(at - now)

    def hold(self, seconds: float) -> None:
        self._free = max(self._free, time.monotonic() + seconds)


# --- Settings ------------------------------------------------------------------------------------


def check_settings(settings) -> None:
    """Raises ConfigError naming the field. No value that may be a secret is shown."""
    if not settings.model:
        raise ConfigError("feedback.llm.model is empty: name the model to ask")
    address = urlsplit(settings.base_url)
    if settings.base_url and address.scheme not in ("http", "https"):
        raise ConfigError("feedback.llm.base_url must be empty or begin with http:// or https://")
    if address.username or address.password or address.query:
        raise ConfigError(
            "feedback.llm.base_url holds a password or a query; a key belongs into the "
            "environment, under the name in feedback.llm.key_variable"
        )
    if not re.fullmatch(r"[A-Z][A-Z0-9_]{0,60}|", settings.key_variable):
        raise ConfigError(
            "feedback.llm.key_variable must be the name of an environment variable, in capitals "
            "(OPENAI_API_KEY), or empty for a service without keys; never the key itself"
        )
    if reserved := sorted({"model", "messages", "stream", "n"} & set(settings.options)):
        raise ConfigError(f"feedback.llm.options cannot set {reserved[0]}")
    for field, least in (("concurrency", 1), ("longest", 1), *((f, 0) for f in _NOT_NEGATIVE)):
        if settings[field] < least:
            raise ConfigError(
                f"feedback.llm.{field} is {settings[field]}, must be at least {least}"
            )
    if not settings.timeout > 0:
        raise ConfigError(f"feedback.llm.timeout is {settings.timeout}, must be positive")
    if settings.money_budget and not (settings.price_in or settings.price_out):
        raise ConfigError("feedback.llm.money_budget needs price_in and price_out")
    try:
        import openai  # noqa: F401
    except ImportError:
        raise ConfigError(
            "feedback by a language model needs the openai package: pip install 'fdjax[llm]'"
        ) from None


_NOT_NEGATIVE = (
    "retries",
    "backoff",
    "requests_per_minute",
    "tokens_per_minute",
    "token_budget",
    "money_budget",
    "price_in",
    "price_out",
    "show_peers",
)


def read_key(variable: str) -> str:
    """The key of that name in the environment; "none" for a service without keys."""
    if not variable:
        return "none"
    key = os.environ.get(variable, "").strip()
    if not key:
        raise ConfigError(
            f"feedback.llm.key_variable: the environment has no {variable}; set it, or let the "
            "field be empty for a service without keys"
        )
    return key
