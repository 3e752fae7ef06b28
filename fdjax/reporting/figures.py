"""The report's plots, as inline SVG in the colours and font of the page that holds them.

The page defines the CSS variables --ink, --grid, --font and --series0 ... --series7.
"""

import io
import re
import statistics
from collections.abc import Callable, Mapping, Sequence

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

SPLITS = {"train": "RL pool", "heldout": "held-out"}
Metrics = Mapping[str, Sequence[Mapping]]  # stage -> lines of its metrics.jsonl

# Matplotlib knows no CSS variables: it draws in these colours, which then become variables.
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
    stages = summary.get("stages", {})
    splits = [s for s in SPLITS if any(s in stage for stage in stages.values())]
    if not splits:
        return ""

    def draw(figure: Figure) -> None:
        axes = figure.subplots(1, len(splits), squeeze=False, sharey=True)[0]
        for axis, split in zip(axes, splits):
            for colour, (name, stage) in zip(_SERIES, stages.items()):
                values = stage.get(split, {}).get("pass_at_k", {})
                ks = sorted(values, key=int)
                x = [int(k) for k in ks]
                low, mean, high = ([values[k][f] for k in ks] for f in ("low", "mean", "high"))
                axis.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
                axis.plot(x, mean, color=colour, marker="o", markersize=5, label=name)
                low_temperature = summary.get("low_temperature", {}).get(name, {})
                if values_at := low_temperature.get(split, {}).get("pass_at_k"):
                    axis.plot(
                        [int(k) for k in values_at],
                        [v["mean"] for v in values_at.values()],
                        color=colour,
                        linestyle=(0, (3, 2)),
                        linewidth=1.3,
                        label=f"{name} at T = {low_temperature['temperature']}",
                    )
                axis.set_xscale("log", base=2)
                axis.set_xticks(x, ks)
                axis.minorticks_off()
            axis.set(title=SPLITS[split], xlabel="k", ylim=(0, 1))
        axes[0].legend(loc="upper left")

    return svg(draw, "pass", height=3.6)


def training_figure(metrics: Metrics, stages: Sequence[str] = ()) -> str:
    """Solve rate and entropy of all stages together, the loss of each on a scale of its own.

    `stages`: all of the run, for the colours that they have in the other figure.
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
            for axis, (title, curves) in zip(
                part.subplots(1, len(panels), squeeze=False)[0], panels.items()
            ):
                for stage, points in curves.items():
                    colour = _SERIES[stages.index(stage) % len(_SERIES)]
                    steps, values = zip(*points)
                    axis.plot(steps, values, color=colour, alpha=0.3, linewidth=1)
                    axis.plot(steps, _smooth(values), color=colour, label=stage)
                    axis.set_ylim(bottom=min(0, axis.get_ylim()[0] if min(values) < 0 else 0))
                axis.set(title=title, xlabel="step")
                if len(curves) > 1:
                    axis.legend()

    return svg(draw, "training", height=2.6 * len(rows))


def _curves(metrics: Metrics, *names: str) -> dict[str, list[tuple[int, float]]]:
    """Stage -> (step, value) of the first of `names` that the stage has."""
    found = {}
    for stage, lines in metrics.items():
        for name in reversed(names):
            points = [(x["step"], x[name]) for x in lines if x.get(name) is not None]
            found |= {stage: points} if points else {}
    return found


def _smooth(values: Sequence[float]) -> list[float]:
    window = max(1, len(values) // 10)
    return [statistics.fmean(values[max(0, i + 1 - window) : i + 1]) for i in range(len(values))]


def timing_figure(metrics: Metrics) -> str:
    """A bar per stage: median seconds of a step's parts, and a mark at the whole step's."""
    medians = {}
    for stage, lines in metrics.items():
        names = dict.fromkeys(name for line in lines for name in line if name.startswith("time/"))
        medians[stage] = {
            name.removeprefix("time/"): statistics.median(line.get(name, 0.0) for line in lines)
            for name in names
        }
    medians = {stage: parts for stage, parts in medians.items() if parts}
    # The wait for Lean and feedback is in their own figures already.
    parts = list(dict.fromkeys(p for m in medians.values() for p in m if p not in ("step", "wait")))
    if not parts:
        return ""

    def draw(figure: Figure) -> None:
        axis = figure.subplots()
        left = dict.fromkeys(medians, 0.0)
        for colour, part in zip(_SERIES * 2, parts):
            widths = [m.get(part, 0.0) for m in medians.values()]
            axis.barh(
                list(medians),
                widths,
                left=list(left.values()),
                color=colour,
                label=part,
                height=0.55,
            )
            left = {n: at + width for (n, at), width in zip(left.items(), widths)}
        for row, m in enumerate(medians.values()):
            if "step" in m:
                axis.plot([m["step"]] * 2, [row - 0.38, row + 0.38], color=_INK, linewidth=1.5)
        axis.invert_yaxis()
        axis.grid(axis="y", visible=False)
        axis.set_xlabel("seconds")
        axis.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))

    return svg(draw, "timing", height=0.9 + 0.55 * len(medians))


COMPARED_PER_ROW = 3  # of the legend


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
                known = [p for p in points if p[value] is not None]
                x, y = [p[cost] for p in known], [p[value] for p in known]
                look = {"color": f"C{i}", "linestyle": dashes[i // colours % len(dashes)]}
                axis.plot(x, y, alpha=0.25, linewidth=1, **look)
                axis.plot(x, _smooth(y), label=run, **look)
            axis.set(title=title, ylim=(0, None))
            axis.locator_params(axis="x", nbins=5)
            axis.xaxis.set_major_formatter(EngFormatter(sep=""))
    for axis, label in zip(grid[-1], costs.values()):
        axis.set_xlabel(f"{label} since the start")
    lines = grid[0][0].get_legend_handles_labels()
    figure.legend(*lines, loc="outside lower center", ncols=COMPARED_PER_ROW)


def png(draw: Callable[[Figure], None], *, width: float = 9.6, height: float) -> bytes:
    """What `draw` puts on a figure (inches), on white and in matplotlib's own colours."""
    style = {name: value for name, value in _STYLE.items() if value not in (_INK, _GRID)}
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(width, height), layout="constrained", dpi=120)
        draw(figure)
        out = io.BytesIO()
        figure.savefig(out, format="png", metadata={"Software": None})
    return out.getvalue()


def svg(draw: Callable[[Figure], None], name: str, *, width: float = 9.6, height: float) -> str:
    """What `draw` puts on a figure (inches), as inline SVG in the page's own colours and font."""
    cycle = matplotlib.cycler(color=_SERIES)
    with matplotlib.rc_context(_STYLE | {"svg.hashsalt": name, "axes.prop_cycle": cycle}):
        figure = Figure(figsize=(width, height), layout="constrained")
        draw(figure)
        out = io.StringIO()
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    text = out.getvalue()[out.getvalue().index("<svg") :]
    for colour, variable in {_INK: "--ink", _GRID: "--grid"}.items():
        text = text.replace(colour, f"var({variable})")
    for i, colour in enumerate(_SERIES):
        text = text.replace(colour, f"var(--series{i})")
    # Ids are the page's, not the figure's.
    text = re.sub(r' (id|xlink:href)="(#?)', rf' \1="\2{name}-', text)
    text = text.replace("url(#", f"url(#{name}-")
    text = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", text, flags=re.DOTALL)
    return re.sub(r"font: ([^;\"]*?)(?:'[^']*',? ?)+[^;\"]*", r"font: \1var(--font)", text)
