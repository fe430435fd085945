"""Figures of a study, drawn from its tables alone."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from eluder.core.types import Array
from eluder.experiments import stats
from eluder.experiments._summary import Group, groups
from eluder.experiments.store import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_profile", "plot_regret"]

# Okabe and Ito's colours, which readers with any colour vision tell apart; the yellow is darkened.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6BB1", "#4D4D4D", "#B5A300")
DASHES = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)))  # a second and a third round through the palette
INK = "#333333"
LOWER: Any = ((0, (7, 2)), (0, (1, 1.6)))  # dashes of lower bounds
STYLE: Any = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#888888",
    "axes.linewidth": 0.8,
    "axes.labelcolor": INK,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "text.color": INK,
    "xtick.color": "#666666",
    "ytick.color": "#666666",
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "axes.grid": True,
    "grid.color": "#E8E8E8",
    "grid.linewidth": 0.7,
    "axes.axisbelow": True,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
    "figure.dpi": 160,
}
MOST_LABELS = 15  # beside a panel of the usual height
REACH = 30.0  # bounds this many times above the largest regret are named, not drawn


def plot_regret(table: Table, *, scales: Sequence[Literal["linear", "log"]] = ("linear", "log")) -> "Figure":
    """Draw the regret of a study: a column of panels for each problem, a row for each scale.

    Parameters
    ----------
    table : Table
        What `load` returns.
    scales : sequence of {"linear", "log"}, default=("linear", "log")
        Rows of the figure. The log-log panels also show the slope fitted over the last decade of k, the
        growth that the theorems declare, and their bounds. Lower bounds of a problem, where it has some,
        are drawn in black.

    Returns
    -------
    matplotlib.figure.Figure
        Mean cumulative regret with 95% bootstrap bands. Save it with ``figure.savefig("regret.png")``.

    Raises
    ------
    ValueError
        If the table holds no cells, or `scales` is empty or holds another word.

    Examples
    --------
    >>> import pandas as pd
    >>> who, k = {"problem": "RiverSwim", "algorithm": "PSRL"}, np.arange(1, 101)
    >>> cells = pd.DataFrame([{**who, "seed": 0, "budget": 100, "seconds": 0.1, "entropy": "0x1"}])
    >>> curves = pd.DataFrame({**who, "seed": 0, "k": k, "regret": np.sqrt(k)})
    >>> none = pd.DataFrame(columns=["problem", "algorithm", "k", "bound"])
    >>> table = Table(cells, curves, none, none, {})
    >>> [ax.get_xscale() for ax in plot_regret(table).axes]
    ['linear', 'log']
    """
    bad = [scale for scale in scales if scale not in ("linear", "log")]
    if bad or not scales:
        raise ValueError(f"scales must name 'linear' or 'log', got {bad[0] if bad else scales!r}")
    import matplotlib as mpl

    everything = _finished(table)
    problems = list(dict.fromkeys(g.problem for g in everything))
    look = _looks(everything)
    with mpl.rc_context(STYLE):
        figure, axes = _grid(len(scales), len(problems), crowd=len(look) / MOST_LABELS)
        for column, problem in enumerate(problems):
            here = [g for g in everything if g.problem == problem]
            for row, scale in enumerate(scales):
                ax = axes[row][column]
                (_linear_panel if scale == "linear" else _log_panel)(ax, here, look)
                ax.set_title(problem if row == 0 else "", parse_math=False)
                if column == 0:
                    ax.set_ylabel("cumulative regret (units of reward)")
                if row == len(scales) - 1:
                    ax.set_xlabel(here[0].steps())
    return figure


def plot_profile(table: Table, *, num_tau: int = 200) -> "Figure":
    """Draw performance profiles: the fraction of runs whose final regret is within a factor of the best.

    Parameters
    ----------
    table : Table
        What `load` returns.
    num_tau : int, default=200
        Number of factors at which the profiles are evaluated.

    Returns
    -------
    matplotlib.figure.Figure
        One curve for each algorithm that ran on every problem, with 95% bands from a bootstrap stratified by
        problem. The factor is relative to the least positive mean final regret on the problem.

    Raises
    ------
    ValueError
        If the table holds no cells, or no algorithm ran on every problem.

    References
    ----------
    .. [1] Dolan and More. Benchmarking optimization software with performance profiles. Mathematical
       Programming 91, 2002.

    Examples
    --------
    >>> import pandas as pd
    >>> who, k = {"problem": "RiverSwim", "algorithm": "PSRL"}, np.arange(1, 101)
    >>> cells = pd.DataFrame([{**who, "seed": 0, "budget": 100, "seconds": 0.1, "entropy": "0x1"}])
    >>> curves = pd.DataFrame({**who, "seed": 0, "k": k, "regret": np.sqrt(k)})
    >>> none = pd.DataFrame(columns=["problem", "algorithm", "k", "bound"])
    >>> table = Table(cells, curves, none, none, {})
    >>> plot_profile(table).axes[0].get_title(loc="left")
    'Performance profile'
    """
    import matplotlib as mpl
    from matplotlib.ticker import LogLocator

    everything = _finished(table)
    ratios = final_ratios(everything)
    flat = np.concatenate([x.ravel() for x in ratios.values()])
    least, most = flat[flat > 0].min(initial=0.5), flat.max(initial=2.0)
    tau = np.geomspace(max(least, 1e-3), 1.1 * most, num_tau)
    look = _looks(everything)
    rng = everything[0].rng()
    with mpl.rc_context(STYLE):
        figure, axes = _grid(1, 1)
        ax = axes[0][0]
        ends = []
        handles = {}
        for label, ratio in ratios.items():
            profile = stats.stratified_bootstrap(
                lambda x: stats.performance_profile(x, -tau[::-1])[..., ::-1],
                -ratio,
                num_resamples=1000,
                rng=rng,
            )
            colour, dash = look[label]
            ax.fill_between(tau, profile.low, profile.high, color=colour, alpha=0.13, linewidth=0)
            handles[label] = ax.plot(tau, profile.estimate, color=colour, linestyle=dash)[0]
            half = tau[np.argmax(profile.estimate >= 0.5)]
            ends.append((float(half), label, colour))
        ax.set_xscale("log")
        ax.set_xlim(tau[0], tau[-1])
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
        ax.xaxis.set_minor_formatter("")
        ax.set_ylim(-0.02, 1.03)
        ax.set_xlabel("factor over the least mean regret on the problem")
        ax.set_ylabel("fraction of runs within the factor")
        ax.set_title("Performance profile")
        order = [label for _, label, _ in sorted(ends)]
        legend = ax.legend(
            [handles[n] for n in order], order, loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False
        )
        for text in legend.get_texts():
            text.set_parse_math(False)
    return figure


def final_ratios(everything: Iterable[Group]) -> dict[str, Array]:
    """Return, for each algorithm that ran on every problem, its final regrets (R, M) over the problem's best.

    The best is the least positive mean final regret on the problem. Runs beyond the shortest column are left
    out.
    """
    final: dict[str, dict[str, Array]] = {}
    for g in everything:
        final.setdefault(g.algorithm, {})[g.problem] = g.regret[:, -1]
    problems = list(dict.fromkeys(p for columns in final.values() for p in columns))
    ratios = {}
    for label, columns in final.items():
        if len(columns) < len(problems):
            continue
        R = min(map(len, columns.values()))
        best = [_best([c[p].mean() for c in final.values() if p in c]) for p in problems]
        ratios[label] = np.stack([columns[p][:R] / b for p, b in zip(problems, best, strict=True)], axis=1)
    if not ratios:
        raise ValueError("no algorithm has finished runs on every problem")
    return ratios


def _best(means: Iterable[float]) -> float:
    """Return the least positive number, or 1."""
    return min((m for m in means if m > 0), default=1.0)


def _finished(table: Table) -> list[Group]:
    everything = list(groups(table))
    if not everything:
        raise ValueError("the table holds no finished cells")
    return everything


def _looks(everything: Iterable[Group]) -> dict[str, tuple[str, Any]]:
    """Return the colour and the dash of each algorithm, the same in all panels."""
    labels = dict.fromkeys(g.algorithm for g in everything)
    n = len(PALETTE)
    return {label: (PALETTE[i % n], DASHES[i // n % len(DASHES)]) for i, label in enumerate(labels)}


def _grid(rows: int, columns: int, crowd: float = 1.0) -> tuple["Figure", Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(
        figsize=(7.2 * columns, 3.7 * rows * max(1.0, crowd)), layout="constrained", facecolor="white"
    )
    FigureCanvasAgg(figure)
    engine: Any = figure.get_layout_engine()
    engine.set(w_pad=0.1, h_pad=0.08, hspace=0.04, wspace=0.03)
    return figure, figure.subplots(rows, columns, squeeze=False)


def _linear_panel(ax: "Axes", here: Sequence[Group], look: dict[str, tuple[str, Any]]) -> None:
    labels = []
    for g in here:
        colour, dash = look[g.algorithm]
        band = g.band()
        ax.fill_between(g.k, band.low, band.high, color=colour, alpha=0.16, linewidth=0)
        ax.plot(g.k, band.estimate, color=colour, linestyle=dash)
        labels.append((float(band.estimate[-1]), g.algorithm, colour))
    _lower_bounds(ax, here, labels)
    ax.set_xlim(0, max(g.k[-1] for g in here))
    ax.set_ylim(bottom=min(0.0, min(float(g.regret.mean(axis=0).min()) for g in here)))
    ax.yaxis.set_major_formatter(lambda y, _: f"{y:,.0f}" if abs(y) >= 10 or y == 0 else f"{y:g}")
    ax.xaxis.set_major_formatter(lambda x, _: f"{x:,.0f}")
    ax.locator_params(axis="x", nbins=4)
    _end_labels(ax, labels)


def _log_panel(ax: "Axes", here: Sequence[Group], look: dict[str, tuple[str, Any]]) -> None:
    ax.set_xscale("log")
    ax.set_yscale("log")
    positive = [x for g in here for x in g.regret.mean(axis=0) if x > 0] or [1.0]
    top, bottom = max(positive) * 2, max(min(positive), max(positive) * 1e-5) / 1.5
    labels, above = [], []
    for g in here:
        colour, dash = look[g.algorithm]
        band, slope = g.band(), g.slope()
        shown = band.estimate > 0
        low = np.maximum(band.low, bottom * 1e-3)
        ax.fill_between(g.k, low, band.high, where=shown, color=colour, alpha=0.16, linewidth=0)
        ax.plot(g.k[shown], band.estimate[shown], color=colour, linestyle=dash)
        text = g.algorithm
        if not np.isnan(slope.estimate):
            ax.plot(*g.fitted(slope.estimate), color=INK, lw=1.0, ls=(0, (2, 1.6)))
            text = f"{g.algorithm}  {slope.estimate:.2f} [{slope.low:.2f}, {slope.high:.2f}]"
        if shown[-1]:
            labels.append((float(band.estimate[-1]), text, colour))
        if g.bound.size and g.bound[-1] <= REACH * max(positive):
            ax.plot(g.bound_k, g.bound, color=colour, lw=1.1, ls=(0, (6, 2, 1, 2)))
            end = (g.bound_k[-1], g.bound[-1])
            _note(ax, "bound", end, (-4, 4), ha="right", va="bottom", color=_ink(colour))
            top = max(top, float(g.bound[-1]) * 2)
        elif g.bound.size:
            above.append(f"{g.algorithm} {g.bound[-1]:.1e}")
    _lower_bounds(ax, here, labels, bottom)
    ax.set_xlim(1, max(2.0, *(g.k[-1] for g in here)))
    ax.set_ylim(bottom, top)
    _declared_guides(ax, here, bottom)
    _end_labels(ax, labels, heading="slope of the last decade [95%]")
    if above:
        text = "bounds beyond the axis, at the end:\n" + "\n".join(above)
        _note(
            ax, text, (0, 1), (6, -4), xycoords="axes fraction", va="top", color="#777777", parse_math=False
        )


def _lower_bounds(
    ax: "Axes", here: Sequence[Group], labels: list[tuple[float, str, str]], least: float = -np.inf
) -> None:
    """Draw the lower bounds of the problem, and add their labels to those of the curves."""
    for i, (label, (k, value)) in enumerate(here[0].lines.items()):
        ax.plot(k, value, color=INK, lw=1.2, ls=LOWER[i % len(LOWER)], zorder=1)
        if value[-1] > least:
            labels.append((float(value[-1]), f"lower bound: {label}", INK))


def _declared_guides(ax: "Axes", here: Sequence[Group], bottom: float) -> None:
    """Draw one grey line in the lower right for each declared exponent."""
    exponents = sorted({g.exponent() for g in here if not np.isnan(g.exponent())}, reverse=True)
    K = max(g.k[-1] for g in here)
    x = np.array([max(1.0, K / 30), K])
    for i, b in enumerate(exponents):
        y = bottom * 1.6 * (1 + i) * (x / x[0]) ** b
        ax.plot(x, y, color="#999999", lw=1.1, ls=(0, (4, 2)), zorder=1)
        _note(ax, f"declared $k^{{{b:g}}}$", (x[0], y[0]), (-4, 0), ha="right", va="center", color="#777777")


def _note(ax: "Axes", text: str, at: tuple[float, float], offset: tuple[float, float], **style: Any) -> None:
    """Write small text at a point, moved by some points."""
    ax.annotate(text, at, offset, textcoords="offset points", fontsize=8, **style)


def _ink(colour: str) -> tuple[float, ...]:
    """Return a colour darkened for text."""
    from matplotlib.colors import to_rgb

    return tuple(0.75 * x for x in to_rgb(colour))


def _end_labels(ax: "Axes", labels: Sequence[tuple[float, str, str]], heading: str = "") -> None:
    """Write each label at the height of its curve's end, moved apart where they would touch."""
    gap = 0.058 / max(1.0, len(labels) / MOST_LABELS)
    to_axes = ax.transData + ax.transAxes.inverted()
    x_end = ax.get_xlim()[1]
    wanted = sorted(((float(to_axes.transform((x_end, y))[1]), text, colour) for y, text, colour in labels))
    places = spread([y for y, _, _ in wanted], gap, high=0.97)
    for (y, text, colour), place in zip(wanted, places, strict=True):
        ax.annotate(
            text,
            (1.0, y),
            (1.045, place),
            xycoords="axes fraction",
            textcoords="axes fraction",
            va="center",
            color=_ink(colour),
            fontsize=8.5,
            parse_math=False,
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "color": colour,
                "lw": 0.7,
                "alpha": 0.6,
                "relpos": (0, 0.5),
                "shrinkA": 1,
                "shrinkB": 0,
            },
        )
    if heading and places:
        ax.text(
            1.045, max(places) + gap * 1.1, heading, transform=ax.transAxes, fontsize=7.5, color="#777777"
        )


def spread(wanted: Sequence[float], gap: float, high: float = 1.0) -> list[float]:
    """Return places from 0 to `high`, at least `gap` apart, in order and nearest to `wanted` (sorted).

    With the offsets i gap taken off this is least-squares isotonic regression, solved by pooling neighbours;
    the limits then clip it.
    """
    blocks: list[list[float]] = []  # each: sum of (wanted - offset), number of labels
    for i, y in enumerate(wanted):
        blocks.append([y - i * gap, 1])
        while len(blocks) > 1 and blocks[-2][0] / blocks[-2][1] > blocks[-1][0] / blocks[-1][1]:
            total, n = blocks.pop()
            blocks[-1][0] += total
            blocks[-1][1] += n
    top = max(0.0, high - (len(wanted) - 1) * gap)
    base = [min(max(total / n, 0.0), top) for total, n in blocks for _ in range(int(n))]
    return [b + i * gap for i, b in enumerate(base)]
