"""The journal gives back exactly what went in, whatever a crash did to its last line."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fdjax.rollout import journal as journal_module
from fdjax.rollout.journal import Journal
from fdjax.runtime.files import read_lines
from fdjax.types import Attempt, Candidate, Feedback, Message, Segment, Theorem, Verdict

TEXT = st.text(st.one_of(st.characters(), st.sampled_from("\n\r\u2028\x0b\x1e\ud800")), max_size=8)
FLOATS = st.floats(allow_nan=False)
INTS = st.integers(0, 1 << 40)
CANDIDATES = st.builds(Candidate, TEXT, INTS, TEXT)


@st.composite
def attempts(draw):
    segments = draw(
        st.lists(
            st.builds(
                Segment, st.lists(INTS, max_size=4).map(tuple), st.sampled_from(["model", "tool"])
            ),
            max_size=3,
        )
    )
    numbers = st.lists(FLOATS, max_size=4).map(tuple)
    offsets = st.lists(INTS, max_size=4).map(tuple)
    return Attempt(
        draw(TEXT),
        draw(INTS),
        tuple(segments),
        draw(numbers),
        draw(st.booleans()),
        draw(CANDIDATES),
        draw(offsets),
        draw(FLOATS),
        draw(st.none() | TEXT),
    )


MESSAGES = st.builds(
    Message, st.sampled_from(["error", "warning"]), TEXT, TEXT, st.none() | INTS, st.none() | INTS
)
VERDICTS = st.builds(
    Verdict,
    st.sampled_from(["proved", "failed", "crashed"]),
    st.lists(MESSAGES, max_size=3).map(tuple),
    st.lists(TEXT, max_size=2).map(tuple),
    FLOATS,
    TEXT,
    st.booleans(),
)
FEEDBACK = st.builds(
    Feedback,
    st.lists(TEXT, max_size=2).map(tuple),
    TEXT,
    INTS,
    FLOATS,
    FLOATS,
    st.none() | INTS,
    st.none() | CANDIDATES,
    FLOATS,
    INTS,
    INTS,
    st.lists(TEXT, max_size=2).map(tuple),
    INTS,
)


@given(
    st.lists(st.lists(attempts(), max_size=2), max_size=2),
    st.lists(st.lists(VERDICTS, max_size=2), max_size=2),
    st.lists(st.lists(st.none() | FEEDBACK, max_size=2), max_size=2),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_exact_round_trip(tmp_path_factory, some_attempts, verdicts, feedback):
    folder = tmp_path_factory.mktemp("rollouts")
    record = {"attempts": some_attempts, "verdicts": verdicts, "feedback": feedback}
    for kind, payload in record.items():
        Journal(folder).append(3, kind, payload)
    assert Journal(folder).read(3) == record


def test_theorems_and_plain_data(tmp_path):
    journal = Journal(tmp_path)
    theorem = Theorem("t", "t", "(p : Prop) : p → p", imports=("A.B",))
    journal.append(0, "theorems", [theorem])
    journal.append(0, "dropped", {"too long": 2})
    assert journal.read(0) == {"theorems": [theorem], "dropped": {"too long": 2}}


def test_what_comes_bit_by_bit_is_one_list(tmp_path):
    journal = Journal(tmp_path)
    journal.extend(0, "steps", [{"a": 1}, {"b": "∀"}])
    journal.append(0, "theorems", [])
    journal.extend(0, "steps", [[2]])
    assert journal.read(0) == {"steps": [{"a": 1}, {"b": "∀"}, [2]], "theorems": []}
    file = tmp_path / "000000.jsonl"
    file.write_bytes(file.read_bytes()[:-3])  # a crash
    journal.extend(0, "steps", [3])
    assert journal.read(0)["steps"] == [{"a": 1}, {"b": "∀"}, 3]


def test_the_cost_of_adding_does_not_grow(tmp_path, monkeypatch):
    """Only the end of the file is read, in blocks where its last line was torn."""
    journal, read = Journal(tmp_path), []
    journal.extend(0, "steps", ["x" * 500_000])
    open_file = Path.open

    def noting(path, mode="r"):
        file = open_file(path, mode)
        if mode != "rb":
            return file
        whole = file.read

        class Noted:
            def __enter__(self):
                return self

            def __exit__(self, *_):
                file.close()

            def seek(self, *where):
                return file.seek(*where)

            def read(self, count=-1):
                read.append(count)
                return whole(count)

        return Noted()

    monkeypatch.setattr(Path, "open", noting)
    journal.extend(0, "steps", ["y"])
    assert sum(read) <= 1 << 16 and len(read) == 1
    torn = tmp_path / "000000.jsonl"
    torn.write_bytes(torn.read_bytes() + b"z" * 200_000)
    journal.extend(0, "steps", ["w"])
    monkeypatch.undo()
    assert journal.read(0)["steps"] == ["x" * 500_000, "y", "w"]


def test_appending_reads_a_step_once(tmp_path, monkeypatch):
    """Attempts may be many megabytes."""
    first, read = Journal(tmp_path), []
    monkeypatch.setattr(journal_module, "read_lines", lambda f: read.append(f) or read_lines(f))
    for kind in ("theorems", "a", "b"):
        first.append(0, kind, [])
    first.extend(0, "c", [1])
    assert len(read) == 1
    for journal in (first, Journal(tmp_path)):
        for kind in ("theorems", "a", "b", "c"):
            with pytest.raises(ValueError, match=f"already holds the {kind} of step 0"):
                journal.append(0, kind, [])
    assert len(read) == 2


def test_an_unknown_step_is_empty(tmp_path):
    assert Journal(tmp_path / "new").read(7) == {}


def test_a_torn_last_line_is_dropped_at_every_byte(tmp_path):
    journal = Journal(tmp_path)
    journal.append(0, "verdicts", [Verdict("failed", (Message("error", "∀ torn"),))])
    whole = (tmp_path / "000000.jsonl").read_bytes()
    journal.append(0, "feedback", [None])
    full = (tmp_path / "000000.jsonl").read_bytes()
    expected = journal.read(0)
    for length in range(len(full)):
        (tmp_path / "000000.jsonl").write_bytes(full[:length])
        record = Journal(tmp_path).read(0)
        assert list(record) == (["verdicts"] if length >= len(whole) else [])
        for kind in expected:  # what is missing is asked for anew; nothing else is lost
            if kind not in record:
                Journal(tmp_path).append(0, kind, expected[kind])
        assert Journal(tmp_path).read(0) == expected


def test_bad_entries_are_named(tmp_path):
    journal = Journal(tmp_path)
    journal.append(1, "note", 1)
    with pytest.raises(ValueError, match=r"000001\.jsonl already holds the note"):
        journal.append(1, "note", 2)
    (tmp_path / "000002.jsonl").write_text('{"kind": "note", "payload": 1}\nnot json\n')
    with pytest.raises(ValueError, match=r"000002\.jsonl:2"):
        journal.read(2)
    (tmp_path / "000003.jsonl").write_text('{"kind": "attempts", "payload": [{"proof": ""}]}\n')
    with pytest.raises(ValueError, match=r"000003\.jsonl:1"):
        journal.read(3)


def test_threads_do_not_mix_lines(tmp_path):
    journal = Journal(tmp_path)
    threads = [
        threading.Thread(target=journal.append, args=(0, f"kind {i}", "x" * 10_000))
        for i in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(journal.read(0)) == [f"kind {i}" for i in range(8)]


def test_what_append_returned_from_outlives_a_kill(tmp_path):
    """A process that dies right after `append` has left the whole entry."""
    code = (
        "import os, signal, sys; from fdjax.rollout.journal import Journal\n"
        "Journal(sys.argv[1]).append(4, 'note', 'x' * 100_000)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], env=dict(os.environ))
    assert done.returncode == -signal.SIGKILL
    assert Journal(tmp_path).read(4) == {"note": "x" * 100_000}
