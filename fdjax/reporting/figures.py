"""The plots of reports and comparisons.

`svg` draws for a page: its figures refer to the CSS variables --ink, --grid, --font and
--series0 ... --series7 that the page defines.
"""

import io
import re
import statistics
from collections.abc import Callable, Mapping, Sequence

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator

from fdjax.reporting.summary import SPLITS, evaluated

WIDTH = 9.6  # inches
Metrics = Mapping[str, Sequence[Mapping]]  # stage -> lines of its metrics.jsonl

# Matplotlib has no CSS variables: `svg` draws in these colours and replaces them by variables.
_INK, _GRID = "#010101", "#020202"
_SERIES = [f"#0{i}0303" for i in range(1, 9)]
_STYLE = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.grid": True,
    "axes.edgecolor": _GRID,
    "axes.labelcolor": _INK,
    "text.color": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "grid.color": _GRID,
    "grid.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.titlesize": 10,
    "legend.frameon": False,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "lines.linewidth": 2,
}


def pass_at_k_figure(summary: Mapping) -> str:
    """SVG: pass@k over k of each stage, a panel for each split; empty without evaluations."""
    panels: dict[str, list[tuple[str, float | None, dict]]] = {}
    for split, name, temperature, figures in evaluated(summary):
        panels.setdefault(split, []).append((name, temperature, figures["pass_at_k"]))
    if not panels:
        return ""
    colours = {name: f"C{i}" for i, name in enumerate(summary["stages"])}

    def draw(figure: Figure) -> None:
        axes = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
        for axis, (split, curves) in zip(axes, panels.items()):
            for name, temperature, values in curves:
                x, colour = [int(k) for k in values], colours[name]
                low, mean, high = ([v[f] for v in values.values()] for f in ("low", "mean", "high"))
                if temperature is None:
                    axis.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
                    axis.plot(x, mean, color=colour, marker="o", markersize=5, label=name)
                else:
                    label = f"{name} at T = {temperature}"
                    dashes = (0, (3, 2))
                    axis.plot(x, mean, color=colour, linestyle=dashes, linewidth=1.3, label=label)
                axis.set_xscale("log", base=2)
                axis.set_xticks(x, list(values))
                axis.minorticks_off()
            axis.set(title=SPLITS[split], xlabel="k", ylim=(0, 1))
        axes[0].legend(loc="upper left")

    return svg(draw, "pass", height=3.6)


def training_figure(metrics: Metrics, stages: Sequence[str] = ()) -> str:
    """SVG: solve rate and entropy of all stages, and the loss of each in a panel of its own.

    `stages`: all of the run, so that each has the colour that it has in the pass@k figure.
    """
    stages = list(dict.fromkeys([*stages, *metrics]))
    shared = {
        "solve rate": _curves(metrics, "solve_rate"),
        "entropy, nats per token": _curves(metrics, "policy_entropy", "entropy"),
    }
    losses = {f"{s}: loss": {s: points} for s, points in _curves(metrics, "loss").items()}
    rows = [panels for panels in ({k: v for k, v in shared.items() if v}, losses) if panels]
    if not rows:
        return ""

    def draw(figure: Figure) -> None:
        for part, panels in zip(figure.subfigures(len(rows), 1, squeeze=False)[:, 0], rows):
            part.patch.set_alpha(0)
            axes = part.subplots(1, len(panels), squeeze=False)[0]
            for axis, (title, curves) in zip(axes, panels.items()):
                for stage, points in curves.items():
                    colour = f"C{stages.index(stage)}"
                    steps, values = zip(*points)
                    axis.plot(steps, values, color=colour, alpha=0.3, linewidth=1)
                    axis.plot(steps, smooth(values), color=colour, label=stage)
                    axis.set_ylim(bottom=min(0, axis.get_ylim()[0] if min(values) < 0 else 0))
                axis.set(title=title, xlabel="step")
                axis.xaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True))
                if len(curves) > 1:
                    axis.legend()

    return svg(draw, "training", height=2.6 * len(rows))


def _curves(metrics: Metrics, *names: str) -> dict[str, list[tuple[int, float]]]:
    """Stage -> (step, counted from 1; value) of the first of `names` that the stage has."""
    curves = {}
    for stage, lines in metrics.items():
        for name in names:
            points = [(x["step"] + 1, x[name]) for x in lines if x.get(name) is not None]
            if points and stage not in curves:
                curves[stage] = points
    return curves


def smooth(values: Sequence[float], parts: int = 10) -> list[float]:
    """At each step the mean of the last values: as many as one of `parts` of all."""
    window = max(1, len(values) // parts)
    return [statistics.fmean(values[max(0, i + 1 - window) : i + 1]) for i in range(len(values))]


def timing_figure(metrics: Metrics) -> str:
    """SVG: a bar per stage, the median seconds of the parts of a step, and a mark at the median of
    the whole step.
    """
    medians = {}
    for stage, lines in metrics.items():
        names = dict.fromkeys(name for line in lines for name in line if name.startswith("time/"))
        seconds = {
            name.removeprefix("time/"): statistics.median(line.get(name, 0.0) for line in lines)
            for name in names
        }
        medians |= {stage: seconds} if seconds else {}
    # The wait for Lean and feedback is contained in their own seconds.
    parts = list(dict.fromkeys(p for m in medians.values() for p in m if p not in ("step", "wait")))
    if not parts:
        return ""

    def draw(figure: Figure) -> None:
        axis = figure.subplots()
        left = [0.0] * len(medians)
        for i, part in enumerate(parts):
            widths = [m.get(part, 0.0) for m in medians.values()]
            axis.barh(list(medians), widths, left=left, color=f"C{i}", label=part, height=0.55)
            left = [at + width for at, width in zip(left, widths)]
        for row, m in enumerate(medians.values()):
            if "step" in m:
                axis.plot([m["step"]] * 2, [row - 0.38, row + 0.38], color=_INK, linewidth=1.5)
        axis.invert_yaxis()
        axis.grid(axis="y", visible=False)
        axis.set_xlabel("seconds")
        axis.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))

    return svg(draw, "timing", height=0.9 + 0.55 * len(medians))


LEGEND_COLUMNS = 3  # of a comparison


def draw_comparison(figure: Figure, curves: Mapping[str, Sequence[Mapping]]) -> None:
    """Solve rate and entropy over rollouts and over FLOPs, a curve for each run.

    `curves`: run -> points {"rollouts", "flops", "solve_rate", "entropy"}; for `svg` and `png`.
    """
    values = {"solve_rate": "solve rate while training", "entropy": "entropy, nats per token"}
    costs = {"rollouts": "rollouts", "flops": "FLOPs"}
    colours = len(matplotlib.rcParams["axes.prop_cycle"])
    dashes = ("-", (0, (5, 2)), (0, (2, 1)))  # for further runs in the same colours
    grid = figure.subplots(len(values), len(costs), sharex="col", sharey="row")
    for axes, (value, title) in zip(grid, values.items()):
        for axis, cost in zip(axes, costs):
            for i, (run, points) in enumerate(curves.items()):
                points = [p for p in points if p[value] is not None]
                x, y = [p[cost] for p in points], [p[value] for p in points]
                style = {"color": f"C{i}", "linestyle": dashes[i // colours % len(dashes)]}
                axis.plot(x, y, alpha=0.25, linewidth=1, **style)
                axis.plot(x, smooth(y), label=run, **style)
            axis.set(title=title, ylim=(0, None))
            axis.locator_params(axis="x", nbins=5)
            axis.xaxis.set_major_formatter(EngFormatter(sep=""))
    for axis, label in zip(grid[-1], costs.values()):
        axis.set_xlabel(f"{label} since the start")
    lines = grid[0][0].get_legend_handles_labels()
    figure.legend(*lines, loc="outside lower center", ncols=LEGEND_COLUMNS)


def png(draw: Callable[[Figure], None], *, height: float) -> bytes:
    """A figure of that height in inches that `draw` draws on: white, with default colours."""
    style = {name: value for name, value in _STYLE.items() if value not in (_INK, _GRID)}
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(WIDTH, height), layout="constrained", dpi=120)
        draw(figure)
        out = io.BytesIO()
        figure.savefig(out, format="png", metadata={"Software": None})
    return out.getvalue()


def svg(draw: Callable[[Figure], None], name: str, *, height: float) -> str:
    """The same as inline SVG in the page's colours and font. `name`: unique within the page."""
    cycle = matplotlib.cycler(color=_SERIES)
    with matplotlib.rc_context(_STYLE | {"svg.hashsalt": name, "axes.prop_cycle": cycle}):
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        draw(figure)
        out = io.StringIO()
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    text = out.getvalue()[out.getvalue().index("<svg") :]
    for colour, variable in {_INK: "--ink", _GRID: "--grid"}.items():
        text = text.replace(colour, f"var({variable})")
    for i, colour in enumerate(_SERIES):
        text = text.replace(colour, f"var(--series{i})")
    # An id must occur once in a page, which may hold several figures.
    text = re.sub(r' (id|xlink:href)="(#?)', rf' \1="\2{name}-', text)
    text = text.replace("url(#", f"url(#{name}-")
    text = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", text, flags=re.DOTALL)
    return re.sub(r"(font(-family)?: [^;\"]*?)'DejaVu Sans'[^;\"]*", r"\1var(--font)", text)
