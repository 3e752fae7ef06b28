"""What each function of a run costs a chip, read from what the compiler made of it."""

import re
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from fdjax.models.config import ModelConfig
from fdjax.runtime.chips import Chip
from fdjax.training.planning import costs, program, updates
from fdjax.training.planning import pod as pods
from fdjax.training.planning.costs import Cost
from fdjax.training.planning.pod import Pod, size
from fdjax.training.planning.updates import Shape

COMPILED, SCALED, COUNTED = "compiled", "scaled", "arithmetic"
TOKEN, CHUNK = "decode, a token", "decode, a chunk"  # of all slots; what a chunk does besides
APPLY = "optimizer, teacher"


class Part(NamedTuple):
    """A function, called once."""

    cost: Cost
    held: int  # bytes on a chip that are there anyway while it runs
    temporary: int  # bytes that it needs besides
    code: int = 0
    how: str = COMPILED

    @property
    def memory(self) -> int:
        return self.held + self.temporary + self.code


class Parts(NamedTuple):
    generation: dict[str, Part]  # by name: weights, prefill, insert, TOKEN, CHUNK
    updates: dict[Shape, Part]
    apply: Part

    def named(self) -> dict[str, Part]:
        shapes = {f"update {shape}": part for shape, part in self.updates.items()}
        return {**self.generation, **shapes, APPLY: self.apply}

    def memory(self) -> int:
        """Bytes on a chip at most, with the code of all programs."""
        parts = self.named().values()
        return max(part.held + part.temporary for part in parts) + sum(p.code for p in parts)


class DoesNotFit(Exception):
    """The compiler refused a program: it needs `needed` bytes, if that is known."""

    def __init__(self, name: str, needed: float | None):
        super().__init__(name)
        self.name, self.needed = name, needed


def seconds(cost: Cost, chip: Chip) -> dict[str, float]:
    """What each resource needs at its peak: the function takes at least the longest."""
    return {"MXU": cost.flops / chip.flops, "HBM": cost.hbm / chip.hbm, "ICI": cost.ici / chip.ici}


def at_least(cost: Cost, chip: Chip) -> float:
    return max(seconds(cost, chip).values())


# --- Compiling -----------------------------------------------------------------------------------


def depths(model: ModelConfig) -> tuple[int, int] | None:
    """Two numbers of layers to compile generation with, whose layers are unrolled; None: all."""
    period = len(model.window_pattern) if model.window else 1
    few = period * max(1, 2 // period), period * max(2, 4 // period)
    return few if few[1] < model.num_layers else None


def generation(make: Callable[[int | None], Pod], whole: Pod) -> dict[str, Part]:
    """`make(layers)`: the pod with so many layers; `whole`: with all. Raises DoesNotFit."""
    few = depths(whole.model)
    if few is None:
        return _generation(whole)
    a, b = (_generation(make(layers)) for layers in few)
    share = (whole.model.num_layers - few[0]) / (few[1] - few[0])

    def at(x, y):
        return x + share * (y - x)

    return {
        name: Part(
            Cost(*(max(0.0, at(x, y)) for x, y in zip(part.cost, b[name].cost))),
            whole.held(name),
            round(max(0, at(part.temporary, b[name].temporary))),
            round(max(0, at(part.code, b[name].code))),
            f"{COMPILED} with {few[0]} and {few[1]} layers",
        )
        for name, part in a.items()
    }


def _generation(pod):
    parts = {}
    for name, build in pods.programs(pod).items():
        built = build_program(f"{name}, {pod.model.num_layers} layers", build)
        text, memory = program.parse(built.as_text()), built.memory_analysis()
        code, temporary = memory.generated_code_size_in_bytes, memory.temp_size_in_bytes
        held = pod.held(name)
        if name == "decode":
            token, besides = costs.decode_costs(text, pod.shapes.chunk)
            parts[TOKEN] = Part(token, held, temporary, code)
            parts[CHUNK] = Part(Cost().plus(besides, pod.shapes.chunk), held, temporary)
        else:
            parts[name] = Part(costs.cost(text, "ENTRY"), held, temporary, code)
    return parts


def update(
    pod: Pod, shapes: Sequence[Shape], most: int | None = None
) -> tuple[dict[Shape, Part], Part]:
    """(of each shape, of optimizer and teacher). Of `shapes` at most `most` are compiled, the first
    ones; the others are scaled by their tokens. Raises DoesNotFit.
    """
    builders, apply = updates.update_programs(pod, shapes)
    found = {}
    for shape in list(shapes)[:most]:
        built = build_program(f"update {shape}", builders[shape])
        found[shape] = update_part(pod, shape, built)
    for shape in list(shapes)[len(found) :]:
        near = min(list(shapes)[:most], key=lambda other: _distance(shape, other))
        found[shape] = scaled(found[near], near, shape)
    return found, _part(build_program(APPLY, apply), _state_and_gradient(pod))


def update_part(pod: Pod, shape: Shape, built: Any) -> Part:
    """Of the compiled gradient of a microbatch."""
    held = _state_and_gradient(pod) + size(updates.microbatch(pod, shape))
    windowed = sum(pod.model.windowed_layers) / pod.model.num_layers if pod.model.window else 0.0
    return _part(built, held, windowed)


def _state_and_gradient(pod):
    """With the moments, which no gradient reads: the compiler does not know that they are there."""
    return size(pod.state) + size(updates.gradient(pod))


def _part(built, held, windowed=0.0):
    """`windowed`: the share of layers with a window. Where others stand in the same loop, a
    conditional chooses between two kernels, and theirs is the cheaper one."""
    memory, text = built.memory_analysis(), program.parse(built.as_text())
    new = memory.output_size_in_bytes - memory.alias_size_in_bytes
    cost = Cost().plus(costs.cost(text, "ENTRY"), 1 - windowed)
    if windowed:
        cost = cost.plus(costs.cost(text, "ENTRY", branch=min), windowed)
    temporary = memory.temp_size_in_bytes + new
    return Part(cost, held, temporary, memory.generated_code_size_in_bytes)


def _distance(shape, other):
    return (shape.part != other.part, abs(np.log(shape.response / other.response)))


def scaled(part: Part, near: Shape, shape: Shape) -> Part:
    """What grows with the tokens of a microbatch: FLOPs, HBM, and all-reduces, which are of
    activations. Other collectives are of weights.
    """
    share = shape.rows * shape.tokens / (near.rows * near.tokens)
    grown = {name: share * getattr(part.cost, name) for name in ("hbm", "flops", "all_reduce")}
    cost = part.cost._replace(**grown)
    extra = round(part.temporary * min(share, 1.0))
    return Part(cost, part.held, max(extra, 0), 0, f"{SCALED} from {near}")


def build_program(name: str, build: Callable[[], Any]) -> Any:
    """The compiled program. Raises DoesNotFit."""
    began = time.perf_counter()
    try:
        built = build()
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error) and "hbm" not in str(error).lower():
            raise
        used = re.search(r"Used ([\d.]+)([GM]) of", str(error))
        scale = {"G": 2**30, "M": 2**20}
        needed = float(used[1]) * scale[used[2]] if used else None
        raise DoesNotFit(name, needed) from None
    print(f"{name}: compiled in {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
    return built
