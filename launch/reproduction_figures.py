"""The figures of docs/reproduction.md."""

from collections.abc import Mapping, Sequence

import numpy as np
import paper
from claims import method, over_both
from matplotlib.figure import Figure

from fdjax.reporting.figures import smooth
from fdjax.reporting.pass_at_k import KS


def figures(found: Mapping[str, Mapping[int, Mapping]]) -> list[tuple]:
    """(name, a function that draws it, height in inches); none of no runs. `found`: method -> seed
    -> the numbers of its run; the start comes first.
    """
    if not found:
        return []
    start = next(iter(found))
    most = len(found[start])
    labels = {
        name: name if len(of_method) == most else f"{name} ({len(of_method)} seeds)"
        for name, of_method in found.items()
    }

    others = [name for name in paper.OTHERS if name in found]
    panels = {"pass@k of the claims' methods": [start, *paper.CLAIMED]}
    if others:
        panels["of the others"] = [start, *others]

    def draw_pass(figure: Figure) -> None:
        [axes] = figure.subplots(1, len(panels), sharey=True, squeeze=False)
        for axis, (title, names) in zip(axes, panels.items()):
            for name in names:
                values = over_both(method(found[name].values()).pass_STK)
                low, mean, high = ([v[f] for v in values] for f in ("low", "mean", "high"))
                color = f"C{list(found).index(name)}"
                axis.fill_between(KS, low, high, color=color, alpha=0.12, linewidth=0)
                line = {"color": color, "label": labels[name], "marker": "o", "markersize": 4}
                axis.plot(KS, mean, **line)
            axis.set_xscale("log", base=2)
            axis.set_xticks(KS, [str(k) for k in KS])
            axis.minorticks_off()
            axis.set(title=title, xlabel="k", ylim=(0, 1))
            axis.legend(loc="upper left", fontsize="small")

    def draw_training(figure: Figure) -> None:
        grid = figure.subplots(2, 2, sharex="col", sharey="row")
        for row, (axes, title) in enumerate(zip(grid, ("solve rate", "entropy, nats per token"))):
            for column, axis in enumerate(axes):
                for i, (name, of_method) in enumerate(list(found.items())[1:], 1):
                    x, y = mean_curve(list(of_method.values()), column, 2 + row)
                    axis.plot(x, y, color=f"C{i}", label=labels[name])
                axis.set(title=title, ylim=(0, None))
        for axis, label in zip(grid[-1], ("rollouts", "FLOPs")):
            axis.set_xlabel(f"{label} since the start")
        lines = grid[0][0].get_legend_handles_labels()
        figure.legend(*lines, loc="outside lower center", ncols=4)

    return [("pass", draw_pass, 4.2), ("training", draw_training, 6.5)]


def mean_curve(runs: Sequence[Mapping], x: int, y: int) -> tuple[list[float], list[float]]:
    """The means over seeds of column `x` and `y` of the curves, each smoothed over an eighth."""
    curves = np.array([[[p[x], p[y]] for p in run["curve"]] for run in runs], float).mean(0)
    return curves[:, 0].tolist(), smooth(curves[:, 1], parts=8)
