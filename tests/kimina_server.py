"""A Kimina Lean Server for tests: its route and its answers, over the embedded Lean. It misbehaves
where a candidate holds a comment such as `-- server: slow`.

As the real one, it splits the imports off as a header and keeps one environment for each header:
that after the imports, or, for an empty header, that after the first file without imports.
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
    """A server on a free port; `state` are fields of its class. At the end it must have given each
    candidate (whose text holds a random name) one answer at most."""
    server = Server(("127.0.0.1", 0), Handler)
    vars(server).update(state)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
    assert not server.repeated, "files were sent again after a whole answer"


class Server(ThreadingHTTPServer):
    daemon_threads = True
    key = ""  # that it requires
    shifted = True  # places count from the start of the file, as newer servers have it
    down = False  # drops every connection
    starved = False  # of memory: its REPLs die before they have imported anything
    # what its Lean reports of where it runs
    where = ('"4.35.0"', '"9f3ac1"', '{"packages": []}', "Aesop.trace 1\nMathlib.trace 2\n")

    def __init__(self, *args):
        super().__init__(*args)
        self.seen = collections.Counter()  # requests for each way to misbehave
        self.answered = set()  # candidates' files that got their answer
        self.repeated = []  # of these, those that were sent again
        self.environments = {}  # header -> text of its environment 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def check(self, code: str, timeout: int) -> dict:
        """The fields of a result other than its id."""
        lines = code.splitlines()
        count = 0
        while count < len(lines) and (
            not lines[count].strip() or lines[count].startswith("import ")
        ):
            count += 1
        header, body = "\n".join(lines[:count]).strip(), "\n".join(lines[count:])
        _, unknown = lean_repl.header(header)
        if unknown:  # errors in the header are not reported; the rest has an empty environment
            broken = lean_repl.message("error", "unknown constant 'True'", count + 1, 0)
            return {"response": {"env": 1, "messages": [broken]}}
        if "Lean.versionString" in code:
            messages = [
                lean_repl.message("info" if text else "error", text, line, 0)
                for line, text in enumerate(self.where, 1)
            ]
            return {"response": {"env": 0, "messages": messages}}
        environment = self.environments.get(header, "")
        self.environments.setdefault(header, "" if header else f"{body}\n")
        try:
            messages = lean_repl.run(environment, body, timeout)
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
        if self.path != "/api/check":
            return self.answer(404, {"detail": "Not Found"})
        if self.server.down:
            return self.drop()
        if self.server.key and self.headers["Authorization"] != f"Bearer {self.server.key}":
            return self.answer(401, {"detail": "Invalid API key"})
        if self.server.starved:
            text = f"Lean REPL header command timed out in {body['timeout']} seconds"
            result = {"id": body["snippets"][0]["id"], "error": text}
            self.code = ""
            return self.answer(200, {"results": [result]})
        [snippet] = body["snippets"]
        self.code = snippet["code"]
        assert self.code.startswith("import ")
        if self.code in self.server.answered:
            self.server.repeated.append(self.code)
        assert isinstance(body["timeout"], int)
        found = re.search(r"-- server: (\w+)", self.code)
        act = found[1] if found else ""
        self.server.seen[act] += 1
        own = {"id": snippet["id"]}
        match act:
            case "busy" | "failing" if self.server.seen[act] <= 2:
                return self.answer(429 if act == "busy" else 500, {"detail": "No available REPLs"})
            case "queue" if self.server.seen[act] <= 5:
                return self.answer(504, {"detail": "Request timed out after 30.0s safety timeout"})
            case "overdue" if self.server.seen[act] <= 1:
                time.sleep(body["timeout"])
                return self.answer(504, {"detail": "Request timed out after 11.0s safety timeout"})
            case "full" if self.server.seen[act] <= 2:
                return self.answer(200, {"results": [own | {"error": "No available REPLs"}]})
            case "page" if self.server.seen[act] <= 2:
                return self.answer(200, "<html>Back soon</html>")
            case "gone" if self.server.seen[act] <= 2:
                return self.answer(503, "<html>Service Unavailable</html>")
            case "starved" if self.server.seen[act] <= 2:  # its REPL dies at the imports
                text = f"Lean REPL header command timed out in {body['timeout']} seconds"
                return self.answer(200, {"results": [own | {"error": text, "time": 1.0}]})
            case "behind" if body["reuse"]:  # the answer to another command
                result = self.server.check("import Init\n#print axioms True", 20)
                return self.answer(200, {"results": [own | result]})
            case "long":
                result = self.server.check(self.code, 20) | {"time": body["timeout"] + 5.0}
                return self.answer(200, {"results": [own | result]})
            case "dropping" if self.server.seen[act] <= 2:
                return self.drop()
            case "broken":
                return self.answer(500, {"detail": "Lean process broken pipe"})
            case "timeout":
                text = f"Lean REPL command timed out in {body['timeout']} seconds"
                return self.answer(200, {"results": [own | {"error": text, "time": 1.0}]})
            case "importing" if self.server.seen[act] <= 1:
                time.sleep(body["timeout"])
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
                result = self.server.check(self.code, 20)
                return self.answer(200, {"results": [{"id": "another"} | result]})
            case "mixed":  # an honest answer, but to another file
                other = self.code.replace("fd_", "fd_0")
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
            case "slow" | "hang":
                time.sleep(1.0 if act == "slow" else 30.0)
        result = own | self.server.check(self.code, body["timeout"])
        self.answer(200, {"results": [result]})

    def answer(self, status: int, content) -> None:
        data = (content if isinstance(content, str) else json.dumps(content)).encode()
        whole = isinstance(content, dict) and "results" in content
        not_run = b"header command timed out" in data or b"No available REPLs" in data
        if status == 200 and whole and not not_run and "theorem" in self.code:
            self.server.answered.add(self.code)
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
