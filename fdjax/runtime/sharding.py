"""One mesh, and the sharding of each array on it.

Axes: `replica` (across slices: whole copies), `fsdp` (parameters and rows cut), `tensor` (heads,
MLP and vocabulary cut). A single device is a mesh of (1, 1, 1).
"""

import functools
import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import mesh_utils, multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

AXES = ("replica", "fsdp", "tensor")
ROWS = ("replica", "fsdp")  # the axes that the rows of a batch are spread over

# (pattern of a path, spec of the *last* dimensions). The first match counts; a leading layer axis
# is never cut. Paths of moments and EMA end as those of their parameters: the same rules apply.
Rules = Sequence[tuple[str, PartitionSpec]]
RULES: Rules = (
    (r"embedding$", PartitionSpec("tensor", "fsdp")),  # [V, D]
    (r"lm_head$", PartitionSpec("fsdp", "tensor")),  # [D, V]
    (r"(q|k|v|gate|up)_proj/kernel$", PartitionSpec("fsdp", "tensor")),  # [in, out]
    (r"(q|k|v)_proj/bias$", PartitionSpec("tensor")),
    (r"(o|down)_proj/kernel$", PartitionSpec("tensor", "fsdp")),
    # LoRA: [in, rank] and [rank, out], cut as their kernel is.
    (r"(q|k|v|gate|up)_proj_lora/a$", PartitionSpec("fsdp", None)),
    (r"(q|k|v|gate|up)_proj_lora/b$", PartitionSpec(None, "tensor")),
    (r"(o|down)_proj_lora/a$", PartitionSpec("tensor", None)),
    (r"(o|down)_proj_lora/b$", PartitionSpec(None, "fsdp")),
)


def make_mesh(replica: int = 1, fsdp: int = 1, tensor: int = 1) -> Mesh:
    """A mesh of the first replica * fsdp * tensor devices. Raises ValueError if there are fewer."""
    shape, devices = (replica, fsdp, tensor), jax.devices()
    if math.prod(shape) > len(devices):
        raise ValueError(
            f"mesh {dict(zip(AXES, shape))} needs {math.prod(shape)} devices, there are"
            f" {len(devices)}: make the axes' product at most that"
        )
    return lay(devices[: math.prod(shape)], shape)


def lay(devices: Sequence[jax.Device], shape: Sequence[int]) -> Mesh:
    """A mesh of these devices, neighbours on an axis near one another.

    Unlike `jax.make_mesh` it may cut an axis of a TPU's torus in two: some slices have no other
    way to lay a mesh (a 4x4 of v6e with fsdp=8, tensor=2).
    """
    grid = mesh_utils.create_device_mesh(shape, devices, allow_split_physical_axes=True)
    return Mesh(grid, AXES, axis_types=(AxisType.Auto,) * 3)


def rows(mesh: Mesh) -> int:
    """Into how many parts the rows of a batch are cut."""
    return _size(mesh, ROWS)


def tree_shardings(shapes: Any, mesh: Mesh, rules: Rules = RULES) -> Any:
    """A NamedSharding per leaf of `shapes` (arrays or eval_shape's structs), by its path.

    Leaves without a rule are replicated. A dimension that its mesh axes do not divide is not cut.
    """

    def place(path, leaf):
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        spec = next((spec for pattern, spec in rules if re.search(pattern, name)), ())
        if len(spec) > len(leaf.shape):
            spec = ()  # a scalar or a factored moment under a parameter's path
        spec = (None,) * (len(leaf.shape) - len(spec)) + tuple(spec)
        cut = [
            axes if size % _size(mesh, axes) == 0 else None for axes, size in zip(spec, leaf.shape)
        ]
        return NamedSharding(mesh, PartitionSpec(*cut))

    return jax.tree_util.tree_map_with_path(place, shapes)


def put(batch: Any, mesh: Mesh) -> Any:
    """Host arrays [N, ...] -> global arrays, rows spread over (replica, fsdp).

    Every process holds the whole batch and transfers the rows of its own devices.
    """
    rows = _size(mesh, ROWS)

    def place(path, x):
        x = np.asarray(x)
        if x.shape[0] % rows:
            name = jax.tree_util.keystr(path, simple=True)
            raise ValueError(
                f"{name} has {x.shape[0]} rows, which replica * fsdp = {rows} does not divide:"
                " pad the batch to a multiple"
            )
        sharding = NamedSharding(mesh, PartitionSpec(ROWS))
        return jax.make_array_from_callback(x.shape, sharding, lambda index: x[index])

    return jax.tree_util.tree_map_with_path(place, batch)


def fetch(tree: Any) -> Any:
    """Global arrays -> whole numpy arrays on every process. To be called by all processes."""

    def get(x):
        if not isinstance(x, jax.Array) or x.is_fully_addressable or x.is_fully_replicated:
            return np.asarray(x)
        return multihost_utils.process_allgather(x, tiled=True)

    return jax.tree.map(get, tree)


def decoding_mesh(mesh: Mesh, config: Any) -> Mesh:
    """The devices of `mesh` for generation: `tensor` as large as the heads of keys and values, the
    query heads and the MLP allow, but within a replica, whose links are the fast ones; the rest for
    rows. No parameter is cut over rows, so that nothing gathers weights while tokens are written.
    """
    count = mesh.devices.size
    within = count // mesh.shape["replica"]
    tensor = math.gcd(within, config.num_kv_heads, config.num_heads, config.mlp_width)
    return Mesh(mesh.devices.reshape(count // tensor, 1, tensor), AXES, axis_types=mesh.axis_types)


def shard_rows(x: jax.Array, axis: int | None = 0, heads: int | None = None) -> jax.Array:
    """Inside jit under `jax.set_mesh`: keep `axis` spread over (replica, fsdp), or with None all
    rows on each of them, and the axis `heads`, if it is given and tensor divides it, over tensor.
    `x` without a mesh, and where the rows do not divide.

    Without it the compiler may shard activations as the parameters that they are multiplied with.
    """
    mesh = jax.sharding.get_abstract_mesh()
    if not set(AXES) <= set(mesh.axis_names):
        return x
    spec = [None] * x.ndim
    if axis is not None:
        if x.shape[axis] % _size(mesh, ROWS):
            return x
        spec[axis] = ROWS
    if heads is not None and x.shape[heads] % _size(mesh, "tensor") == 0:
        spec[heads] = "tensor"
    return jax.lax.with_sharding_constraint(x, PartitionSpec(*spec))


def map_rows(function: Callable[[Any, Any], tuple[Any, Any]], rows: Any, whole: Any) -> Any:
    """Inside jit: function(rows, whole) -> (values of each row, sums over rows), on each device
    with its own rows. `rows` and the values are pytrees of [N, ...], N spread over (replica, fsdp);
    `whole` is a pytree of what all rows need.

    `whole` is gathered once, before the function, and the sums are reduced once, after it: a loop
    in the function has no collective over (replica, fsdp). The sums are cut over fsdp along their
    first axis. Axis `tensor` is left to the compiler. Without a mesh, and where the rows do not
    divide, the function gets all rows.
    """
    mesh, N = jax.sharding.get_abstract_mesh(), jax.tree.leaves(rows)[0].shape[0]
    if not set(AXES) <= set(mesh.axis_names) or _size(mesh, ROWS) == 1 or N % _size(mesh, ROWS):
        return function(rows, whole)
    fsdp = mesh.shape["fsdp"]

    def cut(x):
        return PartitionSpec("fsdp") if x.ndim and x.shape[0] % fsdp == 0 else PartitionSpec()

    def by_columns(collective, x):
        # The compiler would gather what it cuts over `tensor` before a collective.
        wide = x.ndim > 1 and x.shape[-1] % _size(mesh, "tensor") == 0
        spec = PartitionSpec(*(x.ndim - 1) * (None,), "tensor") if wide else PartitionSpec()
        return jax.shard_map(
            collective, in_specs=spec, out_specs=spec, axis_names={"tensor"}, check_vma=False
        )(x)

    def gather(x, spec):
        collective = functools.partial(jax.lax.all_gather, axis_name="fsdp", tiled=True)
        return by_columns(collective, x) if "fsdp" in spec else x

    def scatter(x):
        # psum_scatter, of which TPU's compiler makes an all-reduce: twice the bytes.
        parts = x.reshape(fsdp, -1, *x.shape[1:])
        return jax.lax.psum(jax.lax.all_to_all(parts, "fsdp", 0, 0).sum(0), "replica")

    def reduce(x, spec):
        return by_columns(scatter, x) if "fsdp" in spec else jax.lax.psum(x, ROWS)

    def on_device(rows, whole):
        values, sums = function(rows, jax.tree.map(gather, whole, whole_specs))
        return values, jax.tree.map(reduce, sums, sum_specs)

    whole = jax.tree.map(jnp.asarray, whole)
    whole_specs = jax.tree.map(cut, whole)
    sum_specs = jax.tree.map(cut, jax.eval_shape(function, rows, whole)[1])
    return jax.shard_map(
        on_device,
        in_specs=(PartitionSpec(ROWS), whole_specs),
        out_specs=(PartitionSpec(ROWS), sum_specs),
        axis_names=set(ROWS),
        check_vma=False,
    )(rows, whole)


def _size(mesh, axes):
    axes = () if axes is None else (axes,) if isinstance(axes, str) else axes
    return math.prod(mesh.shape[a] for a in axes)
