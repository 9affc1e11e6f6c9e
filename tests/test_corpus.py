"""What the sample corpus promises: it is what a newcomer sees first, and what the defaults learn from."""

from __future__ import annotations

import csv
import re
import tomllib
from collections import Counter, defaultdict
from itertools import chain
from pathlib import Path

import pytest

from matcher import sample
from matcher.normal import normalize
from matcher.programs import programmes
from matcher.records import KINDS, PROGRAMME_CODES, PROGRAMME_NAMES, Institution, Kind, Record, institution_id
from matcher.text import domain_terms, shingles
from matcher.values import name_key

CORPUS = sample.path("")
MARKET: tuple[Kind, ...] = ("achievement", "patent", "need")
# Eleven-digit mobiles, fixed lines with area codes, addresses of mail; and what people write before them.
CONTACTS = re.compile(
    r"(?<!\d)1[3-9]\d{9}(?!\d)|(?<!\d)0\d{2,3}-\d{7,8}|[\w.+-]+@[\w-]+\.\w+|联系电话|手机号|微信号|QQ"
)


def rows(name: str) -> list[dict[str, str]]:
    with (CORPUS / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


RECORDS: dict[Kind, list[Record]] = {kind: sample.records(kind) for kind in KINDS}
OFFERED = [record for kind in MARKET for record in RECORDS[kind]]


@pytest.mark.parametrize(("kind", "least"), [("achievement", 160), ("patent", 100), ("need", 80), ("institution", 40)])
def test_there_are_enough_records_of_each_kind(kind: Kind, least: int) -> None:
    assert len(RECORDS[kind]) >= least
    assert len({record.id for record in RECORDS[kind]}) == len(RECORDS[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_every_row_of_a_file_is_a_record(kind: Kind) -> None:
    name = dict(sample.FILES)[kind].removesuffix(".csv")
    assert len(rows(name)) == len(RECORDS[kind])


def test_a_seventh_belongs_to_no_programme() -> None:
    outside = sum(not record.programmes for record in OFFERED)
    assert outside >= len(OFFERED) / 7


@pytest.mark.parametrize("kind", MARKET)
def test_every_programme_has_records_of_every_kind(kind: Kind) -> None:
    found = Counter(code for record in RECORDS[kind] for code in record.programmes)
    assert set(found) == set(PROGRAMME_CODES)
    assert min(found.values()) >= 5


def test_the_files_name_programmes_by_their_codes() -> None:
    named = {code for name in ("achievements", "patents", "needs") for row in rows(name) for code in codes(row)}
    assert named == set(PROGRAMME_CODES)


def codes(row: dict[str, str]) -> list[str]:
    return [code for code in row["programmes"].split(";") if code]


@pytest.mark.parametrize("kind", KINDS)
def test_every_text_is_of_120_to_400_characters(kind: Kind) -> None:
    lengths = {record.source_id: len(record.abstract) for record in RECORDS[kind]}
    assert {id_: length for id_, length in lengths.items() if not 120 <= length <= 400} == {}


def test_no_two_records_share_more_than_a_third_of_their_shingles() -> None:
    texts = {record.id: shingles(f"{record.title}\n{record.abstract}", 8) for record in chain(*RECORDS.values())}
    holders: defaultdict[str, list[str]] = defaultdict(list)
    for id_, own in texts.items():
        for shingle in own:
            holders[shingle].append(id_)
    shared = Counter(
        (one, other) for ids in holders.values() for place, one in enumerate(ids) for other in ids[place + 1 :]
    )
    shares = {pair: count / min(len(texts[pair[0]]), len(texts[pair[1]])) for pair, count in shared.items()}
    assert {pair: share for pair, share in shares.items() if share > 1 / 3} == {}


def test_no_two_records_have_the_same_title() -> None:
    titles = Counter(name_key(record.title) for record in chain(*RECORDS.values()))
    assert [title for title, count in titles.items() if count > 1] == []


def test_texts_are_written_in_the_form_that_the_engine_works_on() -> None:
    for record in chain(*RECORDS.values()):
        assert record.abstract.strip() == record.abstract
        assert "\ufffd" not in record.abstract
        assert normalize(record.title)


def test_no_record_names_a_telephone_or_a_mail_address() -> None:
    for path in CORPUS.glob("*.csv"):
        # A hash may hold eleven digits in a row.
        text = re.sub(r"\b[0-9a-f]{12,16}\b", "", path.read_text("utf-8"))
        assert CONTACTS.search(text) is None, path.name


def test_dates_deadlines_and_places_are_there_and_right() -> None:
    for record in chain(RECORDS["achievement"], RECORDS["patent"]):
        assert record.date, record.source_id
        assert "2000" < record.date < "2027", record.source_id
    for record in chain(RECORDS["achievement"], RECORDS["need"], RECORDS["institution"]):
        assert record.province, record.source_id
    assert sum(record.province == "四川省" for record in RECORDS["need"]) > len(RECORDS["need"]) / 2


def test_the_owners_of_most_offers_are_among_the_institutions() -> None:
    institutions = [record for record in RECORDS["institution"] if isinstance(record, Institution)]
    known = {institution_id(name) for record in institutions for name in (record.title, *record.aliases)}
    owners = [record.institution for record in chain(RECORDS["achievement"], RECORDS["patent"])]
    assert all(owners)
    assert sum(institution_id(owner) in known for owner in owners if owner) > 0.75 * len(owners)


def test_patents_have_numbers_and_classes() -> None:
    for record in RECORDS["patent"]:
        details = record.details()
        assert re.fullmatch(r"CN\d{9}[ABU]", details["publication_number"]), record.source_id
        assert details["ipc"], record.source_id
        assert all(re.fullmatch(r"[A-H]\d{2}[A-Z]\d{1,4}/\d{2,6}", symbol) for symbol in details["ipc"]), (
            record.source_id
        )


# ---------------------------------------------------------------- judgements

JUDGED = rows("judgements")


def test_at_least_fifty_needs_have_twelve_judgements_over_all_levels() -> None:
    levels: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for row in JUDGED:
        levels[row["need_id"]][row["level"]] += 1
    full = [need for need, own in levels.items() if own.total() >= 12 and set(own) == set("1234")]
    assert len(full) >= 50


def test_everything_judged_exists_and_is_called_so() -> None:
    needs = {record.source_id for record in RECORDS["need"]}
    titles = {record.source_id: record.title for kind in ("achievement", "patent") for record in RECORDS[kind]}
    for row in JUDGED:
        assert row["need_id"] in needs
        assert titles[row["achievement_id"]] == row["achievement_title"]
        assert row["level"] in set("1234")


def test_no_pair_is_judged_twice() -> None:
    pairs = Counter((row["need_id"], row["achievement_id"]) for row in JUDGED)
    assert max(pairs.values()) == 1


def test_a_need_is_for_training_or_for_testing_never_both() -> None:
    splits: defaultdict[str, set[str]] = defaultdict(set)
    for row in JUDGED:
        splits[row["need_id"]].add(row["split"])
    assert set(map(len, splits.values())) == {1}
    counts = Counter(next(iter(split)) for split in splits.values())
    assert set(counts) == {"train", "test"}
    assert min(counts.values()) >= 10


# ---------------------------------------------------------------- words and programmes


def words(path: Path) -> list[str]:
    return [line for line in path.read_text("utf-8").splitlines() if line and not line.startswith("#")]


DICTIONARY = sorted((CORPUS / "dictionary").glob("*.txt"))


def test_the_dictionary_has_a_file_for_every_programme_and_one_for_all() -> None:
    assert {path.stem for path in DICTIONARY} == {*PROGRAMME_CODES, "general"}
    assert domain_terms().keys() == set(PROGRAMME_CODES)


@pytest.mark.parametrize("path", [*DICTIONARY, CORPUS / "stopwords.txt"], ids=lambda path: path.stem)
def test_no_word_of_a_list_comes_twice(path: Path) -> None:
    found = words(path)
    assert [word for word, count in Counter(found).items() if count > 1] == []
    assert [word for word in found if word != word.strip()] == []


@pytest.mark.parametrize("path", DICTIONARY, ids=lambda path: path.stem)
def test_a_dictionary_file_is_sorted(path: Path) -> None:
    assert words(path) == sorted(words(path))


def test_the_dictionary_has_at_least_1500_different_terms() -> None:
    assert len({word for path in DICTIONARY for word in words(path)}) >= 1500
    assert min(len(words(path)) for path in DICTIONARY) >= 150


def test_no_domain_term_is_a_stop_word() -> None:
    terms = {word for path in DICTIONARY for word in words(path)}
    assert terms & set(words(CORPUS / "stopwords.txt")) == set()


def test_the_programmes_are_defined_in_the_order_of_the_policy() -> None:
    content = tomllib.loads((CORPUS / "programmes.toml").read_text("utf-8"))
    assert [row["code"] for row in content["programme"]] == list(PROGRAMME_CODES)
    assert [programme.code for programme in programmes()] == list(PROGRAMME_CODES)
    assert [programme.name for programme in programmes()] == list(PROGRAMME_NAMES.values())
    for programme in programmes():
        assert programme.definition
        assert len(programme.topics) >= 3
        assert all(re.fullmatch(r"[A-H]\d{2}([A-Z](\d{1,4}(/\d{2,6})?)?)?", prefix) for prefix in programme.ipc)
        assert programme.industries


def test_there_are_texts_that_are_off_topic_for_training_and_testing() -> None:
    train, test = sample.off_topic("train"), sample.off_topic("test")
    assert min(len(train), len(test)) >= 15
    assert not set(train) & set(test)
    assert len(train) + len(test) == len(rows("off_topic"))


def test_the_data_card_says_that_everything_is_invented() -> None:
    card = (CORPUS / "README.md").read_text("utf-8")
    assert "invented" in card or "虚构" in card
