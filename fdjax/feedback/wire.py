"""One request to an OpenAI-compatible service, and all that can go wrong with it."""

import asyncio
import email.utils
import json
import math
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from fdjax.feedback.plain import without_thoughts

OPENAI = "https://api.openai.com/v1"
MOST_BYTES = 1 << 20  # of an answer, with all that the protocol wraps around it
_BUSY = frozenset({408, 409, 425})


class Used(NamedTuple):
    """Tokens that were read and written."""

    read: int = 0
    written: int = 0


class Reply(NamedTuple):
    text: str
    used: Used | None  # None: the service does not say


class Trouble(Exception):
    """A request that came to nothing. Holds no text of the service's: that may hold anything."""

    def __init__(
        self,
        kind: str,
        *,
        retry: bool = True,  # may the same request fare better?
        general: bool = False,  # is it the service, and not this request, that is to blame?
        charged: bool = False,  # has the service written something?
        pause: float = 0.0,  # seconds for which it wants to be left alone
    ):
        super().__init__(kind)
        self.kind, self.retry, self.general = kind, retry, general
        self.charged, self.pause = charged, pause


def make_client(base_url: str, key: str, timeout: float):
    """An openai client that does not retry, and reads no body but that of a success."""
    import openai

    http = openai.DefaultAsyncHttpxClient(event_hooks={"response": [_refuse]})
    return openai.AsyncOpenAI(
        api_key=key,
        base_url=base_url or OPENAI,  # not what the environment may name: the key would go there
        timeout=timeout,
        max_retries=0,
        default_headers={"Accept-Encoding": "identity"},  # MOST_BYTES are not to unfold into more
        http_client=http,
    )


async def request(
    client,
    model: str,
    messages: Sequence[dict[str, str]],
    options: Mapping[str, Any],
    timeout: float,
) -> Reply:
    """`options`: further fields of the request's body. `timeout`: seconds for all of it.

    Raises Trouble.
    """
    begun = False
    try:
        async with asyncio.timeout(timeout):
            async with client.chat.completions.with_streaming_response.create(
                model=model, messages=messages, extra_body=dict(options)
            ) as response:
                begun = True
                body = bytearray()
                async for chunk in response.iter_bytes():
                    body += chunk
                    if len(body) > MOST_BYTES:
                        raise Trouble("too long", retry=False, charged=True)
    except Trouble:
        raise
    except Exception as error:
        raise _trouble(error, begun) from None
    return read_reply(bytes(body))


def read_reply(body: bytes) -> Reply:
    """Raises Trouble for what is no answer."""
    try:
        data = json.loads(body)
        text = data["choices"][0]["message"]["content"]
        used = data.get("usage")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise Trouble("bad answer", general=True, charged=True) from None
    if text is not None and not isinstance(text, str):
        raise Trouble("bad answer", general=True, charged=True)
    text = without_thoughts(text or "")
    if not text:
        raise Trouble("empty answer", general=True, charged=True)
    counts = [
        used.get(n) if isinstance(used, dict) else None
        for n in ("prompt_tokens", "completion_tokens")
    ]
    known = all(type(count) is int and 0 <= count < 1 << 40 for count in counts)
    return Reply(text, Used(*counts) if known else None)


class _Refused(Exception):
    def __init__(self, status: int, pause: float):
        super().__init__(status)
        self.status, self.pause = status, pause


async def _refuse(response) -> None:
    """Before anything of the body is read."""
    if response.status_code != 200:
        raise _Refused(response.status_code, retry_after(response.headers))


def retry_after(headers: Mapping[str, str]) -> float:
    """Seconds, 0 where the service does not say: `Retry-After` holds a number or a date."""
    value = headers.get("retry-after", "")
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
        except (ValueError, TypeError, OverflowError):
            return 0.0
    return 0.0 if math.isnan(seconds) else max(0.0, seconds)


def _trouble(error: Exception, begun: bool) -> Trouble:
    """`begun`: the answer had begun to arrive."""
    import openai

    refused = next((e for e in (error, error.__cause__) if isinstance(e, _Refused)), None)
    if refused is not None:
        status, pause = refused.status, refused.pause
        if status == 429:
            return Trouble("rate limit", general=True, pause=pause)
        if status >= 500 or status in _BUSY:
            return Trouble("server error", general=True, pause=pause)
        # Key, model or address are wrong for all questions, the rest may be this one's fault.
        return Trouble(f"refused {status}", retry=False, general=status in {401, 402, 403, 404})
    if isinstance(error, TimeoutError | openai.APITimeoutError):
        return Trouble("timeout", general=True, charged=True)
    if begun:
        return Trouble("cut off", general=True, charged=True)
    return Trouble("no connection", general=True)
