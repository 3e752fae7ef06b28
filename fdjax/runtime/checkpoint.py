"""Checkpoints of a stage (Orbax): written in the background, restored onto any mesh, bit for bit.

`state` is any NamedTuple with a field `params`, which is kept as an item of its own, so that it can
be restored without the rest.
"""

import math
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import orbax.checkpoint as ocp
from orbax.checkpoint.checkpoint_managers import AnyPreservationPolicy, BestN, LatestN

from fdjax.runtime import hosts


class Restored(NamedTuple):
    state: Any
    meta: dict[str, Any]
    step: int


class Checkpoints:
    """A folder of checkpoints: the latest `keep`, and the best by the metric `best`, if named.

    A checkpoint that a crash left half-written is never seen. Use as a context manager, or call
    `close`: the last save may still be under way.
    """

    def __init__(self, folder: str | os.PathLike, *, keep: int = 2, best: str | None = None):
        self._folder = Path(folder).absolute()
        policies, tracked = [LatestN(keep)], {}
        if best is not None:

            def score(metrics: Mapping[str, float]) -> float:
                return metrics.get(best, -math.inf)

            policies.append(BestN(get_metric_fn=score, n=1))
            tracked["best_fn"] = score
        self._manager = _manager(
            self._folder,
            preservation_policy=AnyPreservationPolicy(policies),
            cleanup_tmp_directories=True,
            **tracked,
        )

    def save(
        self,
        step: int,
        state: Any,
        meta: Mapping[str, Any] | None = None,
        metrics: Mapping[str, float] | None = None,
    ) -> None:
        """Returns as soon as `state` may be donated; the disk holds it after `wait`.

        `meta` is JSON data. A save that failed in the background raises here or in `wait`.
        """
        self._manager.save(
            step,
            args=ocp.args.Composite(
                state=ocp.args.StandardSave(state._replace(params=None)),
                params=ocp.args.StandardSave(state.params),
                meta=ocp.args.JsonSave(dict(meta or {})),
            ),
            metrics=dict(metrics or {}),
        )

    def latest(self) -> int | None:
        """Its step; None where there is no checkpoint. On several hosts the first says which it is:
        others may not see yet what was written last.
        """
        return hosts.broadcast("checkpoint", self._manager.latest_step)

    def restore(self, target: Any, step: int | None = None) -> Restored | None:
        """The latest checkpoint, or that of `step`; None where there is none.

        `target` is a state (arrays or ShapeDtypeStructs) whose shardings the result takes.
        Raises ValueError naming the arrays whose shape or dtype is another in the checkpoint.
        """
        if step is None:
            step = self.latest()
        if step is None:
            return None
        items = {"state": target._replace(params=None), "params": target.params}
        found = _restore(self._manager, self._folder, step, items, meta=ocp.args.JsonRestore())
        return Restored(found.state._replace(params=found.params), found.meta, step)

    @property
    def steps(self) -> list[int]:
        return sorted(self._manager.all_steps())

    @property
    def best_step(self) -> int | None:
        """The step with the highest metric `best`, or the latest if none is named."""
        return self._manager.best_step()

    def wait(self) -> None:
        """Until the disk holds all that was saved."""
        self._manager.wait_until_finished()

    def close(self) -> None:
        self._manager.close()  # waits

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *_) -> None:
        self.close()


def restore_params(item: str | os.PathLike, target: Any) -> Any:
    """Only the parameters, from STEP/params of a folder of checkpoints, or any other Orbax item.

    `target` holds arrays or ShapeDtypeStructs with the shardings to restore onto. What is stored
    in half precision may be wider there. Raises FileNotFoundError if there is no such item,
    ValueError as `Checkpoints.restore` does.
    """
    item = Path(item).absolute()
    if not (item / "_METADATA").exists():
        raise FileNotFoundError(f"{item} is no item of an Orbax checkpoint")
    handler = ocp.StandardCheckpointHandler()
    there, here = _layout(handler.metadata(item).tree), _layout(target)
    for path, layout in there.items():
        if re.sub("^b?float16", "float32", layout) == here.get(path):
            there[path] = here[path]
    _refuse_differences(item, "params", there, here)
    abstract = jax.tree.map(ocp.utils.to_shape_dtype_struct, target)
    return handler.restore(item, args=ocp.args.StandardRestore(abstract))


def _manager(folder: Path, **options) -> ocp.CheckpointManager:
    handlers = {
        "state": ocp.StandardCheckpointHandler(),
        "params": ocp.StandardCheckpointHandler(),
        "meta": ocp.JsonCheckpointHandler(),
    }
    return ocp.CheckpointManager(
        folder, item_handlers=handlers, options=ocp.CheckpointManagerOptions(**options)
    )


def _restore(manager, folder: Path, step: int, items: dict[str, Any], **other):
    metadata = manager.item_metadata(step)
    for name, target in items.items():
        there = _layout(metadata[name].tree)
        _refuse_differences(folder / str(step), name, there, _layout(target))
    abstract = jax.tree.map(ocp.utils.to_shape_dtype_struct, items)
    restores = {name: ocp.args.StandardRestore(target) for name, target in abstract.items()}
    return manager.restore(step, args=ocp.args.Composite(**restores, **other))


def _refuse_differences(where: Path, name: str, there: dict[str, str], here: dict[str, str]):
    # Orbax casts a dtype silently, and names no array where a structure differs.
    differences = [
        f"{name}.{path}: {there.get(path, 'nothing')} there, {here.get(path, 'nothing')} here"
        for path in {**there, **here}
        if there.get(path) != here.get(path)
    ]
    if differences:
        more = f"\n  and {len(differences) - 8} more" if len(differences) > 8 else ""
        raise ValueError(
            f"the checkpoint {where} is of another model or optimizer:\n  "
            + "\n  ".join(differences[:8])
            + more
        )


def _layout(tree: Any) -> dict[str, str]:
    """Path -> "float32[4,8]" of each array, in the same words for states and for metadata."""

    def describe(leaf) -> str:
        if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            leaf = jax.eval_shape(jax.random.key_data, leaf)
        return f"{jax.numpy.dtype(leaf.dtype).name}[{','.join(map(str, leaf.shape))}]"

    return {
        jax.tree_util.keystr(path, simple=True, separator="."): describe(leaf)
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }
