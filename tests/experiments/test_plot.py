"""Tests of experiments/plot.py: what is drawn is what the table holds."""

import dataclasses
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_rgb
from matplotlib.text import Text
from scipy.optimize import minimize

from eluder.experiments import plot_profile, plot_regret
from eluder.experiments._summary import groups
from eluder.experiments.plot import PALETTE, final_ratios, spread
from tests.experiments.tables import table


def lines(ax, colour):
    """Return the lines of an axes in one colour."""
    return [line for line in ax.get_lines() if line.get_color() == colour]


def test_curves_are_means_over_seeds_and_axes_are_named():
    t = table()
    axes = plot_regret(t).axes
    assert [ax.get_title(loc="left") for ax in axes] == ["RiverSwim", "FrozenLake-v1", "", ""]
    assert [ax.get_xscale() for ax in axes] == ["linear", "linear", "log", "log"]
    assert axes[0].get_ylabel() == axes[2].get_ylabel() == "cumulative regret (units of reward)"
    assert axes[2].get_xlabel() == axes[3].get_xlabel() == "episode k"
    for ax, problem in zip(axes[:2], ["RiverSwim", "FrozenLake-v1"], strict=True):
        for colour, label in zip(PALETTE, t.cells["algorithm"].unique(), strict=False):
            rows = t.curves[(t.curves["problem"] == problem) & (t.curves["algorithm"] == label)]
            mean = rows.groupby("k")["regret"].mean()
            (curve,) = lines(ax, colour)
            assert np.allclose(curve.get_xdata(), mean.index)
            assert np.allclose(curve.get_ydata(), mean)


def test_log_panel_shows_fit_declared_growth_and_bounds():
    t = table(problems=["RiverSwim"])
    (ax,) = plot_regret(t, scales=["log"]).axes
    texts = [x.get_text() for x in ax.texts]
    fits = [ln for ln in lines(ax, "#333333") if len(ln.get_xdata()) == 2]
    slopes = [np.diff(np.log(ln.get_ydata()))[0] / np.diff(np.log(ln.get_xdata()))[0] for ln in fits]
    assert np.allclose(slopes, [g.slope().estimate for g in groups(t)])
    for g, line in zip(groups(t), fits, strict=True):
        tail = g.k >= 200
        fit = np.polyfit(np.log(g.k[tail]), np.log(g.regret.mean(axis=0)[tail]), 1)
        assert np.allclose(np.polyval(fit, np.log(line.get_xdata())), np.log(line.get_ydata()))
    assert any(text.startswith(f"PSRL  {slopes[3]:.2f} [") for text in texts)
    (guide,) = lines(ax, "#999999")
    assert np.isclose(np.diff(np.log(guide.get_ydata()))[0], 0.5 * np.diff(np.log(guide.get_xdata()))[0])
    assert "declared $k^{0.5}$" in texts
    assert texts.count("bound") == 2
    assert len(lines(ax, PALETTE[0])) == 2


def test_bounds_out_of_sight_are_named_not_drawn():
    t = table(problems=["RiverSwim"])
    t.bounds["bound"] *= np.where(t.bounds["algorithm"] == "UCBVI (Hoeffding)", 1e6, 1.0)
    (ax,) = plot_regret(t, scales=["log"]).axes
    assert len(lines(ax, PALETTE[0])) == 1
    assert ax.get_ylim()[1] < 1e5
    assert any("UCBVI (Hoeffding) 1." in x.get_text() for x in ax.texts)


def test_average_reward_counts_steps_and_regret_may_be_negative():
    t = table(problems=["RiverSwim"])
    t.guarantees["setting"] = "average-reward regret"
    t.curves["regret"] -= 30.0
    figure = plot_regret(t)
    assert figure.axes[1].get_xlabel() == "step t"
    assert figure.axes[0].get_ylim()[0] < -20
    figure.canvas.draw()


def test_no_regret_at_all_is_drawn():
    t = table(problems=["RiverSwim"], algorithms=["oracle"])
    t.curves["regret"] = 0.0
    plot_regret(t).canvas.draw()
    plot_profile(t).canvas.draw()


def test_labels_are_text_never_mathematics(tmp_path):
    t = table(problems=["a $\\frac{ b"], algorithms=["$x_$", "<b>"])
    plot_regret(t).savefig(tmp_path / "a.png", dpi=30)
    plot_profile(t).savefig(tmp_path / "b.png", dpi=30)


def test_one_checkpoint_and_one_seed_are_drawn():
    plot_regret(table(seeds=1, K=1)).canvas.draw()


def test_profile_is_the_fraction_within_the_factor():
    t = table()
    (ax,) = plot_profile(t).axes
    final = t.cells.pivot(index=["algorithm", "seed"], columns="problem", values="regret")
    ratio = final / final.groupby("algorithm").mean().min()
    for colour, label in zip(PALETTE, t.cells["algorithm"].unique(), strict=False):
        (curve,) = lines(ax, colour)
        tau = curve.get_xdata()
        expected = (ratio.loc[label].to_numpy()[..., None] < tau).mean(axis=(0, 1))
        assert np.allclose(curve.get_ydata(), expected)


def test_thirty_algorithms_have_room_for_their_labels(monkeypatch):
    """Labels of one panel stay inside its height, in a figure that grows with their number."""
    shapes = {f"algorithm {i}": (1.0 + i, 0.5, 0.5, None) for i in range(30)}
    monkeypatch.setattr("tests.experiments.tables.SHAPES", shapes)
    figure = plot_regret(table(problems=("One",), algorithms=tuple(shapes), seeds=1), scales=["linear"])
    figure.canvas.draw()
    ax = figure.axes[0]
    texts = [t for t in ax.texts if t.get_text() in shapes]
    boxes = sorted((Text.get_window_extent(t) for t in texts), key=lambda box: box.y0)
    assert len(boxes) == 30
    assert all(low.y1 <= high.y0 + 1 for low, high in pairwise(boxes))
    assert boxes[-1].y1 <= figure.bbox.y1


def test_labels_of_a_profile_are_text():
    """matplotlib leaves labels that begin with an underscore out of its legends."""
    labels = ("_private", "$x_1$", "<b>", "%s", "{{data}}")
    legend = plot_profile(table(algorithms=labels)).axes[0].get_legend()
    assert sorted(text.get_text() for text in legend.get_texts()) == sorted(labels)


def test_profile_leaves_out_what_did_not_run_everywhere():
    t = table()
    river, label = t.cells["problem"] == "RiverSwim", t.cells["algorithm"]
    most = dataclasses.replace(t, cells=t.cells[~(river & (label == "PSRL"))])
    assert "PSRL" not in final_ratios(list(groups(most)))
    apart = dataclasses.replace(t, cells=t.cells[river == (label == "epsilon-greedy")])
    with pytest.raises(ValueError, match="no algorithm has finished runs on every problem"):
        plot_profile(apart)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_spread_is_the_nearest_arrangement(wanted):
    wanted, gap = sorted(wanted), 0.1
    got = spread(wanted, gap)
    assert (np.diff(got) >= gap - 1e-9).all()
    assert got[0] >= 0
    assert got[-1] <= 1 + 1e-9
    constraints = [{"type": "ineq", "fun": lambda x, i=i: x[i + 1] - x[i] - gap} for i in range(len(got) - 1)]
    best = minimize(
        lambda x: np.sum((x - wanted) ** 2),
        np.arange(len(got)) * gap,
        bounds=[(0, 1)] * len(got),
        constraints=constraints,
    )
    assert np.sum((np.array(got) - wanted) ** 2) <= best.fun + 1e-6


def test_palette_is_told_apart_with_any_colour_vision():
    """Colours differ after Vienot's simulation of protanopia and deuteranopia."""
    rgb = np.array([to_rgb(c) for c in PALETTE[:6]]) ** 2.2
    protan = np.array([[0.11238, 0.88762, 0.0], [0.11238, 0.88762, 0.0], [0.00401, -0.00401, 1.0]])
    deutan = np.array([[0.29275, 0.70725, 0.0], [0.29275, 0.70725, 0.0], [-0.02234, 0.02234, 1.0]])
    for view in (np.eye(3), protan, deutan):
        seen = np.clip(rgb @ view.T, 0, 1) ** (1 / 2.2)
        distance = np.linalg.norm(seen[:, None] - seen[None], axis=-1)
        assert distance[np.triu_indices(6, 1)].min() > 0.12


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plot_regret(table(), scales=["cubic"]), "scales must name 'linear' or 'log', got 'cubic'"),
        (lambda: plot_regret(table(), scales=[]), "scales must name"),
        (lambda: plot_regret(table(problems=())), "no finished cells"),
        (lambda: plot_profile(table(problems=())), "no finished cells"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_import_does_not_import_matplotlib():
    code = (
        "import sys, eluder.experiments; eluder.experiments.plot_regret; print('matplotlib' in sys.modules)"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"
    )
