"""The notebooks run from a clean kernel and show what they are for."""

from __future__ import annotations

import base64
import csv
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nbformat
import numpy as np
import pytest
from matplotlib import font_manager
from matplotlib.figure import Figure
from nbclient import NotebookClient

from matcher import sample
from matcher.evaluate import Evaluation
from matcher.judgements import JudgedNeed, Judgements, Offer
from matcher.rank import LEVEL_NAMES
from matcher.records import KIND_NAMES, PROGRAMME_NAMES
from notebooks import support
from tests.e2e.running import environment

FOLDER = Path(__file__).parent.parent / "notebooks"
NOTEBOOKS = ("01_quickstart", "02_match_quality", "03_programmes")
RANKINGS = ("本排序器", "BM25", "单独使用模型")
TIMEOUT = 300
# An empty plot of the size used here takes some 3 kB.
SMALLEST_PLOT = 8_000


class Shown:
    """What a notebook that ran shows."""

    def __init__(self, notebook: Any) -> None:
        self.outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
        data = [output.data for output in self.outputs if output.output_type in ("display_data", "execute_result")]
        self.images = [base64.b64decode(one["image/png"]) for one in data if "image/png" in one]
        self.tables = [self._rows(one["text/markdown"]) for one in data if "text/markdown" in one]
        self.text = "".join(o.text for o in self.outputs if o.output_type == "stream" and o.name == "stdout")
        self.complaints = [o for o in self.outputs if o.output_type == "error" or o.get("name") == "stderr"]

    @staticmethod
    def _rows(markdown: str) -> list[list[str]]:
        lines = [line.strip("| ").split(" | ") for line in markdown.splitlines()]
        return [lines[0], *lines[2:]]


@pytest.fixture(scope="session")
def font() -> str:
    try:
        return support.chinese_font()
    except support.NoChineseFont as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def shown(
    font: str, model_home: Path, sample_vectors: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Shown]:
    """Runs a notebook once, all in one home."""
    home = tmp_path_factory.mktemp("notebooks-home")
    shutil.copy(sample_vectors, home)
    (home / "model").symlink_to(model_home / "model")
    done: dict[str, Shown] = {}

    def run(name: str) -> Shown:
        if name not in done:
            notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
            place = {"metadata": {"path": str(FOLDER)}}
            client = NotebookClient(notebook, timeout=TIMEOUT, kernel_name="python3", resources=place)
            done[name] = Shown(client.execute(env=environment(home)))
        return done[name]

    return run


def share(text: str) -> float:
    value = float(text)
    assert 0 <= value <= 1
    return value


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_is_committed_as_nobody_ran_it(name: str) -> None:
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)


def test_every_notebook_is_tested() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.ipynb")) == sorted(NOTEBOOKS)


@pytest.mark.parametrize(("name", "plots"), list(zip(NOTEBOOKS, (1, 4, 4), strict=True)))
def test_a_notebook_runs_without_complaint_and_draws(shown: Callable[[str], Shown], name: str, plots: int) -> None:
    result = shown(name)
    assert result.complaints == []
    assert [len(image) > SMALLEST_PLOT for image in result.images] == [True] * plots


def test_the_quick_start_goes_from_nothing_to_matches_and_partners(shown: Callable[[str], Shown]) -> None:
    result = shown("01_quickstart")
    ingested = {row[0]: dict(zip(result.tables[0][0], row, strict=True)) for row in result.tables[0][1:]}
    for kind, name in sample.FILES:
        assert ingested[name]["kind"] == KIND_NAMES[kind]
        assert int(ingested[name]["added"]) == len(sample.records(kind))
    for line in ("所属专项：", "理由：", "原文：", "专项："):
        assert line in result.text
    assert re.search(rf"^1\. 【({'|'.join(LEVEL_NAMES.values())}) 0\.\d\d】", result.text, re.M)
    assert re.search(r"^· \S+ 0\.\d\d：有 \d+ 项相关成果", result.text, re.M)
    silent, texts = map(int, re.findall(r"(\d+) of (\d+) off-topic texts get nothing", result.text)[0])
    assert silent > texts / 2


def test_match_quality_compares_three_rankings_with_intervals(shown: Callable[[str], Shown]) -> None:
    result = shown("02_match_quality")
    ndcg, gains, confirmed = result.tables
    sets = list(dict.fromkeys(row[0] for row in ndcg[1:]))
    assert [row[:2] for row in ndcg[1:]] == [[name, ranking] for name in sets for ranking in RANKINGS]
    for _, _, mean, low, high, needs in ndcg[1:]:
        assert share(low) < share(mean) < share(high)
        assert int(needs) > 10
    means = {(row[0], row[1]): float(row[2]) for row in ndcg[1:]}
    for name, other, gain, low, high in gains[1:]:
        assert float(low) < float(gain) < float(high)
        assert float(gain) == pytest.approx(means[name, RANKINGS[0]] - means[name, other], abs=0.0015)
    for name in sets:
        own = {level: (int(pairs), share(part)) for place, level, pairs, part in confirmed[1:] if place == name}
        assert own.keys() <= set(LEVEL_NAMES.values())
        assert f"标注 {sum(pairs for pairs, _ in own.values())} 对" in result.text


def test_match_quality_says_when_the_real_judgements_are_missing(shown: Callable[[str], Shown]) -> None:
    result = shown("02_match_quality")
    there = (support.REAL_NEEDS / "needs.csv").exists()
    assert ("真实标注" in result.text) == there
    assert ("no real judgements" in result.text) != there


def test_match_quality_shows_no_sentence_of_the_real_needs(shown: Callable[[str], Shown]) -> None:
    if not (support.REAL_NEEDS / "needs.csv").exists():
        pytest.skip("the real needs are not beside the repository")
    with (support.REAL_NEEDS / "needs.csv").open(encoding="utf-8-sig", newline="") as file:
        titles = {row["title"] for row in csv.DictReader(file) if len(row["title"]) > 8}
    everything = str(shown("02_match_quality").outputs)
    assert titles
    assert not [title for title in titles if title in everything]


def test_programmes_are_counted_and_cross_validated(shown: Callable[[str], Shown]) -> None:
    counts, figures = shown("03_programmes").tables
    labelled = [record for kind in ("achievement", "patent", "need") for record in sample.records(kind)]
    for row, (code, name) in zip(counts[1:], PROGRAMME_NAMES.items(), strict=True):
        own = [record.kind for record in labelled if code in record.programmes]
        assert row[0] == name
        assert int(row[1]) >= own.count("achievement") > 0
    assert [row[0] for row in figures[1:]] == [*PROGRAMME_NAMES.values(), "平均"]
    for row in figures[1:]:
        precision, recall, f1 = map(share, row[2:])
        assert row[0] == "平均" or f1 == pytest.approx(2 * precision * recall / (precision + recall), abs=0.002)
    assert share(figures[-1][-1]) > 0.5


# ------------------------------------------------------------ what they share


def test_a_missing_chinese_font_is_named_with_the_package_that_brings_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(font_manager.fontManager, "ttflist", [SimpleNamespace(name="DejaVu Sans", fname="x.ttf")])
    monkeypatch.setattr(font_manager, "findSystemFonts", list)
    with pytest.raises(support.NoChineseFont, match="fonts-noto-cjk"):
        support.use_chinese()


def test_a_letter_that_the_font_lacks_is_an_error() -> None:
    figure = Figure()
    figure.text(0.5, 0.5, "\ue000")  # a private letter, in no font
    with pytest.raises(UserWarning, match="Glyph 57344"):
        support.draw(figure)


def test_chinese_labels_are_drawn_in_the_chosen_font(font: str) -> None:
    import matplotlib as mpl

    with mpl.rc_context():
        support.use_chinese()
        figure = Figure()
        figure.text(0.5, 0.5, "关联度−1")
        assert support.draw(figure).startswith(b"\x89PNG")


def test_the_home_is_the_one_that_is_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MATCHER_HOME", str(tmp_path))
    assert support.home() == tmp_path
    monkeypatch.delenv("MATCHER_HOME")
    assert support.home() == FOLDER.parent / "var" / "notebooks"


def test_without_the_real_data_there_are_no_real_judgements(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(support, "REAL_NEEDS", tmp_path)
    assert support.real_judgements(10) is None


def test_fewer_needs_keep_their_own_offers() -> None:
    offers = [Offer(str(number)) for number in range(6)]
    needs = [JudgedNeed((str(i),), f"need {i}", "", {2 * i: 4, 2 * i + 1: 1}) for i in range(3)]
    fewer = support.spread(Judgements(needs, offers), 2)
    assert [need.title for need in fewer.needs] == ["need 0", "need 2"]
    assert [{fewer.offers[row].title: level for row, level in need.levels.items()} for need in fewer.needs] == [
        {"0": 4, "1": 1},
        {"4": 4, "5": 1},
    ]
    assert support.spread(Judgements(needs, offers), 9).needs == needs


def test_the_gain_is_over_each_other_ranking_need_by_need() -> None:
    results = {
        name: Evaluation({}, np.array(values), None, {})
        for name, values in {"ranker": [1.0, 0.5], "bm25": [0.5, 0.5], "model": [1.0, 0.5]}.items()
    }
    quality = support.Quality(results, np.array([4, 1]), np.array([0.9, 0.1]))
    assert quality.gains() == {"bm25": (0.25, 0.0, 0.5), "model": (0.0, 0.0, 0.0)}


def test_precision_and_recall_follow_the_thresholds() -> None:
    belongs = np.array([[True, False], [True, False], [False, True]])
    scores = np.array([[0.9, 0.9], [0.1, 0.0], [0.2, 0.0]])
    (first, second) = support.Tagging(belongs, scores, np.array([0.5, 0.5])).figures()
    assert first == (1.0, 0.5, pytest.approx(2 / 3))
    assert second == (0.0, 0.0, 0.0)
