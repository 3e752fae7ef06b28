"""A service that speaks OpenAI's protocol on this machine, as well or as badly as a test wants."""

import contextlib
import http.client
import http.server
import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

KEY = "sk-this-is-the-secret-key-0123456789"


class Reply(NamedTuple):
    body: bytes
    status: int = 200
    headers: dict[str, str] = {}  # noqa: RUF012
    sent: int | None = None  # bytes after which the line is cut; None: all of them
    after: float = 0.0  # seconds


def says(
    text: Any, read: int = 100, written: int = 10, ended: str | None = "stop", **kwargs
) -> Reply:
    """A well-formed answer; `ended`: its finish_reason."""
    message = {"role": "assistant", "content": text}
    body = {
        "choices": [{"message": message, "finish_reason": ended}],
        "usage": {"prompt_tokens": read, "completion_tokens": written},
    }
    return Reply(json.dumps(body).encode(), **kwargs)


def refuses(status: int, body: Any) -> Reply:
    """An error with that body, as JSON unless it is text."""
    return Reply((body if isinstance(body, str) else json.dumps(body)).encode(), status)


class Served(NamedTuple):
    answer: Callable[[int, dict], Reply]
    url: str
    requests: list[dict]  # the bodies of the requests
    headers: list[http.client.HTTPMessage]
    times: list[float]


def use(monkeypatch) -> None:
    """Gives this process the key, and no proxy on the way to the service."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@contextlib.contextmanager
def serving(answer: Callable[[int, dict], Reply]) -> Iterator[Served]:
    """`answer(number, body)`: the reply to the request of that number, from 0."""
    lock = threading.Lock()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                number = len(served.requests)
                served.requests.append(body)
                served.headers.append(self.headers)
                served.times.append(time.monotonic())
            reply = answer(number, body)
            time.sleep(reply.after)
            with contextlib.suppress(OSError):  # whoever asked may have hung up
                self.send_response(reply.status)
                headers = {"Content-Type": "application/json", **reply.headers}
                for name, value in (headers | {"Content-Length": str(len(reply.body))}).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(reply.body[: reply.sent])
            if reply.sent is not None:
                self.close_connection = True

        def log_message(self, *_):
            pass

    class Server(http.server.ThreadingHTTPServer):
        def handle_error(self, *_):  # whoever asked has hung up
            pass

    server = Server(("127.0.0.1", 0), Handler)
    served = Served(answer, f"http://127.0.0.1:{server.server_port}/v1", [], [], [])
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
