"""Checkpoints of a stage (Orbax): written in the background, restored onto any mesh, bit for bit.

`state` is any NamedTuple with a field `params`, which is saved as an item of its own, so that it
can be restored without the rest.
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
    """A folder of checkpoints: the latest `keep`, and the one with the highest metric `best`.

    Incomplete checkpoints, as a crash leaves them, are ignored. A context manager: at its end it
    waits for the last save.
    """

    def __init__(self, folder: str | os.PathLike, *, keep: int = 2, best: str | None = None):
        self._folder = Path(folder).absolute()

        def score(metrics: Mapping[str, float]) -> float:
            return metrics.get(best, -math.inf)

        policies = [LatestN(keep)] + ([BestN(get_metric_fn=score, n=1)] if best else [])
        self._manager = ocp.CheckpointManager(
            self._folder,
            item_handlers={
                "state": ocp.StandardCheckpointHandler(),
                "params": ocp.StandardCheckpointHandler(),
                "meta": ocp.JsonCheckpointHandler(),
            },
            options=ocp.CheckpointManagerOptions(
                preservation_policy=AnyPreservationPolicy(policies),
                cleanup_tmp_directories=True,
                best_fn=score if best else None,
            ),
        )

    def save(
        self,
        step: int,
        state: Any,
        meta: Mapping[str, Any] | None = None,
        metrics: Mapping[str, float] | None = None,
    ) -> None:
        """Returns as soon as `state` may be donated; it is on disk after `wait`.

        `meta` is JSON data. If saving fails in the background, the next `save` or `wait` raises.
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
        """The latest step; None where there is no checkpoint. On several hosts it is that of the
        first: others may not see yet what was written last.
        """
        return hosts.broadcast("checkpoint", self._manager.latest_step)

    def restore(self, target: Any, step: int | None = None) -> Restored | None:
        """The latest checkpoint, or that of `step`; None where there is none.

        `target` is a state (arrays or ShapeDtypeStructs) with the shardings of the result. Raises
        ValueError naming the arrays whose shape or dtype differs in the checkpoint.
        """
        if step is None:
            step = self.latest()
        if step is None:
            return None
        items = {"state": target._replace(params=None), "params": target.params}
        metadata = self._manager.item_metadata(step)
        for name, item in items.items():
            stored = _layout(metadata[name].tree)
            _check_layout(self._folder / str(step), name, stored, _layout(item))
        abstract = jax.tree.map(ocp.utils.to_shape_dtype_struct, items)
        restores = {name: ocp.args.StandardRestore(item) for name, item in abstract.items()}
        restores["meta"] = ocp.args.JsonRestore()
        found = self._manager.restore(step, args=ocp.args.Composite(**restores))
        return Restored(found.state._replace(params=found.params), found.meta, step)

    def wait(self) -> None:
        """Waits until all saves are on disk."""
        self._manager.wait_until_finished()

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *_) -> None:
        self._manager.close()  # waits


def restore_params(item: str | os.PathLike, target: Any) -> Any:
    """Only the parameters: STEP/params in a folder of checkpoints, or any other Orbax item.

    `target` holds arrays or ShapeDtypeStructs with the shardings of the result; arrays that are
    stored in half precision may be float32 there. Raises FileNotFoundError if there is no such
    item, ValueError as `Checkpoints.restore` does.
    """
    item = Path(item).absolute()
    if not (item / "_METADATA").exists():
        raise FileNotFoundError(f"{item} is no item of an Orbax checkpoint")
    handler = ocp.StandardCheckpointHandler()
    stored, wanted = _layout(handler.metadata(item).tree), _layout(target)
    for path, layout in stored.items():
        if re.sub("^b?float16", "float32", layout) == wanted.get(path):
            stored[path] = wanted[path]
    _check_layout(item, "params", stored, wanted)
    abstract = jax.tree.map(ocp.utils.to_shape_dtype_struct, target)
    return handler.restore(item, args=ocp.args.StandardRestore(abstract))


def _check_layout(where: Path, name: str, stored: dict[str, str], wanted: dict[str, str]):
    # Orbax casts dtypes silently, and does not name the array where structures differ.
    differences = [
        f"{name}.{path}: {stored.get(path, 'nothing')} there, {wanted.get(path, 'nothing')} here"
        for path in {**stored, **wanted}
        if stored.get(path) != wanted.get(path)
    ]
    if differences:
        more = f"\n  and {len(differences) - 8} more" if len(differences) > 8 else ""
        raise ValueError(
            f"the checkpoint {where} is of another model or optimizer:\n  "
            + "\n  ".join(differences[:8])
            + more
        )


def _layout(tree: Any) -> dict[str, str]:
    """Path -> "float32[4,8]" of each array of a state, or of the metadata of a checkpoint."""

    def describe(leaf) -> str:
        if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            leaf = jax.eval_shape(jax.random.key_data, leaf)
        return f"{jax.numpy.dtype(leaf.dtype).name}[{','.join(map(str, leaf.shape))}]"

    return {
        jax.tree_util.keystr(path, simple=True, separator="."): describe(leaf)
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }
