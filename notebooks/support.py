"""What the notebooks share: a home, Chinese letters in plots, tables, and figures that no command prints."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from matcher import defaults, sample, training
from matcher.engine import Matcher
from matcher.evaluate import Evaluation, Ranking, figures, paired_difference, rankings
from matcher.judgements import JudgedNeed, Judgements, ask_tagged, build_pool, read_judgements
from matcher.programs import Evidence, Tagger
from matcher.rank import Ranker
from matcher.records import OFFER_KINDS
from matcher.settings import load_settings
from matcher.tagging import fit_tagger
from matcher.validate import FOLDS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

REPOSITORY = Path(__file__).resolve().parent.parent
# Real judgements, where somebody has put them beside the repository; never part of it.
REAL_NEEDS = REPOSITORY.parent / "shared" / "data" / "needs"
# Families with simplified Chinese letters, as their packages name them; any of them will do.
CHINESE_FONTS = (
    "Noto Sans CJK SC",
    "Noto Sans SC",
    "Source Han Sans SC",
    "Source Han Sans CN",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "PingFang SC",
    "Hiragino Sans GB",
    "Heiti SC",
    "Microsoft YaHei",
    "SimHei",
    "Noto Sans CJK JP",
)
SEED = 0
DPI = 100


class NoChineseFont(RuntimeError):
    """No installed font has Chinese letters."""

    def __init__(self) -> None:
        super().__init__(
            "No font with Chinese letters is installed: install one (on Debian and Ubuntu the package fonts-noto-cjk)"
            " and run the notebook again."
        )


# ------------------------------------------------------------ the home


def home() -> Path:
    """MATCHER_HOME if it is set; otherwise var/notebooks, which git ignores and all notebooks share."""
    return Path(os.environ.get("MATCHER_HOME") or REPOSITORY / "var" / "notebooks")


def open_matcher() -> Matcher:
    """An installation in `home`."""
    return Matcher(load_settings(home=home()))


def load_sample(matcher: Matcher) -> None:
    """Put the sample corpus into the store and the index; does nothing where it already is."""
    for kind, name in sample.FILES:
        matcher.ingest(sample.path(name), kind, source=sample.SOURCE)
    matcher.catch_up()


# ------------------------------------------------------------ showing


def chinese_font() -> str:
    """The first of `CHINESE_FONTS` that is installed.

    :raises NoChineseFont: if none is.
    """
    from matplotlib import font_manager

    manager = font_manager.fontManager
    for attempt in range(2):
        installed = {font.name for font in manager.ttflist}
        for name in CHINESE_FONTS:
            if name in installed:
                return name
        if attempt == 0:  # matplotlib keeps a list of fonts; this one may be newer
            known = {font.fname for font in manager.ttflist}
            for path in set(font_manager.findSystemFonts()) - known:
                try:
                    manager.addfont(path)
                except (RuntimeError, OSError):  # a file that is no font
                    continue
    raise NoChineseFont


def use_chinese() -> None:
    """Have plots write Chinese.

    :raises NoChineseFont: if no font can.
    """
    import matplotlib as mpl

    mpl.rcParams["font.family"] = [chinese_font(), "DejaVu Sans"]
    mpl.rcParams["axes.unicode_minus"] = False
    mpl.rcParams["axes.spines.top"] = mpl.rcParams["axes.spines.right"] = False
    mpl.rcParams["figure.constrained_layout.use"] = True


def draw(figure: Figure) -> bytes:
    """A figure as PNG.

    :raises UserWarning: if the font lacks a letter, instead of an empty box.
    """
    content = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=r"Glyph .* missing")
        figure.savefig(content, format="png", dpi=DPI, bbox_inches="tight")
    return content.getvalue()


def show(figure: Figure) -> None:
    """Show a figure below the cell; see `draw`."""
    from IPython.display import Image, display
    from matplotlib import pyplot

    content = draw(figure)
    pyplot.close(figure)
    display(Image(content))  # type: ignore[no-untyped-call]


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Show a table below the cell; numbers that are no integers get three digits."""
    from IPython.display import Markdown, display

    lines = [header, ["---"] * len(header), *([_cell(value) for value in row] for row in rows)]
    display(Markdown("\n".join(f"| {' | '.join(line)} |" for line in lines)))  # type: ignore[no-untyped-call]


def _cell(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)


# ------------------------------------------------------------ match quality


@dataclass(frozen=True)
class Quality:
    """What judgements say of the rankings.

    :param results: as `matcher.evaluate.evaluate` returns them.
    :param judged: (n,), the level that people gave each pair; `scores` (n,) the ranker's, from 0 to 1.
    """

    results: Mapping[str, Evaluation]
    judged: NDArray[np.int64]
    scores: NDArray[np.float64]

    def gains(self) -> dict[str, tuple[float, float, float]]:
        """By how much the ranker's NDCG@10 is above each other ranking's, need by need; with its interval."""
        ours = self.results["ranker"]
        found = {name: paired_difference(ours, own) for name, own in self.results.items() if own is not ours}
        return {name: gain for name, gain in found.items() if gain}


def sample_judgements(split: str) -> Judgements:
    """The sample corpus' judgements of one split, with abstracts."""
    offers = [sample.path(name) for kind, name in sample.FILES if kind in OFFER_KINDS]
    return read_judgements(sample.path("needs.csv"), sample.path("judgements.csv"), offers, split)


def real_judgements(needs: int) -> Judgements | None:
    """Judgements of that many real needs, spread evenly over all, or None where the data is missing."""
    files = REAL_NEEDS / "needs.csv", REAL_NEEDS / "judgements.csv"
    return spread(read_judgements(*files), needs) if all(file.exists() for file in files) else None


def spread(judged: Judgements, needs: int) -> Judgements:
    """Judgements of fewer needs, spread evenly over all, and of the offers that these were judged with."""
    places = np.unique(np.linspace(0, len(judged.needs) - 1, min(needs, len(judged.needs))).astype(int))
    chosen = [judged.needs[i] for i in places]
    rows = sorted({row for need in chosen for row in need.levels})
    position = {row: i for i, row in enumerate(rows)}
    moved = [
        JudgedNeed(need.ids, need.title, need.text, {position[row]: level for row, level in need.levels.items()})
        for need in chosen
    ]
    return Judgements(moved, [judged.offers[row] for row in rows])


def measure(matcher: Matcher, judged: Judgements, fitted: bool = True) -> Quality:
    """Rank judged pairs by the ranker, by BM25 and by the model alone.

    :param fitted: whether to take the installation's ranker. Otherwise rankers are fitted to these judgements
        as in `matcher.validate`: no need is ranked by weights that have seen it.
    """
    parts = (matcher.embedder, matcher.tokenizer, matcher.tagger)
    ranked: dict[int, dict[str, Ranking]] = {}
    if fitted:
        pool = build_pool(judged.offers, *parts)
        questions = [ask_tagged(*parts, need.title, need.text) for need in judged.needs]
        ranked = dict(enumerate(rankings(judged, questions, pool, matcher.ranker, matcher.tokenizer)))
    else:
        material = defaults.material(judged, *parts)
        for train, test in _folds(len(judged.needs)):
            ranker = Ranker(training.fit_ranker(material.some(train), matcher.embedder.fingerprint, "fold"))
            own = material.some(test)
            needs = Judgements(list(own.needs), judged.offers)
            found = rankings(needs, own.questions, material.pool, ranker, matcher.tokenizer)
            ranked.update(zip(test.tolist(), found, strict=True))
    order = [ranked[i] for i in range(len(judged.needs))]
    return Quality(
        {name: figures(judged.needs, [own[name] for own in order]) for name in order[0]},
        np.array([level for need in judged.needs for level in need.levels.values()]),
        np.concatenate([own["ranker"].scores for own in order]),
    )


def _folds(rows: int) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    from sklearn.model_selection import KFold

    yield from KFold(FOLDS, shuffle=True, random_state=SEED).split(np.arange(rows))


# ------------------------------------------------------------ programmes


@dataclass(frozen=True)
class Tagging:
    """What the tagger says of texts that it was not fitted to; columns are in the order of the policy.

    :param belongs: (n, 7), what the corpus says; `scores` (n, 7) the tagger's, `thresholds` (7,) from where
        on it gives the tag.
    """

    belongs: NDArray[np.bool_]
    scores: NDArray[np.float64]
    thresholds: NDArray[np.float64]

    def figures(self) -> list[tuple[float, float, float]]:
        """Precision, recall and F1 of each programme."""
        from sklearn.metrics import precision_recall_fscore_support

        precision, recall, f1, _ = precision_recall_fscore_support(
            self.belongs, self.scores >= self.thresholds, zero_division=0
        )
        return list(zip(precision.tolist(), recall.tolist(), f1.tolist(), strict=True))


def cross_validate_tagger(matcher: Matcher) -> Tagging:
    """Tag the sample corpus, each record by a tagger that was fitted to the other folds."""
    labelled = [record for kind, _ in sample.FILES if kind != "institution" for record in sample.records(kind)]
    texts, belongs, _ = sample.tagged_texts(labelled, matcher.embedder, matcher.tokenizer)
    vectors = np.stack([text.vector for text in texts])
    scores = np.zeros(belongs.shape)
    thresholds = np.zeros(belongs.shape[1])
    for train, test in _folds(len(texts)):
        evidence = Evidence(matcher.embedder, matcher.tokenizer, vectors[train].mean(axis=0))
        weights = fit_tagger([texts[i] for i in train], belongs[train], evidence, matcher.embedder.fingerprint, "fold")
        tagger, thresholds = Tagger(evidence, weights), weights["thresholds"]
        scores[test] = [tagger.probabilities(texts[i]) for i in test]
    return Tagging(belongs, scores, thresholds)
