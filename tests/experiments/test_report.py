"""Tests of experiments/report.py and the summary, the page in a real headless browser."""

import dataclasses
import json
import os
import re
import shutil

import numpy as np
import pandas as pd
import pytest

from eluder.experiments import Study, format_summary, run, stats, summary, write_report
from tests.experiments.tables import SHAPES, table

EVIL = "<script>window.evil = 1</script><img src=x onerror='window.evil = 2'>\"'&{{js}}"


# --- summary ---


def test_summary_is_what_the_table_says():
    t = table(problems=["RiverSwim"])
    rows = summary(t).set_index("algorithm")
    for label, (_, exponent, declared, factor) in SHAPES.items():
        cells = t.cells[t.cells["algorithm"] == label]
        row = rows.loc[label]
        assert row["runs"] == 12
        assert np.isclose(row["regret"], cells["regret"].mean())
        assert row["regret_low"] < row["regret"] < row["regret_high"]
        assert abs(row["slope"] - exponent) < 0.1
        assert row["slope_low"] < row["slope"] < row["slope_high"]
        assert np.isclose(row["declared"], np.nan if declared is None else declared, equal_nan=True)
        assert np.isclose(row["seconds"], cells["seconds"].mean())
        assert np.isnan(row["above"]) == (factor is None)


def test_runs_that_end_above_the_bound_are_counted():
    t = table(problems=["RiverSwim"], algorithms=["UCBVI (Hoeffding)"])
    k = t.curves["k"].unique()
    t.curves.loc[t.curves["k"] == k[90], "regret"] = 1e9  # above in the middle only: no theorem forbids it
    t.curves.loc[t.curves["seed"].isin([0, 4, 5]) & (t.curves["k"] == k[-1]), "regret"] = 1e9
    row = summary(t).iloc[0]
    assert (row["above"], row["above_low"], row["above_high"]) == stats.clopper_pearson(3, 12)


def test_sample_complexity_is_a_censored_median():
    t = table(problems=["RiverSwim"], algorithms=["UCBVI (Hoeffding)"])
    t.cells["sample_complexity_0.1"] = [5.0, 6.0, 7.0, 8.0, 9.0, 10.0, *[np.nan] * 6]
    row = summary(t).iloc[0]
    assert row["samples_0.1"] == 10
    assert row["samples_0.1_high"] == np.inf
    t.cells["sample_complexity_0.1"] = np.nan
    text = format_summary(summary(t))
    assert "episodes to eps=0.1" in text
    assert " >K " in text


def test_a_summary_depends_on_its_runs_alone():
    both, one = summary(table()), summary(table(algorithms=list(SHAPES)[:1]))
    again = summary(table())
    assert both.equals(again)
    assert one.iloc[0].equals(both.iloc[0])
    t = table()
    alone = dataclasses.replace(t, cells=t.cells[t.cells["algorithm"] == "PSRL"])
    kept = both[both["algorithm"] == "PSRL"].reset_index(drop=True)
    assert summary(alone).equals(kept)


def test_an_unfinished_study_is_summarised():
    t = table()
    t = dataclasses.replace(t, cells=t.cells.iloc[5:7])
    assert summary(t)["runs"].tolist() == [2]
    assert format_summary(summary(t)).startswith("RiverSwim (2 runs; [95% interval])")


def test_nothing_finished_is_said():
    assert format_summary(summary(table(problems=()))) == "no finished cells"


def test_text_marks_scaled_constants_and_leaves_out_empty_columns():
    t = table(problems=["RiverSwim"], algorithms=list(SHAPES)[2:4])
    t.guarantees["applies"] = [False, True]
    t = dataclasses.replace(t, bounds=t.bounds.iloc[:0])
    lines = format_summary(summary(t)).splitlines()
    assert "0.5*" in lines[2]
    assert "0.5*" not in lines[3]
    assert lines[-1].strip() == "* the theorem is for its paper's constants, which this run scales"
    assert "above" not in lines[1]


# --- the file ---


def test_report_is_one_file_that_asks_for_nothing(tmp_path):
    path = write_report(table(), tmp_path / "new" / "report.html")
    page = path.read_text(encoding="utf-8")
    assert list(path.parent.iterdir()) == [path]
    assert "{{" not in page
    assert not re.search(r"""(src|href)=["'](?!data:,)""", page)
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", page)
    assert "default-src 'none'" in page
    assert page.count("<script") == 2
    assert len(page) < 200_000
    again = write_report(table(), tmp_path / "again.html").read_text(encoding="utf-8")
    assert page == again


def test_improvement_intervals_mirror_each_other(tmp_path, monkeypatch):
    """P(A better than B) in [low, high] is P(B better than A) in [1 - high, 1 - low]."""
    monkeypatch.setattr("tests.experiments.tables.SHAPES", dict.fromkeys("AB", (5.0, 0.5, 0.5, None)))
    t = table(problems=("One",), algorithms="AB", seeds=7)
    page = write_report(t, tmp_path / "report.html").read_text(encoding="utf-8")
    cells = re.findall(r'(\d\.\d\d)<br><small class="range">\[(\d\.\d\d), (\d\.\d\d)\]', page)
    (p, low, high), (q, below, above) = np.array(cells, float)
    assert 0 < low < p < high < 1
    np.testing.assert_allclose([q, below, above], [1 - p, 1 - high, 1 - low], atol=0.011)


def test_improvement_favours_the_row_with_less_regret(tmp_path):
    pair = ["UCBVI (Bernstein)", "Q-learning UCB-H"]  # given the first two shapes: the second has less regret
    t = table(problems=["A", "B"], algorithms=pair)
    page = write_report(t, tmp_path / "r.html").read_text(encoding="utf-8")
    rows = re.findall(r"<tr><th scope=\"row\">(.*?)</th>(.*?)</tr>", page)
    assert [name for name, _ in rows] == pair * 3  # problem A, problem B, both
    for name, cells in rows:
        (p,) = re.findall(r"([\d.]+)<br>", cells)
        assert float(p) > 0.95 if name == pair[1] else float(p) < 0.05


def test_report_of_a_directory_is_that_of_its_table(tmp_path):
    study = Study(
        problems={"chain": ("river_swim", {"S": 3, "H": 4})}, algorithms={"PSRL": "psrl"}, budget=40
    )
    t = run(study, out=tmp_path / "out", seeds=2, jobs=1, progress=False)
    pages = [write_report(source, tmp_path / "r.html").read_text() for source in (t, str(tmp_path / "out"))]
    assert pages[0] == pages[1]


def test_report_tells_the_provenance(tmp_path):
    t = table(seeds=2)
    page = write_report(t, tmp_path / "r.html").read_text(encoding="utf-8")
    for word in ("0123abc", "0.68.1", "bonus=&#x27;bernstein&#x27;", "S=6, H=20", *t.cells["entropy"]):
        assert word in page
    assert "unfinished" not in page
    half = dataclasses.replace(t, cells=t.cells.iloc[:7])
    page = write_report(half, tmp_path / "h.html").read_text(encoding="utf-8")
    assert "unfinished: 7 of 20 cells" in page


def test_report_escapes_everything(tmp_path):
    t = table(problems=[EVIL], algorithms=[EVIL + "1", EVIL + "2"], name=EVIL, seeds=2)
    for column in ("version", "commit", "python"):
        t.cells[column] = EVIL
    for column in ("statement", "assumptions", "paper"):
        t.guarantees[column] = EVIL
    t.config["algorithms"] = {EVIL: [EVIL, {EVIL: EVIL}]}
    page = write_report(t, tmp_path / "r.html").read_text(encoding="utf-8")
    assert page.count("<script") == 2
    assert page.count("</script") == 2
    assert "<img" not in page


def test_report_of_numbers_that_json_lacks(tmp_path):
    t = table(problems=["RiverSwim"], seeds=1, K=1)
    t.curves["regret"] = 0.0
    page = write_report(t, tmp_path / "r.html").read_text(encoding="utf-8")
    data = json.loads(re.search(r'id="data">(.*?)</script>', page)[1])
    assert data[0]["series"][0]["slope"] is None


def test_nothing_to_report_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="no finished cells to report"):
        write_report(table(problems=()), tmp_path / "r.html")
    with pytest.raises(ValueError, match="holds no study"):
        write_report(tmp_path / "nowhere", tmp_path / "r.html")
    assert not (tmp_path / "r.html").exists()


# --- in a browser ---


@pytest.fixture(scope="module")
def browser():
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        reason = "THE REPORT IS NOT TESTED IN A BROWSER: install chromium (Debian: apt-get install chromium)"
        assert not os.environ.get("CI"), reason
        pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def usual(tmp_path_factory):
    """The report of the usual table."""
    return write_report(table(), tmp_path_factory.mktemp("usual") / "report.html")


@pytest.fixture
def visit(browser, usual, tmp_path):
    """Open a report; at the end, assert that it made no request and no error."""
    wrong, pages = [], []

    def open_report(t=None, **context):
        page = browser.new_context(**{"viewport": {"width": 1200, "height": 900}, **context}).new_page()
        url = (write_report(t, tmp_path / "report.html") if t else usual).as_uri()
        page.on("request", lambda request: request.url in (url, "data:,") or wrong.append(request.url))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda message: wrong.append(message.text))
        page.goto(url)
        page.wait_for_selector(".curve")
        pages.append(page)
        return page

    yield open_report
    for page in pages:
        assert page.evaluate("window.evil") is None
        page.context.close()
    assert wrong == []


def names(page, panel=0):
    curves = page.locator(".chart").nth(panel).locator(".curve")
    return curves.evaluate_all("all => all.map(c => c.dataset.name)")


def ticks(page):
    return page.locator(".chart").first.locator(".axis text").all_text_contents()


def test_legend_hides_and_shows_lines(visit):
    page = visit()
    labels = list(SHAPES)
    assert names(page) == names(page, 1) == labels
    buttons = page.locator(".chart").first.locator(".legend button")
    buttons.nth(3).click()
    assert names(page) == [*labels[:3], labels[4]]
    assert names(page, 1) == labels
    assert buttons.nth(3).get_attribute("aria-pressed") == "false"
    buttons.nth(3).focus()
    page.keyboard.press("Enter")
    assert names(page) == labels
    buttons.nth(1).click(modifiers=["Shift"])
    assert names(page) == [labels[1]]
    buttons.nth(1).click()
    assert names(page) == []
    assert page.locator(".chart").first.locator(".tip").is_hidden()


def test_hiding_the_highest_line_rescales_the_axis(visit):
    page = visit()
    before = ticks(page)
    page.locator(".legend button").nth(4).click()
    page.locator(".legend button").nth(2).click()
    assert ticks(page) != before


def test_hover_reads_means_and_bands(visit):
    t = table()
    page = visit()
    plot = page.locator(".plot svg").first
    box = plot.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 100)
    tip = page.locator(".tip").first
    assert tip.is_visible()
    k = int(re.search(r"episode k = ([\d,]+)", tip.inner_text())[1].replace(",", ""))
    rows = t.curves[(t.curves["problem"] == "RiverSwim") & (t.curves["k"] == k)]
    mean = rows.groupby("algorithm")["regret"].mean()
    for label in SHAPES:
        row = tip.locator(f'tr[data-name="{label}"]')
        value = float(row.locator(".value").inner_text().replace(",", ""))
        assert np.isclose(value, mean[label], rtol=6e-3)
        low, high = (
            float(x.replace(",", "")) for x in re.search(r"\[(.*), (.*)\]", row.inner_text()).groups()
        )
        assert low < mean[label] < high
    assert page.locator(".chart").first.locator(".marks circle").count() == 5
    page.locator("select").first.select_option("none")
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 100)
    assert "[" not in tip.inner_text()
    assert page.locator(".chart").first.locator(".band").count() == 0
    page.mouse.move(box["x"] + 10, box["y"] - 60)
    assert tip.is_hidden()


def test_marks_stand_on_the_axes(visit):
    """The pixel of a mark, read back through the ticks, is the number in the read-out."""
    page = visit()
    page.locator(".plot svg").first.focus()
    page.keyboard.press("End")
    (x, y) = page.locator(".marks circle").first.evaluate("c => [c.cx.baseVal.value, c.cy.baseVal.value]")
    texts = page.locator(".chart").first.locator(".axis text")
    at = texts.evaluate_all(
        "all => all.map(t => [t.textContent, t.x.baseVal[0].value, t.y.baseVal[0].value - 4])"
    )
    left = [(float(t.replace(",", "")), v) for t, h, v in at if re.fullmatch(r"[\d,]+", t) and h < 68]
    slope, offset = np.polyfit([v for _, v in left], [n for n, _ in left], 1)
    shown = float(page.locator(".tip .value").first.inner_text().replace(",", ""))
    assert np.isclose(slope * y + offset, shown, rtol=0.01)
    assert np.isclose(x, next(h for t, h, _ in at if t == "2,000"), atol=0.5)


def test_keyboard_reads_values(visit):
    page = visit()
    page.locator(".plot svg").first.focus()
    page.keyboard.press("Home")
    tip, live = page.locator(".tip").first, page.locator("[aria-live]").first
    assert "episode k = 1\n" in tip.inner_text() + "\n"
    page.keyboard.press("ArrowRight")
    assert "episode k = 2\n" in tip.inner_text() + "\n"
    assert "PSRL" in live.text_content()
    page.keyboard.press("End")
    assert "2,000" in tip.inner_text()
    page.keyboard.press("Escape")
    assert tip.is_hidden()


def test_log_switch_changes_the_axes_and_shows_slopes_and_bounds(visit):
    page = visit()
    chart = page.locator(".chart").first
    linear = ticks(page)
    assert chart.locator(".fit, .guide, .bound").count() == 0
    chart.locator("input[value=log]").focus()
    page.keyboard.press("Space")
    assert chart.locator("svg").get_attribute("data-scale") == "log"
    assert ticks(page) != linear
    assert {"1", "10", "100", "1,000"} <= set(ticks(page))
    assert chart.locator(".fit").count() == 5
    assert chart.locator(".guide").count() == 1
    chart.locator("[data-flag=slopes]").uncheck()
    assert chart.locator(".fit, .guide").count() == 0
    chart.locator("[data-flag=bounds]").check()
    assert chart.locator(".bound").count() == 2
    chart.locator("input[value=linear]").focus()
    page.keyboard.press("Space")
    assert chart.locator("svg").get_attribute("data-scale") == "linear"


def test_theme_follows_the_system_and_the_button(visit):
    page = visit(color_scheme="dark")
    paper = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(paper) == "rgb(20, 23, 26)"
    page.locator("#theme").click()
    assert page.evaluate(paper) == "rgb(246, 246, 244)"
    page.emulate_media(color_scheme="light")
    page.locator("#theme").click()
    assert page.evaluate(paper) == "rgb(20, 23, 26)"


def test_a_narrow_window_fits(visit):
    page = visit(viewport={"width": 400, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 400


def test_evil_labels_do_not_execute(visit):
    t = table(problems=[EVIL], algorithms=[EVIL + "1", EVIL + "2"], name=EVIL, seeds=2)
    page = visit(t)
    assert page.title() == EVIL
    assert names(page) == [EVIL + "1", EVIL + "2"]
    page.locator(".plot svg").first.focus()
    page.keyboard.press("End")
    assert EVIL in page.locator(".tip").first.inner_text()


def test_many_algorithms_negative_and_zero_regret_are_drawn(visit):
    labels = [f"algorithm {i} with a long name, c=0.{i}" for i in range(20)]
    many = table(problems=["P"], algorithms=labels[:5], seeds=2)
    copies = []
    for i in range(20):
        part = many.curves[many.curves["algorithm"] == labels[i % 5]]
        copies.append(part.assign(algorithm=labels[i], regret=part["regret"] * (i - 2)))
    cells = [
        many.cells[many.cells["algorithm"] == labels[i % 5]].assign(algorithm=labels[i]) for i in range(20)
    ]
    page = visit(dataclasses.replace(many, cells=pd.concat(cells), curves=pd.concat(copies)))
    assert names(page) == labels
    page.locator("input[value=log]").focus()
    page.keyboard.press("Space")
    assert "NaN" not in page.locator(".chart").inner_html()
    page.locator(".plot svg").focus()
    page.keyboard.press("End")
    assert page.locator(".marks circle").count() == 17
