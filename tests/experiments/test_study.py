"""Studies: plain data, checked against the signatures; every cell has its own seed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eluder.experiments import Study, load_study
from eluder.experiments.study import build, cells, digest, entropy, override, resolve
from tests.experiments.small import small

PYTHON = """
import math
_episodes = 2 * 50
problems = {"River": ("river_swim", {"S": 4, "H": 5})}
algorithms = {"U": ("ucbvi", {"c": 0.5})}
budget = {"River": _episodes}
seeds = 4
"""
TOML = """
name = "mine"
budget = 100
seeds = 4
[problems]
River = ["river_swim", {S = 4, H = 5}]
[algorithms]
U = ["ucbvi", {c = 0.5}]
"""


def test_a_python_file_and_a_toml_file_say_the_same(tmp_path):
    (tmp_path / "mine.py").write_text(PYTHON)
    (tmp_path / "mine.toml").write_text(TOML)
    one, two = load_study(tmp_path / "mine.py"), load_study(str(tmp_path / "mine.toml"))
    assert one.config() == two.config()
    assert one.name == "mine"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.py", PYTHON + "seed = 3\n", r"unknown key in a.py: 'seed', did you mean 'seeds'"),
        ("a.py", "problems = {}\n", "a.py does not set algorithms, budget"),
        ("a.toml", TOML.replace("budget = 100", ""), "a.toml does not set budget"),
        ("a.toml", TOML.replace("[problems]", "[problem]"), "unknown key in a.toml: 'problem', did you mean"),
        ("a.toml", "= 3", "is not TOML"),
        (
            "a.toml",
            TOML.replace("[algorithms]", "[algorithms]\nX = 3"),
            r"algorithms\['X'\] must be a name or",
        ),
    ],
)
def test_bad_files(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=message):
        load_study(tmp_path / name)


def test_unknown_studies():
    with pytest.raises(ValueError, match="unknown study 'quickstar', did you mean 'quickstart'"):
        load_study("quickstar")
    with pytest.raises(ValueError, match=r"there is no file nowhere\.py"):
        load_study("nowhere.py")


@pytest.mark.parametrize(
    ("last", "message"),
    [
        ("1 / 0", r"mine\.py, line 3: ZeroDivisionError: division by zero"),
        ("import nothing_of_this_name", r"mine\.py, line 3: ModuleNotFoundError"),
        ("budget = (", r"mine\.py: SyntaxError: .* line 3"),
        ("raise ValueError('no')", r"mine\.py, line 3: ValueError: no"),
    ],
)
def test_an_error_in_a_study_file_names_the_line(tmp_path, last, message):
    (tmp_path / "mine.py").write_text(f"budget = 3\nseeds = 2\n{last}\n")
    with pytest.raises(ValueError, match=message):
        load_study(tmp_path / "mine.py")


def change(**changes):
    return lambda: resolve(small(**changes))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (change(seeds=0), "seeds must be at least 1"),
        (change(budget=0.5), "budget of River must be an integer"),
        (change(budget={"River": 1}), "budget must name the problems"),
        (change(epsilons=(0.1, 0.0)), "epsilons must be in"),
        (change(name="a/b"), "name must be a word"),
        *((change(name=name), "name must be a word") for name in ("..", ".", "", "a\\b", "a\0", 3)),
        (change(epsilons=0.1), "epsilons must be a list of numbers, got 0.1"),
        (change(epsilons="0.1"), "epsilons must be a list of numbers, got '0.1'"),
        (change(seeds=10**9), "at most 1,000,000 cells, this one has 4,000,000,000"),
        (change(score=3), "score must be a function of the table of cells, got 3"),
        *(
            (change(algorithms={label: "psrl"}), "labels of algorithms must be printable text")
            for label in (1, "", " ", "two\nlines", "\ud800")
        ),
        (change(problems={}), "problems must be a mapping"),
        (change(problems=["river_swim"]), "problems must be a mapping"),
        (change(algorithms={"U": ("ucbvi", 3)}), "must be a name or"),
        (change(algorithms={"U": ("ucbvi", {"c": np.zeros(3)})}), "must be plain data"),
        (change(algorithms={"U": ("ucbvi", {"c": float("nan")})}), "must be plain data"),
        (change(algorithms={"U": "ucbvl"}), "unknown algorithm 'ucbvl', did you mean 'ucbvi'"),
        (change(algorithms={"U": ("ucbvi", {"cc": 1})}), "unknown parameter of U: 'cc', did you mean 'c'"),
        (change(algorithms={"U": ("ucbvi", {"rng": 1})}), "unknown parameter of U: 'rng'"),
        (change(algorithms={"U": ("ucbvi", {"bonus": "x"})}), "U: bonus must be one of 'hoeffding', 'bernst"),
        (change(algorithms={"U": ("ucbvi", {"c": "x"})}), "U: c must be of type float"),
        (change(algorithms={"U": ("ucbvi", {"stationary": 1})}), "U: stationary must be of type bool"),
        (change(algorithms={"U": "nowhere.to:be_found"}), "cannot be imported"),
        (change(algorithms={"U": "tests.instances:nothing"}), "cannot be imported"),
        (change(problems={"R": "river"}), "unknown problem 'river', did you mean 'river_swim'"),
        (change(problems={"R": ("river_swim", {"s": 3})}), "unknown parameter of R: 's'"),
        (change(problems={"G": ("garnet", {"S": 3})}), "G: A is required"),
        (change(problems={"G": ("garnet", {"seed": -3})}), "G: seed must be at least 0"),
        (change(problems={"L": "gymnasium"}), "L: id is required"),
        (lambda: build("gymnasium", {"id": "FrozenLake-v9"}), "gymnasium.make"),
        (
            lambda: build("gymnasium", {"id": "FrozenLake-v1", "lava": True}),
            "unexpected keyword argument 'lava'",
        ),
    ],
)
def test_bad_studies(make, message):
    with pytest.raises(ValueError, match=message):
        make()


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda x: st.lists(x, max_size=3) | st.dictionaries(st.text(max_size=2), x, max_size=3),
    max_leaves=5,
)


@given(problems=junk, algorithms=junk, budget=junk, seeds=junk)
def test_anything_else_is_a_value_error(problems, algorithms, budget, seeds):
    try:
        resolve(Study(problems=problems, algorithms=algorithms, budget=budget, seeds=seeds))
    except ValueError:
        pass


def test_every_cell_has_its_own_seed():
    """Repetitions, algorithms and problems never share a stream."""
    config = small(seeds=300).config()
    found = [entropy(cell) for cell in cells(config)] + [entropy(c) for c in cells({**config, "name": "b"})]
    assert len(set(found)) == len(found) == 2 * 2 * 2 * 300
    first = [np.random.default_rng(e).random() for e in found]
    assert len(set(first)) == len(first)


def test_the_seed_of_a_cell_depends_on_nothing_else():
    """More seeds, other parameters or budgets, other company: the same stream."""
    cell = cells(small(seeds=2).config())[1]
    other = small(seeds=9, budget=7, epsilons=(), algorithms={"Hoeffding": ("ucbvi", {"c": 1.0})})
    twin = cells(other.config())[1]
    assert (twin["seed"], twin["algorithm"][0]) == (cell["seed"], cell["algorithm"][0])
    assert entropy(twin) == entropy(cell)


def test_entropy_by_hand():
    """The published recipe: sha256 of the JSON of [study, algorithm, problem, seed], its first 128 bits."""
    import hashlib

    text = '["small", "Hoeffding", "River", 2]'
    cell = cells(small().config())[2]
    assert entropy(cell) == int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big")


def test_resolving_completes_and_does_not_change():
    study = resolve(small())
    assert study.algorithms["Hoeffding"][1]["delta"] == 0.05
    assert study.problems["Garnet"][1]["seed"] == 0
    assert resolve(study).config() == study.config()


def test_numbers_that_are_equal_give_the_same_cell():
    one, two = (small(algorithms={"U": ("ucbvi", {"c": c})}) for c in (1, 1.0))
    assert digest(cells(resolve(one).config())) == digest(cells(resolve(two).config()))


def test_instances_have_their_own_seed():
    params = {"S": 5, "A": 2, "branching": 2, "H": 4}
    one, again, other = (build("garnet", {**params, "seed": i}) for i in (0, 0, 1))
    np.testing.assert_array_equal(one.P, again.P)
    assert (one.P != other.P).any()
    np.testing.assert_array_equal(build("garnet", params).P, one.P)


def test_gymnasium_takes_both_kinds_of_parameters():
    slippery = build("gymnasium", {"id": "FrozenLake-v1", "H": 10})
    firm = build("gymnasium", {"id": "FrozenLake-v1", "H": 10, "is_slippery": False})
    assert slippery.H == firm.H == 10
    assert (firm.P.max(axis=-1) == 1).all()
    assert not (slippery.P.max(axis=-1) == 1).all()


def test_override_by_function_by_label_and_in_labels():
    study = small(algorithms={"U (c=0.02)": ("ucbvi", {"c": 0.02}), "V": "ucbvi"})
    assert override(study, "ucbvi", "c", 0.5).algorithms == {
        "U (c=0.5)": ("ucbvi", {"c": 0.5}),
        "V": ("ucbvi", {"c": 0.5}),
    }
    assert override(study, "V", "c", 0.5).algorithms["U (c=0.02)"][1] == {"c": 0.02}
    longer = override(study, "river_swim", "S", 6)
    assert longer.problems["River"][1]["S"] == 6
    with pytest.raises(ValueError, match="unknown problem or algorithm 'ucbv', did you mean 'ucbvi'"):
        override(study, "ucbv", "c", 1)


def test_override_keeps_labels_apart():
    study = small(algorithms={f"U (c={c})": ("ucbvi", {"c": c}) for c in (0.1, 0.2)})
    with pytest.raises(ValueError, match=r"gives two entries the label 'U \(c=0.5\)'"):
        override(study, "ucbvi", "c", 0.5)
