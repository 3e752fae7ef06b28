"""One request to a service that speaks OpenAI's protocol, and what its reply means.

A service's own words may be anything. They are shown to people, cleaned and without the key, and
decide which field of the config a message names. A run records only our word for the failure.
"""

import asyncio
import contextlib
import dataclasses
import email.utils
import json
import os
import re
import time
import urllib.request
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from fdjax.config import ConfigError, LLMConfig
from fdjax.feedback.questions import plain, without_thoughts

try:
    import httpx
except ImportError:  # reported when a client is constructed
    httpx = None

OPENAI = "https://api.openai.com/v1"
LIMITS = ("max_completion_tokens", "max_tokens")  # options that limit an answer
MAX_BYTES = 1 << 20  # of an answer's body; a longer one is refused
MAX_ERROR_BYTES = 1 << 14  # of an error's body; the rest is not read
MAX_DETAIL = 400  # characters of a service's words
CONNECT_SECONDS = 10.0
# Words that hosted and local services end answers with, beside "stop" and its synonyms.
_AT_LIMIT = re.compile("length|tokens|limit|incomplete")
_FILTERED = re.compile("filter|safety|sensitive|recitation|refusal|blocklist")
_BROKEN = re.compile("error|abort|cancel|insufficient_system_resource")
_THOUGHT = re.compile("think|thought|reason")
_NO_CONTEXT = re.compile(
    r"context[ _]?(?:length|window|size)|maximum context|prompt is too long|max_tokens must be at "
    r"least 1|less than \d+ tokens|max_(?:new_tokens|input_(?:tokens|length))|too many tokens",
    re.IGNORECASE,
)
_NO_MODEL = re.compile(
    r"(?:model|deployment).{0,120}?(?:not.?found|not.?exist|not a valid|unknown|not.?available)"
    r"|(?:invalid|unknown|no such|not a valid) model",
    re.IGNORECASE,
)
_INVALID = re.compile(r"validation error|invalid_request_error", re.IGNORECASE)
_NO_CREDIT = re.compile(r"insufficient_(?:quota|balance)|billing_(?:hard_limit|not_active)")


class Usage(NamedTuple):
    """Tokens."""

    read: int = 0
    written: int = 0


@dataclasses.dataclass(eq=False)
class RequestFailed(Exception):
    problem: str  # in our words
    detail: str = ""  # in those of the service or the system, for people
    retry: bool = True  # the same request may succeed later
    general: bool = True  # the fault is the service's rather than this request's
    charged: bool = False  # an answer may have been written
    usage: Usage | None = None  # of that answer, where the service counts
    pause: float = 0.0  # seconds without requests that the service demands


def request_options(config: LLMConfig) -> dict[str, Any]:
    """The further fields of a request: those of `options` that are not None.

    No service takes both limits of an answer: max_completion_tokens replaces max_tokens.
    """
    options = {name: value for name, value in config.options.items() if value is not None}
    if "max_completion_tokens" in options:
        options.pop("max_tokens", None)
    return options


def open_client(config: LLMConfig, key: str | None) -> "httpx.AsyncClient":
    """A client that sends the key to the address of the config only: it follows no redirect.

    Raises ConfigError for a bad address, or bad proxies or certificates in the environment.
    """
    address = (config.base_url or OPENAI).rstrip("/")
    headers = {"Accept-Encoding": "identity"}  # MAX_BYTES must not unpack to more
    if key:
        headers["Authorization"] = f"Bearer {key}"
    # httpx's other timeouts are for each piece of a reply; that of `send` is for the whole.
    timeout = httpx.Timeout(None, connect=min(CONNECT_SECONDS, config.timeout))
    limits = httpx.Limits(max_connections=None)
    try:
        return httpx.AsyncClient(
            base_url=f"{address}/", headers=headers, timeout=timeout, limits=limits
        )
    except Exception as error:
        raise ConfigError(f"feedback.llm.base_url={address}: {error}") from None


async def send(
    client: "httpx.AsyncClient", request: Mapping[str, Any], timeout: float, secret: str | None
) -> bytes:
    """The answer's body, within `timeout` seconds. Raises RequestFailed without `secret` in it."""
    response, received = None, bytearray()
    try:
        async with (
            asyncio.timeout(timeout),
            client.stream(
                "POST",
                "chat/completions",
                content=json.dumps(request),
                headers={"Content-Type": "application/json"},
            ) as response,
        ):
            most = MAX_BYTES if response.is_success else MAX_ERROR_BYTES
            async for chunk in response.aiter_bytes():
                received += chunk
                if len(received) > most:
                    break
    except Exception as error:
        if response is None or response.is_success:
            raise _interrupted(error, response is not None, timeout, secret) from None
    if not response.is_success:  # what there is of its body is enough
        raise _refusal(response.status_code, response.headers, bytes(received), secret)
    if len(received) > MAX_BYTES:
        detail = f"more than {MAX_BYTES} bytes"
        raise RequestFailed("too long", detail, retry=False, general=False, charged=True)
    return bytes(received)


def read_answer(body: bytes, secret: str | None) -> tuple[str, Usage | None]:
    """(text without thoughts, usage or None where the service does not count). Raises
    RequestFailed.
    """
    try:
        data = json.loads(body)
        choice = (data.get("choices") or [{}])[0]
        error = choice.get("error") or data.get("error")
        usage = _usage(data.get("usage"))
        message = {} if error else choice["message"]
        text = _text(message.get("content"))  # some leave it out where it is empty
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise RequestFailed("bad answer", _words(body, secret), charged=True) from None
    if error:  # some send their errors as successes
        status = error.get("code") if isinstance(error, dict) else None
        if isinstance(status, int) and 400 <= status < 600:
            raise _refusal(status, {}, json.dumps(error).encode(), secret)
        raise RequestFailed("bad answer", _words(body, secret))
    ended = choice.get("finish_reason")
    ended = ended.lower() if isinstance(ended, str) else ""
    why = f"finish_reason {ended or 'null'}, {usage.written if usage else 'no'} tokens counted"
    useless = {"retry": False, "general": False, "charged": True, "usage": usage}
    if _AT_LIMIT.search(ended):
        raise RequestFailed("max_tokens reached", why, **useless)
    if _FILTERED.search(ended) or (not text and message.get("refusal")):
        raise RequestFailed("content filter", why, **useless)
    if _BROKEN.search(ended):
        raise RequestFailed("bad answer", why, charged=True, usage=usage)
    if not (answer := without_thoughts(text)):
        thoughts = text or message.get("reasoning_content") or message.get("reasoning")
        why = f"nothing but thoughts, {why}" if thoughts else why
        raise RequestFailed("empty answer", why, charged=True, usage=usage)
    return answer.replace(secret, "(key)") if secret else answer, usage


def _text(content: Any) -> str:
    """The text of an answer, which may be a list of parts; thoughts are parts without text."""
    if isinstance(content, list):
        parts = [{"text": p} if isinstance(p, str) else p for p in content]
        said = [p for p in parts if not (p.get("thought") or _THOUGHT.search(str(p.get("type"))))]
        content = "".join(p["text"] for p in said if isinstance(p.get("text"), str))
    if not isinstance(content, str | None):
        raise TypeError
    return content or ""


def _usage(counts: Any) -> Usage | None:
    counts = counts if isinstance(counts, dict) else {}
    tokens = [counts.get(name) for name in ("prompt_tokens", "completion_tokens")]
    return Usage(*tokens) if all(type(n) is int and 0 <= n < 1 << 40 for n in tokens) else None


# --- Failures ------------------------------------------------------------------------------------


def _interrupted(
    error: Exception, begun: bool, timeout: float, secret: str | None
) -> RequestFailed:
    """`begun`: a part of the answer had arrived."""
    if isinstance(error, TimeoutError):
        return RequestFailed("timeout", f"no answer within {timeout:g} s", charged=True)
    cause: BaseException = error
    while (inner := cause.__cause__ or cause.__context__) is not None:
        cause = inner.exceptions[0] if isinstance(inner, BaseExceptionGroup) else inner
    if isinstance(cause, ConnectionError) and cause.errno:
        said = os.strerror(cause.errno)
    else:
        said = str(cause) or str(error) or repr(error)
    problem = "cut off" if begun else "no connection"
    return RequestFailed(problem, _clean(said, secret), charged=begun)


def _refusal(
    status: int, headers: Mapping[str, str], body: bytes, secret: str | None
) -> RequestFailed:
    detail, pause = f"{status} {_words(body, secret)}".strip(), _retry_after(headers)
    if 300 <= status < 400:
        detail = f"{status}, a redirect to {_clean(urlsplit(headers.get('location', '')).netloc)}"
    if status != 429 and _NO_CONTEXT.search(detail):
        return RequestFailed("context too small", detail, retry=False, general=False)
    if status == 429 and not _NO_CREDIT.search(detail):
        return RequestFailed("rate limit", detail, pause=pause)
    refused = status in (429, 501) or (status >= 500 and _INVALID.search(detail))
    if status in (408, 409, 425) or (status >= 500 and not refused):
        return RequestFailed("server error", detail, pause=pause)
    # The key, the model or the address is wrong, hence for every request.
    general = bool(refused) or status in (401, 402, 403, 404, 405) or status < 400
    return RequestFailed(f"refused {status}", detail, retry=False, general=general)


def _words(body: bytes, secret: str | None) -> str:
    """An error's body in one line: a reason word, if there is one, and a message."""
    text = body.decode(errors="replace").strip()
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        if text.startswith("<"):
            title = re.search(r"<title[^>]*>([^<]*)", text, re.IGNORECASE)
            text = f"an HTML page: {title[1]}" if title else "an HTML page"
        return _clean(text, secret)
    word = place = extent = ""
    while isinstance(data, dict | list):
        if isinstance(data, list):
            data = data[0] if data else ""
            continue
        named = (data.get(name) for name in ("code", "type", "status", "error_type"))
        word = next((n for n in named if isinstance(n, str) and not n.isdigit()), "") or word
        if isinstance(data.get("loc"), list):  # FastAPI's
            place = ".".join(map(str, data["loc"])) + ": "
        if "n_prompt_tokens" in data and "n_ctx" in data:  # llama.cpp's
            extent = f" ({data['n_prompt_tokens']} tokens in the prompt, n_ctx {data['n_ctx']})"
        inner = ("error", "errors", "message", "detail", "msg", "title")
        data = next((data[name] for name in inner if data.get(name)), "")
    said = f"{place}{data}{extent}" if data else ""
    return _clean(": ".join(filter(None, (word, said))) or text, secret)


def _clean(text: str, secret: str | None = None) -> str:
    text = text.replace(secret, "(key)") if secret else text
    return plain(" ".join(text.split()), MAX_DETAIL)


def _retry_after(headers: Mapping[str, str]) -> float:
    """Seconds, 0 without the header, which holds a number or a date."""
    value, seconds = headers.get("retry-after", ""), 0.0
    try:
        seconds = float(value)
    except ValueError:
        with contextlib.suppress(ValueError, TypeError, OverflowError):
            seconds = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
    return max(0.0, seconds)  # 0 for NaN, too


# --- What to do about them -----------------------------------------------------------------------


def address(config: LLMConfig) -> str:
    """The address of the service, and the proxy of the environment that requests go through."""
    url = (config.base_url or OPENAI).rstrip("/")
    parts = urlsplit(url)
    proxies = urllib.request.getproxies()
    names = [name for name in (parts.scheme, "all") if name in proxies]
    if not names or urllib.request.proxy_bypass(parts.hostname or ""):
        return url
    around = f"no_proxy={parts.hostname} goes around it"
    return f"{url} (through the proxy in {names[0]}_proxy; {around})"


def advice(failure: RequestFailed, config: LLMConfig) -> str:
    """Which field of the config to change; empty where none would help."""
    options, detail = request_options(config), failure.detail
    name = next((name for name in LIMITS if name in options), "max_tokens")
    limit = f"feedback.llm.options.{name}={options.get(name)}"
    place = (
        "does feedback.llm.base_url name the service? It is the part of the address before "
        "/chat/completions and mostly ends in /v1"
    )
    known = {
        "max_tokens reached": f"raise {limit}; a model that thinks needs thousands",
        "context too small": f"start the service with a larger context, or lower {limit}",
        "timeout": "does a language model listen there? A slow one needs a higher "
        f"feedback.llm.timeout={config.timeout:g}, or a lower {limit}",
        "rate limit": "lower feedback.llm.requests_per_minute or concurrency",
        "no connection": place,
        "bad answer": place,
        "too long": place,
        "repeats the question": "a stronger model, or another feedback.llm.prompt, is needed",
    }
    if not failure.problem.startswith("refused"):
        return known.get(failure.problem, "")
    status = int(failure.problem.removeprefix("refused "))
    if _NO_MODEL.search(detail):
        return f"feedback.llm.model={config.model!r} is no model there"
    if status in (401, 403):
        key = config.key_variable
        return (
            f"correct the key in {key} (feedback.llm.key_variable)"
            if key
            else "feedback.llm.key_variable is None: name the environment variable with the key"
        )
    if status in (402, 429):
        return "the account has no credit left"
    if "max_completion_tokens" in detail and name == "max_tokens":
        value = options.get(name, 600)
        return f"set feedback.llm.options.max_completion_tokens={value}, which replaces max_tokens"
    if named := [n for n in options if re.search(rf"(?<!\w){re.escape(n)}(?!\w)", detail)]:
        return f"change feedback.llm.options.{named[0]}; None leaves it out of the request"
    if status < 400 or status in (404, 405, 501):
        return place
    return "see feedback.llm.options and feedback.llm.model"
