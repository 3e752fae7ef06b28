"""Logs that a resumed run can trust, and lines that people can read."""

import io
import json
import threading

import numpy as np
import pytest
import rich.console
from tensorboardX.proto import event_pb2

from fdjax.runtime import metrics
from fdjax.runtime.files import read_lines
from fdjax.runtime.metrics import MetricsLog, Timers, write_summary


def steps(folder):
    return [line["step"] for line in read_lines(folder / "metrics.jsonl")]


def test_a_resumed_run_leaves_the_lines_of_one_that_never_stopped(tmp_path):
    for folder, stops in ((tmp_path / "whole", [0, 6]), (tmp_path / "killed", [0, 4, 2, 6])):
        # The killed run wrote steps 0..3, lost what came after its checkpoint at 2, went on.
        for start, end in zip(stops[::2], stops[1::2]):
            with MetricsLog(folder, total=6, start=start) as log:
                for step in range(start, end):
                    log.write(step, {"loss": step / 3, "name": "∀"})
    whole, killed = ((tmp_path / n / "metrics.jsonl").read_bytes() for n in ("whole", "killed"))
    assert whole == killed
    assert steps(tmp_path / "whole") == list(range(6))


def test_a_torn_line_goes(tmp_path):
    with MetricsLog(tmp_path, total=9) as log:
        log.write(0, {"loss": 1.0})
        log.write(1, {"loss": 1.0})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 2, "lo')
    with MetricsLog(tmp_path, total=9, start=2) as log:
        log.write(2, {"loss": 1.0})
    assert steps(tmp_path) == [0, 1, 2]


def test_any_scalar_becomes_a_plain_number(tmp_path):
    with MetricsLog(tmp_path, total=1) as log:
        log.write(
            0,
            {
                "a": np.float32(0.5),
                "b": np.int64(3),
                "c": np.array([2.0]),
                "d": True,
                "e": float("nan"),
            },
        )
    expected = {"step": 0, "a": 0.5, "b": 3, "c": 2.0, "d": 1, "e": None}
    assert read_lines(tmp_path / "metrics.jsonl") == [expected]


def test_tensorboard_holds_the_scalars(tmp_path):
    with MetricsLog(tmp_path, total=1) as log:
        log.write(0, {"solve_rate": 0.25, "note": "text"})
    data = b"".join(file.read_bytes() for file in (tmp_path / "tensorboard").iterdir())
    found = {}
    while data:  # TFRecord: u64 length, its crc, the event, its crc
        length = int.from_bytes(data[:8], "little")
        event = event_pb2.Event.FromString(data[12 : 12 + length])
        found |= {v.tag: v.simple_value for v in event.summary.value}
        data = data[16 + length :]
    assert found == {"solve_rate": 0.25}


@pytest.fixture
def output(monkeypatch):
    def fake(terminal):
        file = io.StringIO()
        monkeypatch.setattr(
            metrics,
            "console",
            rich.console.Console(file=file, force_terminal=terminal, width=200, highlight=False),
        )
        return file

    return fake


def test_plain_lines_without_a_terminal(tmp_path, output):
    file = output(terminal=False)
    with MetricsLog(tmp_path / "fd", total=12) as log:
        log.write(
            0,
            {"solve_rate": 0.25, "loss": 2.5, "time/step": 1.25, "time/lean": 0.5, "skipped": 0.0},
        )
        log.write(1, {"note [bold]": 1})
    lines = file.getvalue().splitlines()
    assert lines[0].startswith("fd  1/12  loss 2.500  solve_rate 0.250  1.25 s  (lean 0.50)  left ")
    assert len(lines) == 2 and "\x1b" not in file.getvalue()


def test_lines_and_a_bar_on_a_terminal(tmp_path, output):
    file = output(terminal=True)
    with MetricsLog(tmp_path / "fd", total=2) as log:
        for step in range(2):
            log.write(step, {"loss": 2.5})
    assert "fd 1/2  loss 2.500" in file.getvalue() and "2/2" in file.getvalue()


def test_timers_add_up_over_threads(monkeypatch):
    clock = iter(range(1000))
    monkeypatch.setattr(metrics.time, "perf_counter", lambda: float(next(clock)))
    timers = Timers()
    with timers("step"), timers("lean"):  # 0 .. 3 and 1 .. 2
        pass
    with pytest.raises(KeyError), timers("lean"):  # counted all the same
        raise KeyError
    assert timers.flush() == {"time/lean": 2.0, "time/step": 3.0}
    assert timers.flush() == {}
    timers.count("bytes", 2)
    timers.count("bytes", 3)
    assert timers.flush() == {"bytes": 5}

    def work():
        for _ in range(50):
            with timers("part"):
                pass

    monkeypatch.setattr(metrics.time, "perf_counter", lambda: 0.0)
    threads = [threading.Thread(target=work) for _ in range(4)]
    [t.start() for t in threads], [t.join() for t in threads]
    assert timers.flush() == {"time/part": 0.0}


def test_the_summary_is_written_whole(tmp_path):
    write_summary(tmp_path, {"stages": {"fd": 1}})
    with pytest.raises(TypeError):
        write_summary(tmp_path, {"stages": object()})
    assert json.loads((tmp_path / "summary.json").read_text()) == {"stages": {"fd": 1}}
    assert [file.name for file in tmp_path.iterdir()] == ["summary.json"]
