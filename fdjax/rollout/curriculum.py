"""Which theorems a step attempts: all of them in turn, or those that there is something to learn
from.

By default each epoch takes every theorem once, in an order of its own. With a `window` it passes
over theorems that the policy always or never proves and gives their places in the step to others.
What it takes into account at a step are the verdicts of the steps before, less those that may
still be under way then: a function of finished steps alone, whatever the timing.
"""

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np

from fdjax.config import CurriculumConfig
from fdjax.types import DECIDED, Group, Theorem

# A theorem with as many visits in the epoch fills no passed-over one's place any more. Without this
# bound the last few theorems in between would be all that is trained on.
MAX_VISITS = 2


@dataclasses.dataclass
class Curriculum:
    """`history` belongs to the checkpoint."""

    theorems: Sequence[Theorem]
    batch: int  # theorems a step
    seed: int
    config: CurriculumConfig
    depth: int = 0  # steps that may be under way when one is generated
    # Theorem id -> its last visits: [step, attempts proved, attempts that Lean could decide].
    history: dict[str, list[list[int]]] = dataclasses.field(default_factory=dict)

    def choose(self, step: int) -> list[int]:
        """Indices of the theorems of `step`, `batch` of them."""
        chosen = in_epochs(len(self.theorems), self.batch, step, (self.seed, 1))
        passed_over = self.passed_over(step)
        if not passed_over:
            return chosen
        rng = np.random.default_rng([self.seed, 4, step])
        keeps = rng.random(self.batch) < self.config.keep_probability
        free = [i in passed_over and not keep for i, keep in zip(chosen, keeps)]
        kept = {i for i, is_free in zip(chosen, free) if not is_free}
        others = [int(i) for i in rng.permutation(len(self.theorems))]
        others = [i for i in others if i not in passed_over | kept]
        others = iter([i for i in others if self._may_fill(i, step)])
        # With no others left a theorem keeps its place.
        return [next(others, i) if is_free else i for i, is_free in zip(chosen, free)]

    def refill(self, step: int, number: int) -> list[int]:
        """Indices of up to `batch` more theorems, none of them in the step or an earlier refill;
        those passed over come last. `number`: 1 is the first.
        """
        met, last = set(self.choose(step)), self.passed_over(step)
        order = np.random.default_rng([self.seed, 5, step]).permutation(len(self.theorems))
        others = sorted((int(i) for i in order if i not in met), key=last.__contains__)
        return others[(number - 1) * self.batch : number * self.batch]

    def passed_over(self, step: int) -> set[int]:
        """Indices of the theorems that are proved too often or too seldom."""
        low, high = self.config.min_solve_rate, self.config.max_solve_rate
        rates = self._rates(step)
        return {i for i, rate in enumerate(rates) if rate is not None and not low < rate < high}

    def metrics(self, step: int) -> dict[str, float]:
        """Nothing where all theorems are taken alike."""
        if self.config.window is None:
            return {}
        return {"passed_over": len(self.passed_over(step)) / len(self.theorems)}

    def note(self, step: int, groups: Sequence[Group]) -> None:
        """Remembers the verdicts of `step`; steps come in order."""
        if self.config.window is None:
            return
        counts: dict[str, list[int]] = {}
        for theorem, _, verdict, _ in (item for group in groups for item in group):
            visit = counts.setdefault(theorem.id, [step, 0, 0])
            visit[1] += verdict.proved
            visit[2] += verdict.status in DECIDED
        for theorem_id, visit in counts.items():
            visits = [*self.history.get(theorem_id, []), visit]
            most = max(self.config.window, MAX_VISITS)
            self.history[theorem_id] = visits[-most - self.depth :]

    def _may_fill(self, index: int, step: int) -> bool:
        count = len(self.theorems)
        began = step * self.batch // count * count // self.batch  # the first step of the epoch
        visits = self._finished_visits(self.theorems[index], step)
        return sum(v[0] >= began for v in visits) < MAX_VISITS

    def _finished_visits(self, theorem: Theorem, step: int) -> list[list[int]]:
        """The visits that had ended, for certain, when `step` was generated."""
        return [v for v in self.history.get(theorem.id, []) if v[0] < step - self.depth]

    def _rates(self, step: int) -> list[float | None]:
        """Of each theorem, when `step` is generated; None before `window` visits."""
        window = self.config.window
        if window is None:
            return []
        rates = []
        for theorem in self.theorems:
            visits = self._finished_visits(theorem, step)[-window:]
            proved, decided = (sum(v[i] for v in visits) for i in (1, 2))
            rates.append(proved / decided if len(visits) == window and decided else None)
        return rates


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
