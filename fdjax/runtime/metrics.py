"""The figures of a run: JSON-lines files, TensorBoard, the console, and timers."""

import contextlib
import json
import math
import numbers
import os
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import rich.console
import rich.progress
import tensorboardX

from fdjax.runtime.files import cut_back, write_atomically

console = rich.console.Console(highlight=False, soft_wrap=True)

# The metrics on a step's line, in this order; metrics.jsonl holds all.
HEADLINE = (
    "loss",
    "accuracy",
    "solve_rate",
    "groups_solved",
    "policy_entropy",
    "divergence",
    "clip_fraction",
    "response_tokens",
    "truncated",
    "rows",
    "grad_norm",
    "unverified",
    "skipped",
    "feedback/failed_share",
)
_HIDDEN_IF_0 = ("unverified", "skipped", "feedback/failed_share")


class Timers:
    """Seconds in the named parts of a step, and amounts of other things, summed until `flush`.
    Parts may overlap.
    """

    def __init__(self):
        self._sums: dict[str, float] = {}
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.add(name, time.perf_counter() - start)

    def add(self, name: str, seconds: float) -> None:
        self.count(f"time/{name}", seconds)

    def count(self, name: str, amount: float) -> None:
        with self._lock:
            self._sums[name] = self._sums.get(name, 0.0) + amount

    def flush(self) -> dict[str, float]:
        """{"time/NAME": seconds, NAME: amount} since the last call."""
        with self._lock:
            sums, self._sums = self._sums, {}
        return sums


class MetricsLog:
    """Writes each step to `metrics.jsonl` and `tensorboard/` in `folder`, and every `show_every`-th
    step to the console, on a terminal above a progress bar with the time left.

    A run that resumes at `start` removes the lines of that step and later ones, since it will write
    them again.
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        *,
        total: int,
        start: int = 0,
        show_every: int = 1,
    ):
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self._name, self._total, self._show_every = folder.name, total, show_every
        cut_back(folder / "metrics.jsonl", start)
        self._file = (folder / "metrics.jsonl").open("a", encoding="utf-8")
        self._board = tensorboardX.SummaryWriter(str(folder / "tensorboard"), purge_step=start)
        self._start, self._began = start, time.monotonic()
        self._progress = rich.progress.Progress(
            rich.progress.TextColumn("[bold]{task.description}"),
            rich.progress.BarColumn(bar_width=None),
            rich.progress.MofNCompleteColumn(),
            rich.progress.TimeElapsedColumn(),
            rich.progress.TextColumn("left"),
            rich.progress.TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self._task = self._progress.add_task(self._name, total=total, completed=start)

    def write(self, step: int, metrics: Mapping[str, Any]) -> None:
        """Writes `metrics`. Arrays of one element become numbers.

        Numbers that are not finite become null in the file, since JSON has no NaN.
        """
        metrics = {name: _plain(value) for name, value in metrics.items()}
        line = {"step": step} | {name: _json(value) for name, value in metrics.items()}
        self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
        self._file.flush()
        for name, value in metrics.items():
            if isinstance(value, int | float) and math.isfinite(value):
                self._board.add_scalar(name, value, step)
        if (step + 1) % self._show_every == 0 or step + 1 == self._total:
            self._show(step, metrics)
        self._progress.update(self._task, completed=step + 1)

    def _show(self, step: int, metrics: dict[str, Any]) -> None:
        line = f"{self._name} {step + 1:{len(str(self._total))}d}/{self._total}  "
        line += _describe(metrics)
        if self._progress.disable:  # there is no bar with the time left
            done = step + 1 - self._start
            left = (time.monotonic() - self._began) / done * (self._total - step - 1)
            line += f"  left {int(left) // 60}:{int(left) % 60:02d}"
        console.print(line, markup=False)

    def __enter__(self) -> "MetricsLog":
        self._progress.start()
        return self

    def __exit__(self, *_) -> None:
        self._progress.stop()
        self._file.close()
        self._board.close()


def _describe(metrics: Mapping[str, Any]) -> str:
    """One line: the metrics of HEADLINE, then the seconds of the step and of its parts."""
    figures = [
        f"{name} {_short(metrics[name])}"
        for name in HEADLINE
        if _json(metrics.get(name)) is not None and (metrics[name] or name not in _HIDDEN_IF_0)
    ]
    seconds = {k.removeprefix("time/"): v for k, v in metrics.items() if k.startswith("time/")}
    if "step" in seconds:
        figures.append(f"{seconds.pop('step'):.2f} s")
    parts = ", ".join(f"{name} {value:.2f}" for name, value in seconds.items() if value >= 0.01)
    return "  ".join(figures) + (f"  ({parts})" if parts else "")


@contextlib.contextmanager
def status(text: str) -> Iterator[None]:
    """Prints `text` while the block runs, and afterwards the seconds that it took."""
    start = time.monotonic()
    if console.is_terminal:
        with console.status(text):
            yield
    else:
        console.print(f"{text} ...", markup=False)
        yield
    console.print(f"{text}: {time.monotonic() - start:.1f} s", markup=False)


def write_summary(workdir: str | os.PathLike, summary: Mapping[str, Any]) -> None:
    """Writes summary.json, at once."""
    text = json.dumps(summary, indent=1, ensure_ascii=False)
    write_atomically(Path(workdir) / "summary.json", text + "\n")


def _plain(value: Any) -> Any:
    """Numbers of NumPy and JAX as Python numbers; anything else as it is."""
    if hasattr(value, "item") and getattr(value, "size", 1) == 1:
        value = value.item()
    if isinstance(value, numbers.Integral):  # and bool
        return int(value)
    return float(value) if isinstance(value, numbers.Real) else value


def _json(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3f}" if 1e-3 <= abs(value) < 1000 or value == 0 else f"{value:.3g}"
    return str(value)
