"""The plan of a run, and of the same run on other meshes and with other token budgets."""

import dataclasses
import math
import sys
from collections.abc import Iterator
from typing import NamedTuple

from fdjax.config import Config, ConfigError, MeshConfig, RolloutStage, naming_field
from fdjax.models.config import ModelConfig
from fdjax.training.planning import arithmetic, estimate, parts, pod, updates
from fdjax.training.planning.estimate import Assumed, Estimate
from fdjax.training.planning.parts import DoesNotFit, Parts
from fdjax.training.planning.pod import Pod
from fdjax.training.planning.slices import Slice
from fdjax.training.planning.updates import Shape

SLACK = 1.3  # a candidate whose arithmetic needs this much more memory than there is goes unasked


class Question(NamedTuple):
    config: Config
    stage: RolloutStage
    model: ModelConfig
    where: Slice
    given: Assumed
    most: int | None = None  # shapes of microbatches that are compiled

    def make(self, layers: int | None = None) -> Pod:
        return pod.make_pod(self.config, self.stage, self.model, self.where.devices, layers=layers)


class Answer(NamedTuple):
    pod: Pod
    shapes: dict[Shape, float]
    parts: Parts
    estimate: Estimate


def answer(what: Question, *, compile_: bool | None = None, known: dict | None = None) -> Answer:
    """`compile_` False: by arithmetic alone, as for GPUs. `known` keeps what was compiled for
    generation. Raises DoesNotFit where the compiler refuses a function.
    """
    made = what.make()
    lengths = estimate.make_lengths(made, what.given)
    shapes = updates.update_shapes(made, lengths)
    if compile_ is None:
        compile_ = what.where.compiles
    if not compile_:
        found = arithmetic.counted(made, list(shapes))
    else:
        with naming_field("model", ValueError):  # a kernel that this mesh cannot have
            found = _compiled(what, made, list(shapes), {} if known is None else known)
    numbers = estimate.estimate(made, found, shapes, what.given, what.where)
    return Answer(made, shapes, found, numbers)


def _compiled(what, made, shapes, known):
    key = (tuple(what.config.mesh.__dict__.values()), made.shapes)
    if key not in known:
        known[key] = parts.generation(what.make, made)
    return Parts(known[key], *parts.update(made, shapes, what.most))


class Candidate(NamedTuple):
    mesh: MeshConfig
    tokens: int  # a microbatch's on each part of the rows
    counted: Estimate  # by arithmetic
    answer: Answer | None  # None: not compiled, or refused
    refused: DoesNotFit | None

    @property
    def known(self) -> Estimate:
        """As compiled, if it was."""
        return self.answer.estimate if self.answer else self.counted

    @property
    def fits(self) -> bool:
        return not self.refused and self.known.fits


def search(what: Question, most: int) -> list[Candidate]:
    """Those that were compiled and fit, the fastest first; then those that fit by arithmetic; then
    the others. Raises ConfigError where no mesh can hold the run.
    """
    candidates, error = [], None
    for config, stage in variants(what):
        changed = what._replace(config=config, stage=stage)
        try:
            counted = answer(changed, compile_=False).estimate
        except ConfigError as refused:  # no slot fits, or the mesh cannot be laid
            error = refused
            continue
        tokens = stage.optimizer.microbatch_tokens
        candidates.append((changed, Candidate(config.mesh, tokens, counted, None, None)))
    if not candidates:
        raise error or ConfigError(f"no mesh of {what.where.name} has replica, and cuts the heads")
    limit = SLACK * what.where.chip.memory
    candidates.sort(key=lambda c: (c[1].counted.memory > limit, c[1].counted.step))
    known: dict = {}
    found = []
    for place, (changed, candidate) in enumerate(candidates):
        if place < most and what.where.compiles and candidate.counted.memory <= limit:
            mesh = dataclasses.asdict(candidate.mesh)
            print(f"mesh {mesh}, {candidate.tokens} tokens:", file=sys.stderr, flush=True)
            try:
                candidate = candidate._replace(answer=answer(changed, known=known))
            except DoesNotFit as refused:
                candidate = candidate._replace(refused=refused)
            except ConfigError as refused:  # a kernel that this mesh cannot have
                print(f"left out: {refused}", file=sys.stderr, flush=True)
                continue
        found.append(candidate)
    return sorted(found, key=_rank)


def _rank(candidate):
    place = (candidate.answer is None) if candidate.fits else 2
    return place, candidate.known.step


def variants(what: Question) -> Iterator[tuple[Config, RolloutStage]]:
    """Every mesh with the config's `replica` whose tensor axis is a power of two and divides the
    heads, with a half, once and twice the budget.
    """
    model, stage = what.model, what.stage
    replica = what.config.mesh.replica or 1
    chips = len(what.where.devices) // replica
    if chips * replica != len(what.where.devices):
        return
    for tensor in (2**i for i in range(int(math.log2(chips)) + 1)):
        if chips % tensor or model.num_heads % tensor or model.mlp_width % tensor:
            continue
        mesh = dataclasses.replace(
            what.config.mesh, replica=replica, fsdp=chips // tensor, tensor=tensor
        )
        for times in (0.5, 1, 2):
            tokens = round(stage.optimizer.microbatch_tokens * times)
            optimizer = dataclasses.replace(stage.optimizer, microbatch_tokens=tokens)
            yield (
                dataclasses.replace(what.config, mesh=mesh),
                dataclasses.replace(stage, optimizer=optimizer),
            )
