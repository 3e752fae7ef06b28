"""What a run puts on a slice that need not exist: shapes with shardings, no arrays."""

import dataclasses
import math
import runpy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from fdjax.config import (
    Config,
    ConfigError,
    MeshConfig,
    RolloutStage,
    naming_field,
)
from fdjax.config.read import nearest
from fdjax.models import decoding, transformer
from fdjax.models.config import ModelConfig, from_fields
from fdjax.rollout import engine, scheduler
from fdjax.runtime import sharding
from fdjax.training import build, state
from fdjax.training.model_setup import check_length, make_model_config
from fdjax.training.setup import find_source


class Pod(NamedTuple):
    """A slice and what a stage's functions are compiled for there."""

    config: Config
    stage: RolloutStage
    model: ModelConfig
    training: Mesh
    decoding: Mesh
    shapes: scheduler.Shapes
    state: Any
    weights: Any
    slots: Any
    store: Any  # the caches of episodes that wait; None without an environment
    prompts: Any  # tokens, mask and, once they are read, keys and values

    def held(self, name: str) -> int:
        """Bytes on a chip while the program of this name runs, without its temporaries."""
        before = size(self.state) + size(self.weights)
        cached = size((self.slots, self.store, self.prompts))
        return before if name == "weights" else before + cached

    def least_read(self) -> int:
        """Bytes of weights and of the whole cache."""
        read = {name: x for name, x in self.weights.items() if name != "embedding"}
        return size(read) + size(self.slots.cache)

    def copied(self) -> int:
        """Bytes of keys and values that a chunk of decoding has beside the cache: copies of the
        columns that it reads, where it does not read all, and those that it writes.
        """
        columns = self.shapes.columns
        some = [w for w in scheduler.widths(columns, self.decoding) if w < columns]
        return size(self.slots.cache) * (max(some, default=0) + self.shapes.chunk) // columns

    def smallest_weight(self) -> int:
        return min(size(x) for x in jax.tree.leaves(self.weights) if x.ndim == 2)

    @property
    def shards(self) -> int:
        """Into how many parts the rows of an update are cut."""
        return sharding.rows(self.training)


# --- Model and mesh ------------------------------------------------------------------------------


def read_model(config: Config, recipe: str, name: str | None) -> ModelConfig:
    """The shape called `name` ("qwen3_8b": qwen3.py in the folder `models` beside the recipe), else
    that of `init_from`, whose config.json is enough, else the config's own. Raises ConfigError.
    """
    vocabulary = config.tokenizer.vocab_size
    if name is None:
        source = find_source(config.init_from)
        if source and source.model:
            vocabulary = source.model.vocab_size
        return make_model_config(config, source, vocabulary)
    folder = Path(recipe.split(":", 1)[0]).expanduser().parent / "models"
    sizes = {f"{file.stem}_{size}": file for file in folder.glob("*.py") for size in _sizes(file)}
    if name not in sizes:
        known = ", ".join(sorted(sizes)) or f"none, since {folder} has no files"
        raise ConfigError(f"--model={name}: known are {known}{nearest(name, sizes)}")
    shape = runpy.run_path(str(sizes[name]))["shape"](name.split("_", 1)[1])
    with naming_field("model", ValueError, TypeError):
        model = from_fields(dict(shape) | dict(config.model))
    check_length(config, model)
    return model


def _sizes(file):
    return runpy.run_path(str(file)).get("SIZES", {})


def lay_mesh(axes: MeshConfig, devices: Sequence[Any]) -> Mesh:
    """All devices on a mesh. Raises ConfigError where its axes do not multiply to them."""
    sizes = {"replica": axes.replica, "fsdp": axes.fsdp, "tensor": axes.tensor}
    given = math.prod(n for n in sizes.values() if n is not None)
    left = {name: len(devices) // given for name, n in sizes.items() if n is None}
    shape = sizes | left
    if math.prod(shape.values()) != len(devices):
        raise ConfigError(f"mesh {shape} is not one of {len(devices)} devices, as the slice has")
    with naming_field("mesh", ValueError, NotImplementedError):
        return sharding.lay(devices, tuple(shape.values()))


# --- Shapes --------------------------------------------------------------------------------------


def make_pod(
    config: Config,
    stage: RolloutStage,
    model: ModelConfig,
    devices: Sequence[Any],
    *,
    layers: int | None = None,
    mesh_for: Callable[[Mesh, ModelConfig], Mesh] = sharding.decoding_mesh,
) -> Pod:
    """`layers`: as many of the model's; the slots are those of the whole model. `mesh_for`: the
    mesh of generation.
    """
    training = lay_mesh(config.mesh, devices)
    mesh = mesh_for(training, model)
    shapes = scheduler.plan(
        config.generation,
        model,
        mesh,
        samples=stage.prompts_per_step * stage.samples_per_prompt,
        prompt=config.prompt.student_buckets[-1],
        response=config.prompt.response_length,
        episodes=config.environment if config.environment.name else None,
    )
    model = with_layers(model, layers or model.num_layers)
    # No shape depends on the kernel, which may be one of another platform.
    plain = dataclasses.replace(model, attention="xla")
    optimizer = build.stage_optimizer(stage)

    def make_state():
        params = transformer.init(plain, jax.random.key(0))
        return state.from_params(params, optimizer, **build.teacher_fields(stage))

    held = jax.eval_shape(make_state)
    held = placed(held, sharding.tree_shardings(held, training))
    head = config.generation.head_dtype
    weights = jax.eval_shape(decoding.copier(plain, mesh, head), held.params)
    weights = placed(weights, sharding.tree_shardings(weights, mesh))
    rows = NamedSharding(mesh, PartitionSpec(sharding.ROWS))
    tokens = jax.ShapeDtypeStruct((shapes.prompts, shapes.prompt), jnp.int32, sharding=rows)
    mask = jax.ShapeDtypeStruct(tokens.shape, bool, sharding=rows)
    with jax.set_mesh(mesh):
        slots = _cached(engine.empty, model, mesh, slots=shapes.slots, columns=shapes.columns)
        store = None
        if shapes.store:
            store = _cached(
                engine.empty_store, model, mesh, rows=shapes.store, columns=shapes.columns
            )
        read_prompts = jax.eval_shape(
            lambda *args: engine.prefill(plain, *args), weights, tokens, mask
        )
    heads = _spread(mesh, model, None)  # engine.prefill
    prompts = placed(read_prompts, jax.tree.map(lambda _: heads, read_prompts))
    read = (tokens, mask, prompts)
    return Pod(config, stage, model, training, mesh, shapes, held, weights, slots, store, read)


def with_layers(model: ModelConfig, layers: int) -> ModelConfig:
    return dataclasses.replace(model, num_layers=layers)


def _cached(make, model, mesh, **sizes):
    """What `make` returns, as the engine places it."""
    slots = jax.eval_shape(lambda: make(model, **sizes))
    cache = _spread(mesh, model, sharding.ROWS)
    rows = NamedSharding(mesh, PartitionSpec(sharding.ROWS))
    return placed(slots, jax.tree.map(lambda x: cache if x.ndim == 4 else rows, slots))


def _spread(mesh, model, rows):
    heads = "tensor" if model.num_kv_heads % mesh.shape["tensor"] == 0 else None
    return NamedSharding(mesh, PartitionSpec(rows, heads))


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
    copy = decoding.copier(pod.model, pod.decoding, pod.config.generation.head_dtype)
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

    def make(lower):
        with jax.set_mesh(pod.decoding):
            return lower().compile()

    return {name: lambda lower=lower: make(lower) for name, lower in lowered.items()}


# --- Sizes ---------------------------------------------------------------------------------------


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
