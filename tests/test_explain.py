from __future__ import annotations

from collections.abc import Callable

import pytest

from matcher.documents import segment_of
from matcher.embed import Embedder
from matcher.explain import PASSAGE_LENGTH, SHOWN_TERMS, Explainer, Why
from matcher.features import FEATURE_NAMES, FEATURES, ask
from matcher.frequencies import Statistics
from matcher.text import Tokenizer
from tests.fakes import DIMENSION, index_document, statistics

TITLE = "银耳热泵烘干技术"
ABSTRACT = (
    "本成果面向山区产地初加工。采用闭路除湿热泵对鲜银耳分段变温烘干，单位能耗下降四成；烘后耳基不发黄。"
    "已在通江县推广三十台，用户反映良好。"
)
NEED = "鲜银耳烘干能耗高、耳基发黄，想用热泵降低能耗。"
Explain = Callable[..., Why]
NOTHING = dict.fromkeys(FEATURES, 0.0)


@pytest.fixture
def collection(tokenizer: Tokenizer) -> Statistics:
    texts = [
        (TITLE, ABSTRACT),
        ("石墨提纯", "高温除铁。"),
        ("核桃脱皮机", "钢丝刷脱皮，能耗低。"),
        ("茶叶杀青", "PE 与 LED"),
    ]
    made = [index_document(key, *text, tokenizer=tokenizer) for key, text in enumerate(texts)]
    return statistics(segment_of(made, DIMENSION))


@pytest.fixture
def explain(embedder: Embedder, tokenizer: Tokenizer, collection: Statistics) -> Explain:
    def explained(need: str, title: str = TITLE, abstract: str = ABSTRACT, **features: float) -> Why:
        explainer = Explainer(ask(embedder, tokenizer, "", need), collection)
        return explainer.explain(title, abstract, NOTHING | features)

    return explained


def test_the_terms_are_what_both_sides_use(explain: Explain, tokenizer: Tokenizer) -> None:
    why = explain(NEED)
    assert {"银耳", "热泵", "烘干", "能耗"} <= set(why.terms)
    assert all(term in TITLE + ABSTRACT and term in NEED for term in why.terms)
    assert set(why.terms) <= set(tokenizer.terms(NEED))


def test_a_latin_term_inside_another_word_is_not_shared(explain: Explain) -> None:
    need = "PE 管材与 LED 烘干"
    assert {"pe", "led"}.isdisjoint(explain(need, "PET 瓶片", "银耳烘干，filled 与 open，采用CPE。").terms)
    assert "pe" in explain(need, "PE管", "银耳烘干。").terms
    assert "pe" in explain(need, "给水用（ＰＥ）管", "银耳烘干。").terms


def test_a_term_removed_from_both_texts_is_no_longer_shown(explain: Explain) -> None:
    shown = explain(NEED).terms
    assert shown
    for term in shown:
        without = explain(NEED.replace(term, "某"), TITLE.replace(term, "某"), ABSTRACT.replace(term, "某"))
        assert term not in without.terms


def test_a_term_removed_from_one_text_is_no_longer_shown(explain: Explain) -> None:
    for term in explain(NEED).terms:
        assert term not in explain(NEED.replace(term, "某")).terms
        assert term not in explain(NEED, TITLE.replace(term, "某"), ABSTRACT.replace(term, "某")).terms


def test_a_word_inside_a_shown_compound_is_not_shown_again(explain: Explain) -> None:
    shown = explain("代料菌袋链孢霉污染怎么防", "链孢霉防控技术", "菌袋链孢霉源头阻断。" + ABSTRACT).terms
    assert not any(one != other and one in other for one in shown for other in shown)


def test_rare_terms_are_shown_before_common_ones(explain: Explain) -> None:
    # 能耗 stands in two of the four records, 热泵 in one.
    shown = explain("热泵能耗").terms
    assert shown.index("热泵") < shown.index("能耗")


def test_a_word_that_everybody_uses_explains_nothing(embedder: Embedder, tokenizer: Tokenizer) -> None:
    texts = [("银耳装置", "热泵稳定。")] * 3 + [(f"装置{number}", "稳定。") for number in range(297)]
    many = statistics(segment_of([index_document(k, *t, tokenizer=tokenizer) for k, t in enumerate(texts)], DIMENSION))
    explainer = Explainer(ask(embedder, tokenizer, "", "银耳热泵装置不稳定"), many)
    assert set(explainer.explain(*texts[0], NOTHING).terms) == {"银耳", "热泵"}


def test_no_more_terms_than_can_be_said_on_the_phone(explain: Explain) -> None:
    assert 0 < len(explain(TITLE + ABSTRACT).terms) <= SHOWN_TERMS


def test_the_passage_is_the_sentence_that_answers_best(explain: Explain) -> None:
    passage = explain(NEED).passage
    assert passage == "采用闭路除湿热泵对鲜银耳分段变温烘干，单位能耗下降四成；"
    assert passage in ABSTRACT
    assert explain("通江县的用户推广了三十台").passage == "已在通江县推广三十台，用户反映良好。"


def test_a_record_without_a_body_is_shown_by_its_title(explain: Explain) -> None:
    assert explain(NEED, TITLE, "").passage == TITLE
    assert explain(NEED, "", "").passage == ""


def test_a_long_passage_is_cut(explain: Explain) -> None:
    endless = "鲜银耳用热泵烘干，" * 100
    passage = explain(NEED, TITLE, endless).passage
    assert len(passage) == PASSAGE_LENGTH
    assert passage.endswith("…")
    assert endless.startswith(passage[:-1])
    just = "银" * (PASSAGE_LENGTH - 1) + "。"
    assert explain(NEED, TITLE, just).passage == just


def test_the_sentence_names_the_terms_and_the_two_features_that_spoke_loudest(explain: Explain) -> None:
    why = explain(NEED, word_overlap=2.0, body_cosine=1.0, gram_cosine=0.5, title_cosine=-3.0)
    assert why.sentence.startswith("双方都提到")
    assert f"{FEATURE_NAMES['word_overlap']}、{FEATURE_NAMES['body_cosine']}。" in why.sentence
    assert FEATURE_NAMES["gram_cosine"] not in why.sentence
    assert FEATURE_NAMES["title_cosine"] not in why.sentence
    assert why.features["title_cosine"] == -3.0


def test_the_sentence_does_not_claim_what_is_not_so(explain: Explain) -> None:
    other = ("周末爬山路线", TITLE, ABSTRACT)
    assert explain(NEED).sentence.startswith("双方都提到")
    assert explain(*other, body_cosine=1.0).sentence == f"用词不同，但{FEATURE_NAMES['body_cosine']}。"
    assert explain(*other).sentence == "与需求的联系较弱，仅供参考。"
    assert explain(*other).terms == []


def test_a_question_is_shown_by_the_terms_that_the_collection_knows(
    embedder: Embedder, tokenizer: Tokenizer, collection: Statistics
) -> None:
    known = Explainer(ask(embedder, tokenizer, "", "银耳烘干，甪里堡公司"), collection).known_terms()
    assert {"银耳", "烘干"} <= set(known)
    assert "甪里堡" not in "".join(known)
    assert Explainer(ask(embedder, tokenizer, "", "爬山"), collection).known_terms() == []


def test_explaining_does_not_change_the_order_of_things(explain: Explain) -> None:
    assert explain(NEED, word_overlap=1.0) == explain(NEED, word_overlap=1.0)
