"""What a crash leaves of a file."""

import subprocess
import sys
from pathlib import Path

import pytest

from fdjax.runtime.files import (
    CorruptFile,
    append_line,
    cut_back,
    read_lines,
    read_object,
    write_atomically,
)


def test_append_after_a_torn_line(tmp_path):
    file = tmp_path / "evals.jsonl"
    assert read_lines(file) == []
    append_line(file, {"a": 1})
    with file.open("a") as stream:
        stream.write('{"a": ')
    assert read_lines(file) == [{"a": 1}]
    append_line(file, {"a": "∀\u2028"})
    assert read_lines(file) == [{"a": 1}, {"a": "∀\u2028"}]
    file.write_text("{}\nnope\n")
    with pytest.raises(
        CorruptFile, match=r"evals\.jsonl:2 is no JSON: .*\. Correct the line, or remove it"
    ):
        read_lines(file)


APPEND = """
import sys
from fdjax.runtime.files import append_line
sys.stdin.readline()
for i in range(200):
    append_line(sys.argv[1], {"who": sys.argv[2], "i": i, "text": "x" * 5000})
"""


def test_two_processes_lose_no_line_of_each_other(tmp_path):
    file = tmp_path / "answers.jsonl"
    file.write_text('{"who": "a killed process')
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", APPEND, file, who],
            cwd=Path(__file__).parent.parent,
            stdin=subprocess.PIPE,
            text=True,
        )
        for who in "ab"
    ]
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.wait(60) for process in processes] == [0, 0]
    lines = read_lines(file)
    for who in "ab":
        assert [line["i"] for line in lines if line["who"] == who] == list(range(200))


@pytest.mark.parametrize("content", ['{"a": ', "", "[1]", b"\xff"])
def test_a_whole_file_that_is_damaged(tmp_path, content):
    file = tmp_path / "config.json"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(CorruptFile, match=rf"^{file} is no JSON.*[^.]\. Do this$"):
        read_object(file, "Do this")
    write_atomically(file, '{"a": "∀"}')
    assert read_object(file) == {"a": "∀"}


def test_cut_back(tmp_path):
    file = tmp_path / "metrics.jsonl"
    cut_back(file, 3)  # nothing there, nothing to do
    for step in (0, 1, 2, 3, 1):
        append_line(file, {"step": step, "x": 0.1})
    cut_back(file, 2)
    assert [line["step"] for line in read_lines(file)] == [0, 1, 1]


def test_a_failed_write_leaves_the_old_file_alone(tmp_path):
    file = tmp_path / "summary.json"
    write_atomically(file, "old")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(file, "new \ud800")
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]
