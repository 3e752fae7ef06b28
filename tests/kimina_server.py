"""A Kimina Lean Server for tests: its route and its answers, over the embedded Lean; and it
misbehaves where a candidate says so (`-- server: slow`).

As the real one it splits the imports off, imports them once, and checks the rest on top of them.
"""

import collections
import contextlib
import json
import re
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import lean_repl


@contextlib.contextmanager
def serving(**state):
    """A server on a free port; `state` are fields of its class."""
    server = Server(("127.0.0.1", 0), Handler)
    vars(server).update(state)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


class Server(ThreadingHTTPServer):
    daemon_threads = True
    key = ""  # that it wants
    shifted = True  # places count from the start of the file, as newer servers have it
    down = False  # drops every connection
    # what its Lean tells of where it runs
    where = ('"4.35.0"', '"9f3ac1"', '{"packages": []}', "Aesop.trace 1\nMathlib.trace 2\n")

    def __init__(self, *args):
        super().__init__(*args)
        self.seen = collections.Counter()  # of what misbehaves only once or twice
        self.headers = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def check(self, code: str, timeout: int) -> dict:
        """What stands in a result beside its id."""
        lines = code.splitlines()
        count = 0
        while count < len(lines) and (
            not lines[count].strip() or lines[count].startswith("import ")
        ):
            count += 1
        _, unknown = lean_repl.header("\n".join(lines[:count]))
        if unknown:  # of the header nothing is told; what follows has no environment to stand on
            broken = lean_repl.message("error", "unknown constant 'True'", count + 1, 0)
            return {"response": {"env": 1, "messages": [broken]}}
        if "Lean.versionString" in code:
            told = [
                lean_repl.message("info" if text else "error", text, line, 0)
                for line, text in enumerate(self.where, 1)
            ]
            return {"response": {"env": 0, "messages": told}}
        try:
            messages = lean_repl.run("", "\n".join(lines[count:]), timeout)
        except subprocess.TimeoutExpired:
            return {"error": f"Lean REPL command timed out in {timeout} seconds"}
        for message in messages if self.shifted else ():
            for end in (message["pos"], message["endPos"]):
                if end:
                    end["line"] += count
        return {"time": 0.1, "response": {"env": 1, "messages": messages}}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.headers.append(dict(self.headers))
        if self.path != "/api/check":
            return self.answer(404, {"detail": "Not Found"})
        if self.server.down:
            return self.drop()
        if self.server.key and self.headers["Authorization"] != f"Bearer {self.server.key}":
            return self.answer(401, {"detail": "Invalid API key"})
        [snippet] = body["snippets"]
        assert isinstance(body["timeout"], int)
        found = re.search(r"-- server: (\w+)", snippet["code"])
        act = found[1] if found else ""
        self.server.seen[act] += 1
        own = {"id": snippet["id"]}
        match act:
            case "busy" | "failing" if self.server.seen[act] <= 2:
                return self.answer(429 if act == "busy" else 500, {"detail": "No available REPLs"})
            case "dropping" if self.server.seen[act] <= 2:
                return self.drop()
            case "broken":
                return self.answer(500, {"detail": "Lean process broken pipe"})
            case "timeout":
                text = f"Lean REPL command timed out in {body['timeout']} seconds"
                return self.answer(200, {"results": [own | {"error": text, "time": 1.0}]})
            case "importing" if body["timeout"] < 100:
                text = f"Lean REPL header command timed out in {body['timeout']} seconds"
                return self.answer(200, {"results": [own | {"error": text, "time": 1.0}]})
            case "memory":
                return self.answer(200, {"results": [own | {"error": "Lean REPL out of memory"}]})
            case "refused":
                unknown = {"message": "Unknown environment."}
                return self.answer(200, {"results": [own | {"response": unknown}]})
            case "lie":
                return self.answer(200, {"results": [own | {"response": {"env": 1}}]})
            case "other":
                result = self.server.check(snippet["code"], 20)
                return self.answer(200, {"results": [{"id": "another"} | result]})
            case "mixed":  # an honest answer, but to another file
                other = snippet["code"].replace("fd_", "fd_0")
                return self.answer(200, {"results": [own | self.server.check(other, 20)]})
            case "garbage":
                return self.answer(200, "{")
            case "empty":
                return self.answer(200, {"results": []})
            case "odd":
                return self.answer(200, {"results": [own | {"response": {"messages": [3]}}]})
            case "flood":
                return self.answer(200, "x" * 40_000_000)
            case "invalid":
                return self.answer(422, {"detail": "no"})
            case "slow":
                time.sleep(1.0)
        result = own | self.server.check(snippet["code"], body["timeout"])
        self.answer(200, {"results": [result]})

    def answer(self, status: int, content) -> None:
        data = (content if isinstance(content, str) else json.dumps(content)).encode()
        with contextlib.suppress(OSError):
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    def drop(self) -> None:
        self.close_connection = True
        self.connection.close()

    def log_message(self, *_) -> None:
        pass
