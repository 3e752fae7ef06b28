"""Checkpoints of a stage (Orbax): written in the background, restored onto any mesh, bit for bit.

`state` is any NamedTuple with a field `params`, which is saved as an item of its own, so that it
can be restored without the rest.
"""

import functools
import itertools
import json
import math
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import orbax.checkpoint as ocp
from orbax.checkpoint.checkpoint_managers import AnyPreservationPolicy, BestN, LatestN
from rich.markup import escape

from fdjax.runtime import checksums, hosts
from fdjax.runtime.files import CorruptFile, read_object
from fdjax.runtime.metrics import console

_UNFINISHED = ".orbax-checkpoint-tmp"  # in the name of a folder that Orbax writes


class OtherLayout(ValueError):
    """A checkpoint's arrays have other names, shapes or dtypes than the target's."""


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
        self._folder, self._keep, self._best = Path(folder).absolute(), keep, best

    @functools.cached_property
    def _manager(self) -> ocp.CheckpointManager:
        """Constructed at the first save, since it reads all checkpoints: one may be damaged."""

        def score(metrics: Mapping[str, float]) -> float:
            return metrics.get(self._best, -math.inf)

        def seal_new() -> None:  # in the background, before the folder gets its final name
            for made in self._folder.glob(f"*{_UNFINISHED}*"):
                checksums.seal(made)

        policies = [LatestN(self._keep)]
        policies += [BestN(get_metric_fn=score, n=1)] if self._best else []
        return ocp.CheckpointManager(
            self._folder,
            item_handlers={
                "state": ocp.StandardCheckpointHandler(),
                "params": ocp.StandardCheckpointHandler(),
                "meta": ocp.JsonCheckpointHandler(),
            },
            options=ocp.CheckpointManagerOptions(
                preservation_policy=AnyPreservationPolicy(policies),
                cleanup_tmp_directories=True,
                best_fn=score if self._best else None,
                async_options=ocp.AsyncOptions(post_finalization_callback=seal_new),
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
                # A copy: it is written later, when training may have changed it.
                meta=ocp.args.JsonSave(json.loads(json.dumps(dict(meta or {})))),
            ),
            metrics=dict(metrics or {}),
        )

    def latest(self) -> int | None:
        """The latest step, damaged or not; None where there is no checkpoint."""
        return max(self._steps(), default=None)

    def restore(self, target: Any, step: int | None = None) -> Restored | None:
        """The latest whole checkpoint, or that of `step`; None where there is none at all.

        `target` is a state (arrays or ShapeDtypeStructs) with the shardings of the result. Later
        checkpoints that are damaged get another name, and a warning. Raises CorruptFile where no
        checkpoint, or that of `step`, is whole; ValueError naming the arrays whose shape or dtype
        differs in the checkpoint.
        """
        damaged: dict[int, str] = {}
        for number in sorted(self._steps(), reverse=True) if step is None else [step]:
            found = self._whole(target, number)
            if isinstance(found, Restored):
                if step is None:
                    self._set_aside(damaged, number)
                return found
            damaged[number] = found
        if not damaged:
            return None
        reasons = "".join(f"\n  {text}" for text in damaged.values())
        if step is None:
            remedy = f"Remove {self._folder}, and training begins anew"
        else:
            remedy = "Train it again: that goes on from the checkpoint before"
        raise CorruptFile(f"no checkpoint is whole:{reasons}\n{remedy}, or put back a copy")

    def _steps(self) -> list[int]:
        """The steps on disk. On several hosts the first decides: others may see the last later."""

        def steps() -> list[int]:
            names = [file.name for file in self._folder.glob("*")]
            return [int(name) for name in names if re.fullmatch("0|[1-9][0-9]*", name)]

        return hosts.broadcast("checkpoint", steps)

    def _whole(self, target: Any, step: int) -> Restored | str:
        """The checkpoint of `step`, or what is damaged. All hosts get the same answer."""
        folder = self._folder / str(step)
        if text := checksums.damage(folder):
            return text
        if hosts.broadcast("checksums", (folder / checksums.FILE).exists):
            return self._read(target, step)
        found, text = None, None
        try:
            found = self._read(target, step)
        except (OtherLayout, jax.errors.JaxRuntimeError):  # a full device is no damage
            raise
        except Exception as error:
            text = f"{folder} cannot be read: {str(error).splitlines()[0][:300]}"
        texts = hosts.allgather("read", lambda: text)
        return next((text for text in texts if text), found)

    def _read(self, target: Any, step: int) -> Restored:
        folder, handler = self._folder / str(step), ocp.StandardCheckpointHandler()
        found = {}
        items = {"state": target._replace(params=None), "params": target.params}
        for name, item in items.items():
            stored = _layout(handler.metadata(folder / name).tree)
            _check_layout(folder, name, stored, _layout(item))
        for name, item in items.items():
            abstract = jax.tree.map(ocp.utils.to_shape_dtype_struct, item)
            args = ocp.args.StandardRestore(abstract)
            found[name] = handler.restore(folder / name, args=args)
        meta = read_object(folder / "meta" / "metadata")
        return Restored(found["state"]._replace(params=found["params"]), meta, step)

    def _set_aside(self, damaged: dict[int, str], whole: int) -> None:
        """Renames damaged checkpoints, with a warning: the run will save those steps again."""

        def rename() -> None:
            for step, text in damaged.items():
                folder = self._folder / str(step)
                names = (folder.with_name(f"{step}.damaged{i or ''}") for i in itertools.count())
                new = next(name for name in names if not name.exists())
                folder.rename(new)
                console.print(
                    f"[bold]warning[/]: the checkpoint of step {step} is damaged: {escape(text)}. "
                    f"Going on from step {whole}. It is now {escape(str(new))}, and can be removed."
                )

        older = [step for step in self._steps() if step < whole]
        found = {n: checksums.damage(self._folder / str(n), contents=False) for n in older}
        damaged = damaged | {step: text for step, text in found.items() if text}
        hosts.broadcast("set aside", rename)

    def wait(self) -> None:
        """Waits until all saves are on disk."""
        self._manager.wait_until_finished()

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *_) -> None:
        if "_manager" in vars(self):
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
    checksums.check(item.parent, item.name)
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
        raise OtherLayout(
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
