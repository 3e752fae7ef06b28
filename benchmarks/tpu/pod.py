"""Generation with Qwen3-8B on a slice that need not exist, with the sizes of
configs/published.py:v5e-16, as TPU's compiler takes it: shapes with shardings, no arrays.
"""

import importlib.util
import math
import os
import pathlib
import runpy
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.experimental import topologies
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from fdjax.config import Config, read
from fdjax.config.flags import read_recipe
from fdjax.models import decoding, transformer
from fdjax.models.config import ModelConfig, from_fields
from fdjax.rollout import engine, scheduler
from fdjax.runtime import sharding
from fdjax.training import state

CONFIGS = pathlib.Path(__file__).parents[2] / "configs"


def has_compiler() -> bool:
    return importlib.util.find_spec("libtpu") is not None


class Pod(NamedTuple):
    """A slice and what generation on it is compiled for. Shapes are structs with shardings."""

    model: ModelConfig
    training: Mesh
    decoding: Mesh
    shapes: scheduler.Shapes
    state: Any
    weights: Any
    slots: Any
    prompts: Any  # tokens, mask and, once they are read, keys and values

    def held(self, name: str) -> int:
        """Bytes on a chip while the program of this name runs, without its temporaries."""
        before = size(self.state) + size(self.weights)
        return before if name == "weights" else before + size(self.slots) + size(self.prompts)

    def least_read(self) -> int:
        """Bytes of weights and of the whole cache."""
        read = {name: x for name, x in self.weights.items() if name != "embedding"}
        return size(read) + size(self.slots.cache)

    def smallest_weight(self) -> int:
        return min(size(x) for x in jax.tree.leaves(self.weights) if x.ndim == 2)


def make_pod(topology: str, layers: int, mesh_for=sharding.decoding_mesh, **changes) -> Pod:
    """`topology`: "v5e:4x4"; `mesh_for(mesh, model)`: the mesh of generation; `changes` to the
    config's `generation`."""
    os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")  # there is no TPU that could be asked
    os.environ.setdefault("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")  # nor that would be in use
    recipe = read_recipe(f"{CONFIGS / 'published.py'}:v5e-16")
    recipe.generation.update(changes)
    config: Config = read(recipe)
    shape = runpy.run_path(str(CONFIGS / "models" / "qwen3.py"))["shape"]
    model = from_fields(shape("8b", num_layers=layers, dtype="bfloat16", remat=True))
    devices = topologies.get_topology_desc(topology, "tpu").devices
    training = sharding.lay(devices, (1, config.mesh.fsdp, config.mesh.tensor))
    mesh, stage = mesh_for(training, model), config.blocks["fd"]
    shapes = scheduler.plan(
        config.generation,
        model,
        mesh,
        samples=stage.prompts_per_step * stage.samples_per_prompt,
        prompt=config.prompt.student_buckets[-1],
        response=config.prompt.response_length,
    )
    optimizer = state.make_optimizer(stage.optimizer, stage.steps)

    def make_state():
        params = transformer.init(model, jax.random.key(0))
        return state.from_params(params, optimizer, with_teacher=True)

    held = jax.eval_shape(make_state)
    held = placed(held, sharding.tree_shardings(held, training))
    weights = jax.eval_shape(decoding.copier(model, mesh), held.params)
    weights = placed(weights, sharding.tree_shardings(weights, mesh))
    rows = NamedSharding(mesh, PartitionSpec(sharding.ROWS))
    tokens = jax.ShapeDtypeStruct((shapes.prompts, shapes.prompt), jnp.int32, sharding=rows)
    mask = jax.ShapeDtypeStruct(tokens.shape, bool, sharding=rows)
    with jax.set_mesh(mesh):
        empty = engine.empty.lower(model, slots=shapes.slots, columns=shapes.columns)
        slots = placed(empty.out_info, empty.compile().output_shardings)
        read_prompts = engine.prefill.lower(model, weights, tokens, mask).out_info
    heads = NamedSharding(mesh, PartitionSpec(None, "tensor"))  # engine.prefill
    prompts = placed(read_prompts, jax.tree.map(lambda _: heads, read_prompts))
    return Pod(model, training, mesh, shapes, held, weights, slots, (tokens, mask, prompts))


def programs(pod: Pod) -> dict[str, Callable[[], Any]]:
    """What compiles each program of generation, by name."""
    tokens, mask, prompts = pod.prompts
    everywhere = NamedSharding(pod.decoding, PartitionSpec())

    def struct(dtype, *shape):
        return jax.ShapeDtypeStruct(shape, dtype, sharding=everywhere)

    M, f32, i32 = pod.shapes.starts, jnp.float32, jnp.int32
    names = {"name_M", "sample_M"}
    start = [struct(jnp.uint32 if x in names else i32, M) for x in engine.Start._fields]
    drawing = engine.Drawing(struct(f32), struct(i32, 2))
    key = jax.eval_shape(lambda: jax.random.key(0, impl="threefry2x32"))
    whole = {"steps": pod.shapes.chunk, "width": pod.shapes.columns}
    copy = decoding.copier(pod.model, pod.decoding)
    lowered = {
        "weights": lambda: copy.lower(pod.state.params),
        "prefill": lambda: engine.prefill.lower(pod.model, pod.weights, tokens, mask),
        "insert": lambda: engine.insert.lower(
            pod.slots, prompts, engine.Start(*start), struct(key.dtype)
        ),
        "decode": lambda: engine.decode.lower(
            pod.model, pod.weights, pod.slots, drawing, struct(i32), **whole
        ),
    }

    def build(lower):
        with jax.set_mesh(pod.decoding):
            return lower().compile()

    return {name: lambda lower=lower: build(lower) for name, lower in lowered.items()}


def placed(shapes: Any, shardings: Any) -> Any:
    """Structs with these shardings."""

    def place(x, at):
        return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=at)

    return jax.tree.map(place, shapes, shardings)


def size(tree: Any) -> int:
    """Bytes on one device."""

    def of(x):
        width = 8 if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key) else x.dtype.itemsize
        return math.prod(x.sharding.shard_shape(x.shape)) * width

    return sum(of(x) for x in jax.tree.leaves(tree))


def temporary(program: Any) -> int:
    """Bytes that a program needs beside what it is given and what it makes of it."""
    return program.memory_analysis().temp_size_in_bytes
