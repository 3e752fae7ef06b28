"""Several objectives at once: each over a batch of its own, divided by its own denominator.

L = sum_k weight_k L_k
"""

import dataclasses
from typing import NamedTuple

import jax

from fdjax.objectives.protocol import Batch, Mean, Metrics, Model, Objective, Params


class Part(NamedTuple):
    name: str
    weight: float
    objective: Objective


@dataclasses.dataclass(frozen=True)
class Combined:
    """A batch is {name of a part: its batch}. A part without a batch is left out of the sum, so
    that parts can take turns. A metric of several parts is the mean over the tokens of all of them.
    """

    parts: tuple[Part, ...]

    def denominator(self, batch: dict[str, Batch]) -> dict[str, jax.Array]:
        return {p.name: p.objective.denominator(batch[p.name]) for p in self._present(batch)}

    def loss(
        self, model: Model, params: Params, teacher_params: Params | None, batch: dict[str, Batch]
    ) -> tuple[dict[str, jax.Array], Metrics]:
        totals, metrics = {}, {}
        for name, weight, objective in self._present(batch):
            total, part_metrics = objective.loss(model, params, teacher_params, batch[name])
            totals[name] = weight * total
            for metric, (value, count) in part_metrics.items():
                before = metrics.get(metric, Mean(0, 0))
                metrics[metric] = Mean(before.total + value, before.count + count)
        return totals, metrics

    def _present(self, batch) -> list[Part]:
        return [part for part in self.parts if part.name in batch]
