"""Logs read from files, good and bad."""

import numpy as np
import pytest

from eluder.core.contextual import value_of
from eluder.core.logged import LoggedData
from eluder.envs import Log, read_log, replay_bandit

GOOD = "context,action,reward,propensity\nDE,visa,1,0.5\nFR,cash,0,0.25\nDE,cash,0.5,1e-1\n"


@pytest.fixture
def write(tmp_path):
    def save(text, name="log.csv", encoding="utf-8"):
        file = tmp_path / name
        file.write_text(text, encoding=encoding)
        return file

    return save


def test_reads_a_csv_file(write):
    log = read_log(write(GOOD))
    assert isinstance(log, Log)
    assert log.contexts == (("DE",), ("FR",))
    assert log.actions == ("visa", "cash")
    np.testing.assert_array_equal(log.data.context, [0, 1, 0])
    np.testing.assert_array_equal(log.data.action, [0, 1, 1])
    np.testing.assert_array_equal(log.data.reward, [1.0, 0.0, 0.5])
    np.testing.assert_array_equal(log.data.propensity, [0.5, 0.25, 0.1])
    np.testing.assert_array_equal(log.data.mask, [[True, True], [False, True]])


def test_reads_bytes_as_spreadsheets_write_them(write):
    text = (
        'reward,"country, region",device,action,p,note\n1,"DE, BY",NA,01,0.5,"a\nb"\n0,"DE, BY",null,1,1,\n'
    )
    log = read_log(write(text, encoding="utf-8-sig"), context=("country, region", "device"), propensity="p")
    assert log.contexts == (("DE, BY", "NA"), ("DE, BY", "null"))
    assert log.actions == ("01", "1")


def test_estimates_propensities_only_on_request(write):
    text = "context,action,reward\n" + "a,x,1\na,x,0\na,y,1\nb,y,0\n"
    with pytest.raises(
        ValueError, match=r"has no columns called 'propensity'; there are: context, action, rew"
    ):
        read_log(write(text))
    np.testing.assert_allclose(
        read_log(write(text), propensity=None).data.propensity, [2 / 3, 2 / 3, 1 / 3, 1]
    )


def test_reads_a_parquet_file(write, tmp_path):
    pd = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    file = tmp_path / "log.parquet"
    pd.DataFrame(
        {"context": [7, 3, 7], "action": ["a", "b", "b"], "reward": [1, 0, 1], "propensity": [0.5, 0.5, 1.0]}
    ).to_parquet(file)
    log = read_log(file)
    assert log.contexts == (("7",), ("3",))
    assert log.data.reward.tolist() == [1.0, 0.0, 1.0]
    bad = tmp_path / "bad.parquet"
    bad.write_bytes(b"PAR1 no more")
    with pytest.raises(ValueError, match=r"bad.parquet cannot be read"):
        read_log(bad)
    pd.DataFrame(
        {"context": [None, "b"], "action": [1, 2], "reward": [1.0, None], "propensity": [0.5, 0.5]}
    ).to_parquet(file)
    with pytest.raises(ValueError, match=r"row 1: context is nan, it must be a label"):
        read_log(file)


BAD = {
    "DE,visa,one,0.5": "row 4: reward is 'one', it must be a finite number",
    "DE,visa,,0.5": "row 4: reward is '', it must be a finite number",
    "DE,visa,inf,0.5": "row 4: reward is 'inf', it must be a finite number",
    "DE,visa,nan,0.5": "row 4: reward is 'nan', it must be a finite number",
    "DE,visa,1,0": r"row 4: propensity is '0', it must be a probability in \(0, 1\]",
    "DE,visa,1,1.5": "row 4: propensity is '1.5', it must be a probability",
    "DE,visa,1,-0.5": "row 4: propensity is '-0.5', it must be a probability",
    ",visa,1,0.5": "row 4: context is '', it must be a label",
    "DE,  ,1,0.5": "row 4: action is '  ', it must be a label",
    "DE,visa,1": "row 4: propensity is '', it must be a finite number",
    "DE,visa,1,0.5,6": "log.csv cannot be read: .*Expected 4 fields in line 5, saw 5",
    'DE,"visa,1,0.5': "log.csv cannot be read: .*EOF inside string",
    "DE,visa,__import__('os'),0.5": 'row 4: reward is "__import__',
}


@pytest.mark.parametrize("line", BAD)
def test_bad_rows_are_named(write, line):
    with pytest.raises(ValueError, match=BAD[line]):
        read_log(write(GOOD + line + "\nDE,visa,1,0.5\n" if "EOF" not in BAD[line] else GOOD + line))


def test_bad_files(write, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no file"):
        read_log(tmp_path / "missing.csv")
    with pytest.raises(FileNotFoundError, match=r"there is no file"):
        read_log(tmp_path)
    with pytest.raises(ValueError, match=r"log.csv cannot be read: No columns"):
        read_log(write(""))
    with pytest.raises(ValueError, match=r"log.csv has no rows"):
        read_log(write("context,action,reward,propensity\n"))
    with pytest.raises(ValueError, match=r"log.csv has 2 columns called 'action'"):
        read_log(write("context,action,action,reward,propensity\na,b,c,1,1\n"))
    with pytest.raises(ValueError, match=r"log.csv cannot be read: .*codec can't decode"):
        read_log(write("context,action,reward,propensity\nM\xfcnchen,a,1,1\n", encoding="latin-1"))
    with pytest.raises(ValueError, match=r"context names no column"):
        read_log(write(GOOD), context=())


def test_replay_bandit_pays_the_averages():
    log = LoggedData([0, 0, 0, 1], [0, 1, 1, 0], [0.0, 1.0, 0.0, 0.25], [0.5] * 4, [[1, 1], [1, 1]])
    bandit = replay_bandit(log)
    np.testing.assert_array_equal(bandit.means, [[0.0, 0.5], [0.25, 0.0]])
    np.testing.assert_array_equal(bandit.mask, [[True, True], [True, False]])
    np.testing.assert_array_equal(bandit.mu, [0.75, 0.25])
    assert value_of(bandit, [[0, 1], [1, 0]]) == pytest.approx(0.4375)
    features = LoggedData([0, 1], [0, 0], [0.0, 1.0], [1, 1], [[1], [1]], features=[[1.0, 2.0], [3.0, 4.0]])
    np.testing.assert_array_equal(replay_bandit(features).phi[:, 0], [[1.0, 2.0], [3.0, 4.0]])
    with pytest.raises(ValueError, match=r"reward\[1\] is 2, it must be in \[0, 1\]"):
        replay_bandit(LoggedData([0, 0], [0, 0], [0.0, 2.0], [1, 1], [[1]]))
    with pytest.raises(ValueError, match=r"context 1 has no row in the log"):
        replay_bandit(LoggedData([0], [0], [0.0], [1], [[1], [1]]))
    with pytest.raises(ValueError, match=r"data must be a LoggedData"):
        replay_bandit(None)
