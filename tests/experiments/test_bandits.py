"""Studies of bandits: from the constructor to the figure and the report."""

import json

import numpy as np
import pytest

from eluder.core.bandits import Bandit, lai_robbins, minimax
from eluder.envs import bernoulli_bandit
from eluder.experiments import Study, load, plot_regret, run, summary, write_report
from eluder.experiments._summary import groups
from eluder.experiments.measures import lower_bounds
from eluder.experiments.runner import _bound, run_cell
from eluder.experiments.study import cells, resolve
from eluder.tabular.bandits import ucb1
from eluder.tabular.bandits._ucb1 import bound

MEANS = [0.3, 0.5, 0.7]


def study(**changes):
    parts = {
        "problems": {
            "easy": ("bernoulli_bandit", {"means": MEANS}),
            "moving": ("piecewise_bandit", {"means": [[0.1, 0.9], [0.9, 0.1]], "starts": [0, 100]}),
        },
        "algorithms": {"UCB1": "ucb1", "UCB1 (c=0.5)": ("ucb1", {"c": 0.5})},
        "budget": 400,
        "seeds": 3,
        "name": "bandits",
    }
    return Study(**{**parts, **changes})


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    out = tmp_path_factory.mktemp("bandits")
    run(study(), out=out, progress=False)
    return load(out)


def test_cells_hold_the_regret_that_the_learner_returns(table):
    cell = cells(resolve(study()).config())[0]
    record, _ = run_cell(cell)
    assert record["k"][-1] == 400
    rows = table.curves[(table.curves.problem == "easy") & (table.curves.algorithm == "UCB1")]
    np.testing.assert_array_equal(rows[rows.seed == 0]["regret"], record["regret"])
    assert table.curves.groupby("seed")["regret"].sum().nunique() == 3, "seeds are distinct"


def test_theory_and_lower_bounds_are_stored(table):
    drawn = list(groups(table))
    easy = drawn[0]
    gaps = 0.7 - np.array(MEANS)
    k = int(easy.bound_k[-1])
    assert easy.bound[-1] == pytest.approx(bound(gaps, k))
    assert easy.steps() == "round t"
    assert set(easy.lines) == {"Lai-Robbins", "minimax"}
    at, value = easy.lines["Lai-Robbins"]
    np.testing.assert_allclose(value, lai_robbins(bernoulli_bandit(MEANS)) * np.log(at))
    moving = drawn[2]
    assert not moving.bound.size, "the gaps change"
    assert set(moving.lines) == {"minimax"}
    applies = table.guarantees.set_index(["problem", "algorithm"])["applies"]
    assert applies["easy", "UCB1"]
    assert not applies["easy", "UCB1 (c=0.5)"]


def test_figure_report_and_summary(table, tmp_path):
    figure = plot_regret(table)
    texts = [text.get_text() for ax in figure.axes for text in ax.texts]
    assert "lower bound: Lai-Robbins" in texts
    page = write_report(table, tmp_path / "report.html").read_text(encoding="utf-8")
    data = page.partition('id="data">')[2].partition("</script>")[0] or page
    assert '"lines":[{"name":"Lai-Robbins"' in data
    assert len(summary(table)) == 4


def test_damaged_lower_bounds_are_left_out(tmp_path):
    run(study(seeds=1), out=tmp_path, progress=False)
    for path in (tmp_path / "lines").glob("*.json"):
        path.write_text(json.dumps({"k": [1]}))
    with pytest.warns(UserWarning, match="holds no lower bounds"):
        assert load(tmp_path).lines.empty


def test_wrong_studies_are_refused(tmp_path):
    with pytest.raises(ValueError, match="UCBVI needs EpisodicMDP, easy is Bandit: H makes the former"):
        run(study(algorithms={"UCBVI": "ucbvi"}), out=tmp_path, progress=False)
    with pytest.raises(ValueError, match="UCB1 needs Bandit, R is EpisodicMDP: choose another constructor"):
        run(study(problems={"R": ("river_swim", {"S": 6, "H": 5})}), out=tmp_path, progress=False)
    with pytest.raises(ValueError, match="epsilons are for episodic problems"):
        run(study(epsilons=(0.1,)), out=tmp_path, progress=False)
    with pytest.raises(ValueError, match=r"easy: means\[0\] is 2"):
        run(study(problems={"easy": ("bernoulli_bandit", {"means": [2.0]})}), out=tmp_path, progress=False)


def test_lower_bounds_of_each_kind():
    t = np.array([1, 100])
    assert set(lower_bounds(bernoulli_bandit([0.2, 0.4]), t)) == {"Lai-Robbins", "minimax"}
    assert set(lower_bounds(Bandit([0.2, 0.4], "pareto", 2.5), t)) == {"minimax"}
    assert set(lower_bounds(Bandit([0.2, 0.4], "fixed"), t)) == {"minimax"}
    assert lower_bounds("anything", t) == {}
    np.testing.assert_allclose(minimax(4, t), [1 / 20, 1.0])
    assert minimax(1, 100) == 0.0


def test_bounds_take_what_they_need():
    def needs_more(A, T, unknown):
        raise AssertionError

    bandit = bernoulli_bandit(MEANS)
    assert _bound(needs_more, bandit, 10, {}) == ([], [])
    assert _bound(lambda A, T, c: A * T * c, bandit, 10, {"c": 2.0})[1][-1] == 60.0
    assert _bound(lambda A, T, delta: T, bandit, 10, {"delta": None}) == ([], [])


def test_the_learner_alone_gives_the_same_numbers():
    cell = cells(resolve(study()).config())[0]
    from eluder.experiments.study import entropy

    alone = ucb1(bernoulli_bandit(MEANS), 400, rng=np.random.default_rng(entropy(cell)))
    np.testing.assert_array_equal(run_cell(cell)[0]["regret"], alone.regret)
