"""What `fdjax plan` prints, and the same figures as data."""

import json
import math
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from fdjax.runtime.sharding import AXES
from fdjax.training import state
from fdjax.training.planning import estimate as estimates
from fdjax.training.planning import updates
from fdjax.training.planning.parts import COUNTED, DoesNotFit, at_least, seconds
from fdjax.training.planning.pod import size
from fdjax.training.planning.search import Answer, Candidate, Question
from fdjax.training.planning.slices import Slice

GB, TERA = 1e9, 1e12
KINDS = ("all_reduce", "all_gather", "reduce_scatter", "all_to_all", "permute")


# --- One plan ------------------------------------------------------------------------------------


def of_plan(what: Question, found: Answer) -> tuple[str, dict[str, Any]]:
    """(what is printed, the figures)"""
    data = plan_data(what, found)
    texts = [
        head(what, found),
        columns(["on a chip", unit(data["memory"])[0]], memory_rows(data["memory"])),
        columns(*function_rows(data["functions"])),
        columns(*step_rows(data["step"])),
        "\n".join(step_lines(what, found)),
    ]
    return "\n\n".join(texts), data


def plan_data(what: Question, found: Answer) -> dict[str, Any]:
    made, e, chip = found.pod, found.estimate, what.where.chip
    functions = {}
    for name, part in found.parts.named().items():
        needs = seconds(part.cost, chip)
        functions[name] = {
            "calls": e.calls.get(name, 0),
            "memory": part.memory,
            "temporary": part.temporary,
            "code": part.code,
            "flops": part.cost.flops,
            "hbm": part.cost.hbm,
            **{kind: getattr(part.cost, kind) for kind in KINDS},
            "seconds_at_least": at_least(part.cost, chip),
            **{f"seconds_{what_}": value for what_, value in needs.items()},
            "binds": max(needs, key=needs.get),
            "how": part.how,
        }
    named = found.parts.named()
    most = max(named, key=lambda name: named[name].held + named[name].temporary)
    sizes = {
        "state": size(made.state),
        "gradient": size(updates.gradient(made)),
        "weights for decoding": size(made.weights),
        "keys and values": size((made.slots.cache, made.store)),
        f"most at a time ({most})": e.memory,
        "there is": chip.memory,
        "left": e.room,
    }
    parts = {f"{name} (sampling)": e.seconds[name] for name in found.parts.generation}
    parts |= {name: s for name, s in e.seconds.items() if name not in found.parts.generation}
    parts |= {"waiting for Lean": e.lean_wait} if e.lean_wait else {}
    return {
        "topology": what.where.name,
        "chips": len(what.where.devices),
        "mesh": dict(made.training.shape),
        "decoding_mesh": dict(made.decoding.shape),
        "slots": made.shapes.slots,
        "columns": made.shapes.columns,
        "bounds": True,
        "arithmetic_alone": is_counted(found),
        "assumed": what.given._asdict(),
        "memory": sizes,
        "functions": functions,
        "step": {"parts": parts, "seconds": e.step},
        "estimate": e._asdict() | {"step": e.step, "fits": e.fits},
    }


def is_counted(found: Answer) -> bool:
    return found.parts.apply.how == COUNTED


def head(what: Question, found: Answer) -> str:
    made, where = found.pod, what.where
    source = (
        "by arithmetic alone, nothing was compiled" if is_counted(found) else "as compiled for it"
    )
    lines = [
        f"{where.name}: {len(where.devices)} chips on {_mesh(made.training.shape)}, "
        f"generation on {_mesh(made.decoding.shape)}; {source}",
        f"{_count(made.state.params)} parameters in {made.model.num_layers} layers; "
        f"{made.shapes.slots} slots of {made.shapes.columns:,} columns",
        "Times are bounds: at least so many seconds, at the vendor's peaks, where no function and "
        "no chip waits for another.",
    ]
    if estimates.scoring_is_left_out(made):
        lines.append("Left out: the log-probabilities that this stage computes before an update.")
    if made.config.environment.name:
        lines.append("Left out: the time in which the model reads the environment's answers.")
    return "\n".join(lines)


def memory_rows(memory: dict[str, float]) -> list[list[str]]:
    shown = {name: x for name, x in memory.items() if name not in ("there is", "left")}
    scale = unit(memory)[1]
    rows = [[name, figure(value / scale)] for name, value in shown.items()]
    if math.isfinite(memory["there is"]):
        fits = "fits, left" if memory["left"] >= 0 else "does not fit, over by"
        rows.append(["a chip has", figure(memory["there is"] / scale)])
        rows.append([fits, figure(abs(memory["left"]) / scale)])
    return rows


def unit(memory: dict[str, float]) -> tuple[str, float]:
    """Of small models MB."""
    largest = max(x for x in memory.values() if math.isfinite(x))
    return ("GB", GB) if largest >= GB else ("MB", 1e6)


def function_rows(functions: dict[str, dict]) -> tuple[list[str], list[list[str]]]:
    named = {"all_reduce": "all-reduce", "all_gather": "all-gather"}
    named |= {"reduce_scatter": "red.-scatter", "all_to_all": "all-to-all", "permute": "permute"}
    used = [kind for kind in KINDS if any(f[kind] for f in functions.values())]
    title = ["one call, on a chip", "calls", "GB in all", "TFLOP", "HBM GB"]
    title += [f"{named[kind]} GB" for kind in used] + ["MXU ms", "HBM ms", "ICI ms", "binds"]
    rows = [
        [
            name + ("" if f["how"].split()[0] != "scaled" else " ~"),
            f"{f['calls']:,.10g}",
            _gb(f["memory"]),
            figure(f["flops"] / TERA),
            figure(f["hbm"] / GB),
            *(figure(f[kind] / GB) for kind in used),
            *(figure(1e3 * f[f"seconds_{x}"]) for x in ("MXU", "HBM", "ICI")),
            f["binds"],
        ]
        for name, f in functions.items()
    ]
    return title, rows


def step_rows(step: dict) -> tuple[list[str], list[list[str]]]:
    rows = [
        [name, figure(value), f"{value / step['seconds']:.1%}"]
        for name, value in step["parts"].items()
    ]
    rows.append(["a step", figure(step["seconds"]), ""])
    return ["of a step", "s at least", "share"], rows


def step_lines(what: Question, found: Answer) -> list[str]:
    e, given, stage = found.estimate, what.given, what.stage
    attempts = stage.prompts_per_step * stage.samples_per_prompt
    scaled = [p for p in found.parts.updates.values() if p.how.startswith("scaled")]
    lines = []
    if scaled:
        count = len(found.parts.updates)
        lines.append(
            f"~: scaled by its tokens: of {count} shapes of microbatches the {count - len(scaled)} "
            f"largest were compiled; --shapes={count} compiles all"
        )
    if "layers" in (how := found.parts.generation["weights"].how):
        lines.append(f"generation was {how}, and is carried on to {found.pod.model.num_layers}")
    lines += [
        f"assumed: {attempts} attempts of {given.response:,.0f} tokens (lognormal, sigma "
        f"{given.spread:g}, at most {given.longest:,}), prompts of {given.prompt:,.0f}, of the "
        f"teacher {given.teacher:,.0f}; Lean {given.lean:g} s a candidate",
        f"sampling {figure(e.sampling)} s, update {figure(e.update)} s, a step {figure(e.step)} s "
        "at least",
        f"tokens: {e.tokens:,} written a step, at most {e.tokens / e.sampling:,.0f} a second while "
        f"sampling, {e.tokens / e.step:,.0f} a second of the step; "
        f"{e.padding:.0%} of the update's columns are padding",
        f"MFU of the update at most {e.mfu:.0%}, of the step {e.mfu_step:.0%} "
        "(FLOPs of real tokens, none counted twice)",
        f"Lean: {e.workers_needed} workers so that the device does not wait; with {e.workers} it "
        f"waits {figure(e.lean_wait)} s a step",
        f"an evaluation takes {figure(e.evaluation)} s at least",
    ]
    if e.price_step is not None:
        lines.append(
            f"price at ${given.price:g} a chip-hour: ${e.price_step:,.2f} a step, "
            f"${e.price_run:,.0f} for {stage.steps} steps and two evaluations, at least"
        )
    return lines


# --- A search ------------------------------------------------------------------------------------


def of_search(what: Question, found: Sequence[Candidate]) -> tuple[str, list[dict[str, Any]]]:
    title = ["mesh", "tokens", "GB", "left", "sampling s", "update s", "a step s", "MFU", "how"]
    rows, data = [], []
    for candidate in found:
        e = candidate.known
        how = "compiled" if candidate.answer else COUNTED
        if candidate.refused:
            how = refused(candidate.refused, what.where)
        elif not e.fits:
            how += ", does not fit"
        mesh = {axis: getattr(candidate.mesh, axis) for axis in AXES}
        rows.append(
            [
                _mesh(mesh),
                f"{candidate.tokens:,}",
                *map(_gb, (e.memory, e.room)),
                *(f"{x:,.1f}" for x in (e.sampling, e.update, e.step)),
                f"{e.mfu:.0%}",
                how,
            ]
        )
        data.append({"mesh": mesh, "tokens": candidate.tokens, "how": how})
        data[-1]["estimate"] = e._asdict() | {"step": e.step, "fits": e.fits}
    note = (
        "Seconds are at least, MFU at most. Those that fit stand first, the compiled ones before "
        "the others, each by its seconds."
    )
    return f"{what.where.name}, {len(found)} plans. {note}\n\n{columns(title, rows)}", data


def refused(error: DoesNotFit, where: Slice) -> str:
    needs = f" needs {error.needed / GB:.1f} GB, over the" if error.needed else " is over the"
    return f"does not fit: {error.name}{needs} {where.chip.memory / GB:.1f} GB of a chip"


# --- Text ----------------------------------------------------------------------------------------


def columns(title: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of Markdown, aligned."""
    widths = [max(len(row[i]) for row in [title, *rows]) for i in range(len(title))]

    def line(cells):
        padded = (
            c.ljust(w) if not i else c.rjust(w) for i, (c, w) in enumerate(zip(cells, widths))
        )
        return f"| {' | '.join(padded)} |"

    rule = "|".join("-" * (w + 2) for w in widths)
    return "\n".join([line(title), f"|{rule}|", *map(line, rows)])


def figure(value: float) -> str:
    """Three digits."""
    if not value:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{min(digits, 4)}f}"


def as_json(data: Any) -> str:
    """What has no bound is null."""

    def plain(x):
        if isinstance(x, dict):
            return {str(k): plain(v) for k, v in x.items()}
        if isinstance(x, list | tuple):
            return [plain(v) for v in x]
        if isinstance(x, np.generic):
            x = x.item()
        return None if isinstance(x, float) and not math.isfinite(x) else x

    return json.dumps(plain(data), indent=1) + "\n"


def _gb(value):
    return f"{value / GB:.2f}" if abs(value) >= 1e8 or not value else figure(value / GB)


def _mesh(shape):
    named = " ".join(f"{name}={n}" for name, n in dict(shape).items() if n != 1)
    return named or "one device"


def _count(params: state.Params) -> str:
    count = sum(math.prod(x.shape) for x in jax.tree.leaves(params))
    return f"{count / 1e9:.2f} B" if count > 1e8 else f"{count / 1e6:.2f} M"
