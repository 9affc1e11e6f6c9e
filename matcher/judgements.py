"""What people judged: needs, the offers shown to them, the level each was given."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from matcher.documents import IndexDocument, programme_bits, segment_of
from matcher.embed import Embedder, Progress
from matcher.errors import UnreadableFile
from matcher.features import Question, ask
from matcher.frequencies import Statistics, statistics_of
from matcher.programs import TaggedText, Tagger
from matcher.readers import Row, map_columns, read_table
from matcher.records import embedded_text
from matcher.segments import Segment
from matcher.text import Tokenizer

JUDGEMENT_COLUMNS = ("need_id", "achievement_id", "achievement_title", "level")
# Titles that survive as words only are joined; a space beside a Chinese character means nothing.
SPACES_AT_HAN = re.compile(r"(?<=[\u3400-\u9fff])\s+|\s+(?=[\u3400-\u9fff])")
LEVEL_VALUES = frozenset({"1", "2", "3", "4"})

# Title and body of a need.
NeedText = tuple[str, str]


@dataclass(frozen=True)
class Offer:
    """A judged offer's text; the abstract is empty where only titles are known."""

    title: str
    abstract: str = ""


@dataclass(frozen=True)
class JudgedNeed:
    """One need text with the levels its offers were given.

    :param ids: of all needs that share this text.
    :param levels: position of the offer in `Judgements.offers` to level.
    """

    ids: tuple[str, ...]
    title: str
    text: str
    levels: Mapping[int, int]


@dataclass
class Judgements:
    """Judgements ready for use, and what was left out of them.

    :param dropped: reason in Chinese to number of rows; `rows` is how many were read.
    """

    needs: list[JudgedNeed]
    offers: list[Offer]
    dropped: Counter[str] = field(default_factory=Counter)
    rows: int = 0

    @property
    def pairs(self) -> int:
        """Distinct pairs of a need and an offer."""
        return sum(len(need.levels) for need in self.needs)


def read_judgements(
    needs_file: Path, judgements_file: Path, offer_files: Sequence[Path] = (), split: str | None = None
) -> Judgements:
    """Read the two tables; needs that share a text become one, and repeated pairs one pair.

    A pair judged with different levels takes their mean, rounded half up.

    :param offer_files: tables of achievements or patents whose id is the judgements' achievement_id; they
        give the abstracts. Without one the judged titles are all there is.
    :param split: keep only judgements whose column `split` says so.
    :raises UnreadableFile: if a file is no table of this kind, or nothing usable is in it.
    """
    dropped: Counter[str] = Counter()
    texts = _read_needs(needs_file, dropped)
    bodies = {id_: offer for path in offer_files for id_, offer in _read_offers(path)}
    # How often each level was given: a pair repeated a million times must not be searched a million times.
    levels: dict[NeedText, dict[Offer, Counter[int]]] = {}
    ids: dict[NeedText, dict[str, None]] = {}
    used = 0
    unreadable: Counter[str] = Counter()
    for values in _rows(judgements_file, JUDGEMENT_COLUMNS, unreadable):
        if split and values.get("split") != split:
            continue
        used += 1
        title = SPACES_AT_HAN.sub("", values.get("achievement_title", ""))
        offer = bodies.get(values.get("achievement_id", "")) or Offer(title)
        text = texts.get(values.get("need_id", ""))
        if values.get("level") not in LEVEL_VALUES:
            dropped["level 不是 1、2、3、4"] += 1
        elif text is None or not any(text):
            dropped["need_id 在需求表中没有或没有文字"] += 1
        elif not offer.title:
            dropped["没有成果标题"] += 1
        else:
            given = levels.setdefault(text, {}).setdefault(offer, Counter())
            ids.setdefault(text, {})[values["need_id"]] = None
            level = int(values["level"])
            if given:
                dropped["重复的标注，已合并" if given[level] else "同一对有不同等级，已取平均"] += 1
            given[level] += 1
    if not levels:
        raise UnreadableFile(
            f"{judgements_file.name} 中没有可用的标注。请检查它与 {needs_file.name} 的 need_id 是否一致。"
        )
    return assembled(levels, ids, dropped + unreadable, used + unreadable.total())


def assembled(
    levels: Mapping[NeedText, Mapping[Offer, Counter[int]]],
    ids: Mapping[NeedText, Iterable[str]],
    dropped: Counter[str],
    rows: int,
) -> Judgements:
    """Judgements out of the levels that were given, how often each.

    :param ids: of the needs that have a text.
    """
    offers = list(dict.fromkeys(offer for own in levels.values() for offer in own))
    position = {offer: i for i, offer in enumerate(offers)}
    needs = [
        JudgedNeed(tuple(ids[text]), *text, {position[offer]: _mean(given) for offer, given in own.items()})
        for text, own in levels.items()
    ]
    return Judgements(needs, offers, dropped, rows)


@dataclass(frozen=True)
class Pool:
    """Offers as the ranker sees them, outside any index; row i is offer i."""

    documents: Segment
    statistics: Statistics


def build_pool(
    offers: Sequence[Offer],
    embedder: Embedder,
    tokenizer: Tokenizer,
    tagger: Tagger,
    progress: Progress | None = None,
) -> Pool:
    """Embed, tokenise and tag offers."""
    titles = embedder.documents([offer.title for offer in offers])
    bodies = embedder.documents([embedded_text(offer.title, offer.abstract) for offer in offers], progress)
    documents = []
    for i, offer in enumerate(offers):
        title_terms, body_terms = tokenizer.terms(offer.title), tokenizer.terms(offer.abstract)
        tags = tagger.tag(TaggedText(bodies[i], title_terms + body_terms))
        documents.append(
            IndexDocument(
                key=i,
                kind="achievement",
                programmes=tuple(tag.code for tag in tags),
                province=None,
                visibility="public",
                title_vector=titles[i],
                body_vector=bodies[i],
                title=offer.title,
                abstract=offer.abstract,
                title_terms=title_terms,
                body_terms=body_terms,
            )
        )
    segment = segment_of(documents, embedder.dimension)
    return Pool(segment, statistics_of([(segment, np.ones(len(segment), np.bool_))], embedder.dimension))


def ask_tagged(embedder: Embedder, tokenizer: Tokenizer, tagger: Tagger, title: str, text: str) -> Question:
    """A question with its programmes."""
    question = ask(embedder, tokenizer, title, text)
    tags = tagger.tag(TaggedText(question.body_vector, question.terms))
    return Question(**(vars(question) | {"programmes": int(programme_bits([tag.code for tag in tags]))}))


def _mean(given: Counter[int]) -> int:
    """The mean level, rounded half up."""
    number = given.total()
    return (2 * sum(level * count for level, count in given.items()) + number) // (2 * number)


def _read_needs(path: Path, dropped: Counter[str]) -> dict[str, tuple[str, str]]:
    table = read_table(path)
    columns = map_columns(table.columns, "need")
    if "source_id" not in columns.fields or not {"title", "abstract"} & columns.fields.keys():
        raise UnreadableFile(f"{path.name} 不是需求表：应有 need_id、title、text 三列。")
    needs: dict[str, tuple[str, str]] = {}
    for row in table.rows:
        if not isinstance(row, Row):
            dropped[f"需求表：{row.reason}"] += 1
            continue
        values = columns.apply(row)
        if "source_id" not in values:
            dropped["需求表：没有 need_id"] += 1
            continue
        text = (values.get("title", ""), values.get("abstract", ""))
        if needs.setdefault(values["source_id"], text) != text:
            dropped["需求表：need_id 重复而文字不同，取第一行"] += 1
    return needs


def _read_offers(path: Path) -> Iterable[tuple[str, Offer]]:
    table = read_table(path)
    columns = map_columns(table.columns, "achievement")
    if not {"source_id", "title"} <= columns.fields.keys():
        raise UnreadableFile(f"{path.name} 不是成果或专利表：应有 source_id、title、abstract 三列。")
    for row in table.rows:
        if isinstance(row, Row):
            values = columns.apply(row)
            if {"source_id", "title"} <= values.keys():
                yield values["source_id"], Offer(values["title"], values.get("abstract", ""))


def _rows(path: Path, wanted: Sequence[str], unreadable: Counter[str]) -> Iterable[Mapping[str, str]]:
    table = read_table(path)
    missing = [name for name in wanted if name not in table.columns]
    if missing:
        raise UnreadableFile(f"{path.name} 不是标注表：缺少列 {'、'.join(missing)}。")
    for row in table.rows:
        if isinstance(row, Row):
            yield row.values
        else:
            unreadable[row.reason] += 1
