"""Questions answered together: what each gets alone, and nothing of what another may see."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matcher.answering import Answer
from matcher.embed import Embedder
from matcher.engine import Matcher
from matcher.errors import InvalidQuery
from matcher.index import LocalIndex
from matcher.programs import Tag
from matcher.queries import MatchQuery
from matcher.rank import Ranker
from matcher.records import OFFER_KINDS, Achievement, Need, Record, Visibility
from matcher.settings import Settings
from matcher.store import Store
from matcher.text import Tokenizer
from matcher.vectors import VectorCache
from matcher.visibility import ANONYMOUS, OPERATOR, PUBLIC, Viewer
from tests.fakes import DIMENSION, PROCESSES, THINGS, FakeEncoder, index_document, ranker_weights

OURS, THEIRS = 7, 8
VIEWERS = [
    ANONYMOUS,
    PUBLIC,
    OPERATOR,
    Viewer("enterprise", OURS),
    Viewer("enterprise", THEIRS),
    Viewer("intermediary", 9),
]
VISIBILITIES: tuple[Visibility, ...] = ("public", "intermediaries", "private")
TEXTS = [f"{thing}{process}时能耗高。{text}" for thing in THINGS for process, text in PROCESSES.items()]
TITLES = ["", *(f"{thing}{process}" for thing in THINGS for process in PROCESSES)]


class NoTagger:
    """Tags nothing; the tags are not what is compared here, and the real tagger wants the real model."""

    def tag(self, _: Any) -> list[Tag]:
        return []


def records() -> Iterator[tuple[Record, int]]:
    """Records of every side and visibility, each with the account that owns it."""
    for number, (thing, (process, text)) in enumerate((t, p) for t in THINGS for p in PROCESSES.items()):
        for visibility in VISIBILITIES:
            owner = (0, OURS, THEIRS)[number % 3]
            values: dict[str, Any] = {"source": "平台", "visibility": visibility, "institution": f"{thing}研究所"}
            id_ = f"{number}-{visibility}"
            title, abstract = f"{thing}{process}技术{visibility}", f"{text}{thing}用。"
            yield Achievement(source_id=f"A{id_}", title=title, abstract=abstract, **values), owner
            need = f"求{thing}{process}工艺{visibility}"
            yield Need(source_id=f"N{id_}", title=need, abstract=text, **values), owner


@pytest.fixture(scope="module")
def matcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Matcher]:
    home = tmp_path_factory.mktemp("home")
    opened = Matcher(Settings(home=home, threads=1))
    made = list(records())
    keys: dict[str, int] = {}
    for owner in (0, OURS, THEIRS):
        own = [record for record, of in made if of == owner]
        opened.store.upsert([(record, None) for record in own], owner)
        keys |= {id_: one.key for id_, one in opened.store.by_id([record.id for record in own]).items()}
    index = LocalIndex(home / "index", f"fake:{DIMENSION}", DIMENSION)
    with index.writer(1) as writer:
        writer.upsert(
            [
                replace(
                    index_document(
                        keys[record.id],
                        record.title,
                        record.abstract,
                        kind=record.kind,
                        visibility=record.visibility,
                        tokenizer=Tokenizer.default(),
                    ),
                    owner=owner,
                )
                for record, owner in made
            ]
        )
        writer.flush(opened.store.revision())
    embedder = Embedder(FakeEncoder(), VectorCache(home / "vectors.db"))
    parts = {"embedder": embedder, "tagger": NoTagger(), "ranker": Ranker(ranker_weights()), "index": index}
    opened.__dict__.update(parts)  # where the cached properties keep them
    yield opened
    opened.close()


QUERIES = st.builds(
    MatchQuery,
    text=st.sampled_from(TEXTS),
    title=st.sampled_from(TITLES),
    kinds=st.sampled_from([OFFER_KINDS, ("need",), ("achievement",), ("achievement", "need")]),
    limit=st.integers(1, 40),
    min_level=st.integers(1, 4),
    partners=st.integers(1, 5),
    asker=st.sampled_from([None, "银耳研究所"]),
    viewer=st.sampled_from(VIEWERS),
    exclude=st.sampled_from([None, 1, 5]),
    similar=st.booleans(),
)


def without_times(result: Answer | Exception) -> Answer:
    assert isinstance(result, Answer), result
    return replace(result, steps={})


@settings(max_examples=60, deadline=None)
@given(st.lists(QUERIES, min_size=1, max_size=7))
def test_a_question_gets_among_others_what_it_gets_alone(matcher: Matcher, queries: Sequence[MatchQuery]) -> None:
    together = matcher.match_many(queries)
    assert [without_times(result) for result in together] == [without_times(matcher.match(query)) for query in queries]


@settings(max_examples=60, deadline=None)
@given(st.lists(QUERIES, min_size=2, max_size=7))
def test_nobody_gets_what_only_another_may_see(matcher: Matcher, queries: Sequence[MatchQuery]) -> None:
    for query, result in zip(queries, matcher.match_many(queries), strict=True):
        answer = without_times(result)
        given_out = [match.stored for match in answer.matches]
        given_out += [variant for match in answer.matches for variant in match.variants]
        given_out += [stored for partner in answer.partners for stored in partner.evidence]
        for stored in given_out:
            record = stored.record
            assert query.viewer.sight.shows(record.kind, record.visibility, stored.owner)
            if not query.viewer.may_know_names(record.visibility, stored.owner):
                assert record.institution is None


def test_many_questions_bring_something(matcher: Matcher) -> None:
    answers = [without_times(result) for result in matcher.match_many([MatchQuery(text=text) for text in TEXTS])]
    assert all(answer.matches and answer.partners for answer in answers)


def test_a_question_that_cannot_be_answered_leaves_the_others_alone(matcher: Matcher) -> None:
    good = [MatchQuery(text=text) for text in TEXTS[:3]]
    bad = MatchQuery(text="  ")
    results = matcher.match_many([good[0], bad, good[1], bad, good[2]])
    assert [isinstance(result, InvalidQuery) for result in results] == [False, True, False, True, False]
    assert [without_times(results[at]) for at in (0, 2, 4)] == [without_times(matcher.match(query)) for query in good]


def test_a_question_that_breaks_the_batch_fails_alone(matcher: Matcher, monkeypatch: pytest.MonkeyPatch) -> None:
    encode = FakeEncoder.encode

    def fail_at_one(self: FakeEncoder, texts: Sequence[str], side: Any) -> Any:
        if any("白酒" in text for text in texts):
            raise RuntimeError("out of luck")
        return encode(self, texts, side)

    monkeypatch.setattr(FakeEncoder, "encode", fail_at_one)
    results = matcher.match_many([MatchQuery(text=text) for text in TEXTS])
    assert [isinstance(result, RuntimeError) for result in results] == ["白酒" in text for text in TEXTS]


def test_no_questions_bring_no_answers(matcher: Matcher) -> None:
    assert matcher.match_many([]) == []


def test_what_was_hidden_a_moment_ago_is_in_no_answer_of_the_batch(matcher: Matcher) -> None:
    queries = [MatchQuery(text=text, limit=40, min_level=1) for text in TEXTS[:4]]
    before = {m.stored.id for result in matcher.match_many(queries) for m in without_times(result).matches}
    gone = sorted(before)[0]
    other = Store(matcher.settings.store_url)
    other.withdraw(gone)
    after = {m.stored.id for result in matcher.match_many(queries) for m in without_times(result).matches}
    stored = matcher.store.by_id([gone])[gone]
    other.upsert([(stored.record, None)], stored.owner)
    other.close()
    assert before - after == {gone}
