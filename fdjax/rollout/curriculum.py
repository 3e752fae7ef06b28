"""Which theorems a step rolls out: all of them in turn, or those that there is something to learn
from.

By default each epoch takes every theorem once, in an order of its own. A curriculum passes over
theorems that are solved, hopeless, or too hard as yet, and gives their places in the step to
others. What it knows when a step is launched are the verdicts of the steps before, up to those
that may still be under way then: a function of finished steps alone, whatever the timing.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from fdjax.types import DECIDED, Theorem


@dataclasses.dataclass(frozen=True)
class Settings:
    """A theorem's solve rate is that of its last `window` visits (steps that rolled it out).

    Raises ValueError for settings that cannot be.
    """

    window: int = 0  # 0: no theorem is ever solved or hopeless
    min_solve_rate: float = 0.0  # passed over at this solve rate or below
    solved: float = 1.0  # passed over at this solve rate or above
    again: float = 0.1  # the chance, each epoch, that what is passed over is taken all the same
    visits: int = 2  # a theorem with as many in the epoch fills no settled one's place any more
    # Difficulty, from 0 to 1: "length" ranks statements by their characters, "solve_rate" is
    # 1 - rate (0 where it is not known), and words with commas between are tags from easy to hard
    # (1 for a theorem with none of them). "": no ramp.
    ramp: str = ""
    ramp_start: float = 0.2  # the difficulty that step 0 takes
    ramp_steps: int = 0  # until 1 is taken, growing linearly

    def __post_init__(self):
        if self.window < 0:
            raise ValueError(f"curriculum: window is {self.window}, must be 0 or more")
        if not self.min_solve_rate < self.solved:
            raise ValueError(
                f"curriculum: hopeless is {self.hopeless}, must be below solved = {self.solved}"
            )
        if self.visits < 1:
            raise ValueError(f"curriculum: visits is {self.visits}, must be 1 or more")
        for field in ("again", "ramp_start"):
            if not 0 <= getattr(self, field) <= 1:
                raise ValueError(f"curriculum: {field} is {getattr(self, field)}, not in [0, 1]")
        if self.ramp and self.ramp_steps < 1:
            raise ValueError(f"curriculum: ramp={self.ramp!r} needs ramp_steps, 1 or more")
        if self.ramp == "solve_rate" and not self.window:
            raise ValueError("curriculum: ramp='solve_rate' needs a window, 1 or more")

    @property
    def tags(self) -> list[str]:
        """Those that `ramp` lists."""
        names = () if self.ramp in ("", "length", "solve_rate") else self.ramp.split(",")
        return [name.strip() for name in names]


@dataclasses.dataclass
class Curriculum:
    """`history` belongs to the checkpoint. Raises ValueError for a tag that no theorem has."""

    theorems: Sequence[Theorem]
    batch: int  # theorems a step
    seed: int
    settings: Settings
    depth: int = 0  # steps that may be under way when one is launched
    # Theorem id -> its last visits: [step, attempts proved, attempts that Lean could judge].
    history: dict[str, list[list[int]]] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        known = {tag for theorem in self.theorems for tag in theorem.tags}
        if unknown := [tag for tag in self.settings.tags if tag not in known]:
            raise ValueError(
                f"curriculum: ramp is {self.settings.ramp!r}, but no theorem has the tag "
                f"{unknown[0]!r}; known are length, solve_rate and {', '.join(sorted(known)[:20])}"
            )

    def choose(self, step: int) -> list[int]:
        """Indices of the theorems of `step`, `batch` of them."""
        chosen = in_epochs(len(self.theorems), self.batch, step, (self.seed, 1))
        settled, too_hard = self._settled(step), self._too_hard(step)
        if not settled and not too_hard:
            return chosen
        rng = np.random.default_rng([self.seed, 4, step])
        again = rng.random(self.batch) < self.settings.again
        free = [i in settled | too_hard and not lucky for i, lucky in zip(chosen, again)]
        kept = {i for i, is_free in zip(chosen, free) if not is_free}
        others = [int(i) for i in rng.permutation(len(self.theorems))]
        others = [i for i in others if i not in settled | too_hard | kept]
        rested = iter([i for i in others if self._is_rested(i, step)])
        tired = iter([i for i in others if not self._is_rested(i, step)])
        filled = []
        for i, is_free in zip(chosen, free):
            other = next(rested, None) if is_free else i
            if other is None and i in too_hard:
                other = next(tired, None)
            filled.append(i if other is None else other)  # with no others left it keeps its place
        return filled

    def refill(self, step: int, number: int) -> list[int]:
        """Indices of up to `batch` more theorems, none of them in the step or an earlier refill;
        what is passed over comes last. `number`: 1 is the first.
        """
        met, last = set(self.choose(step)), self.passed_over(step)
        order = np.random.default_rng([self.seed, 5, step]).permutation(len(self.theorems))
        others = sorted((int(i) for i in order if i not in met), key=last.__contains__)
        return others[(number - 1) * self.batch : number * self.batch]

    def passed_over(self, step: int) -> set[int]:
        """Indices of the theorems that `step` would rather not take."""
        return self._settled(step) | self._too_hard(step)

    def _settled(self, step: int) -> set[int]:
        """The solved and the hopeless."""
        low, high = self.settings.min_solve_rate, self.settings.solved
        return {
            i
            for i, rate in enumerate(self._rates(step))
            if rate is not None and not low < rate < high
        }

    def _too_hard(self, step: int) -> set[int]:
        settings, difficulties = self.settings, self._difficulties
        if not settings.ramp:
            return set()
        if settings.ramp == "solve_rate":
            difficulties = [0.0 if rate is None else 1 - rate for rate in self._rates(step)]
        start = settings.ramp_start
        level = start + (1 - start) * min(1.0, step / settings.ramp_steps)
        return {i for i, difficulty in enumerate(difficulties) if difficulty > level}

    def _is_rested(self, index: int, step: int) -> bool:
        """Without this bound the last few theorems between solved and hopeless would be all that
        is trained on, step after step.
        """
        count = len(self.theorems)
        began = step * self.batch // count * count // self.batch  # the first step of the epoch
        visits = self._known(self.theorems[index], step)
        return sum(v[0] >= began for v in visits) < self.settings.visits

    def metrics(self, step: int) -> dict[str, float]:
        """Nothing where all theorems are taken alike."""
        if not self.settings.window and not self.settings.ramp:
            return {}
        return {"passed_over": len(self.passed_over(step)) / len(self.theorems)}

    def note(self, step: int, groups: Sequence[Sequence[tuple[Theorem, Any, Any, Any]]]) -> None:
        """Remembers what Lean said of `step`; steps come in order."""
        if not self.settings.window and not self.settings.ramp:
            return
        counts: dict[str, list[int]] = {}
        for theorem, _, verdict, _ in (item for group in groups for item in group):
            visit = counts.setdefault(theorem.id, [step, 0, 0])
            visit[1] += verdict.proved
            visit[2] += verdict.status in DECIDED
        for theorem_id, visit in counts.items():
            visits = [*self.history.get(theorem_id, []), visit]
            most = max(self.settings.window, self.settings.visits)
            self.history[theorem_id] = visits[-most - self.depth :]

    def _known(self, theorem: Theorem, step: int) -> list[list[int]]:
        """The visits that had ended, for certain, when `step` was launched."""
        return [v for v in self.history.get(theorem.id, []) if v[0] < step - self.depth]

    def _rates(self, step: int) -> list[float | None]:
        """Of each theorem, as known when `step` is launched; None before `window` visits."""
        window = self.settings.window
        if not window:
            return [None] * len(self.theorems)
        rates = []
        for theorem in self.theorems:
            known = self._known(theorem, step)[-window:]
            proved, judged = (sum(v[i] for v in known) for i in (1, 2))
            rates.append(proved / judged if len(known) == window and judged else None)
        return rates

    @functools.cached_property
    def _difficulties(self) -> list[float]:
        """Of each theorem, where no solve rate is needed to tell."""
        count = len(self.theorems)
        match self.settings.ramp:
            case "" | "solve_rate":
                return [0.0] * count
            case "length":
                lengths = [len(t.signature) for t in self.theorems]
                return (np.searchsorted(np.sort(lengths), lengths) / count).tolist()
        tags = self.settings.tags
        ranks = [[i for i, tag in enumerate(tags) if tag in t.tags] for t in self.theorems]
        return [min(r, default=len(tags)) / len(tags) for r in ranks]


def in_epochs(count: int, batch: int, step: int, seed: Sequence[int]) -> list[int]:
    """Which `batch` of `count` items step `step` takes: each epoch is a permutation of its own.

    A function of the step alone, so that there is no data state to save.
    """
    chosen = []
    for position in range(step * batch, (step + 1) * batch):
        epoch, index = divmod(position, count)
        chosen.append(int(_permutation(count, epoch, tuple(seed))[index]))
    return chosen


@functools.lru_cache(maxsize=4)
def _permutation(count: int, epoch: int, seed: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng([*seed, epoch]).permutation(count)
