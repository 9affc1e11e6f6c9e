"""Why a match is one: words a broker can repeat on the phone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from matcher.features import FEATURE_NAMES, Question
from matcher.frequencies import Statistics, inverse_frequency
from matcher.memory import REMEMBERED
from matcher.segments import hash_terms
from matcher.text import normalize, sentences

SHOWN_TERMS = 8
# A word in more than this share of all documents (稳定, 部分, 实际) explains nothing
COMMON_SHARE = 0.05
# ... unless these are few: in a small collection the words of its field are in most documents.
COMMON_LEAST = 10
# Characters of a passage: about three lines of a mail.
PASSAGE_LENGTH = 120
# Features named in the sentence.
SPOKEN_FEATURES = 2
REASONS = FEATURE_NAMES | {REMEMBERED: "与这条需求已认可的成果相近"}
_LATIN = re.compile("[a-z0-9]")


@dataclass(frozen=True)
class Why:
    """The grounds of one match.

    :param terms: technical terms that both sides use, the most telling first.
    :param passage: the sentence of the record that answers the question best.
    :param features: what each feature added to the log odds.
    """

    sentence: str
    terms: list[str]
    passage: str
    features: Mapping[str, float]


class Explainer:
    """Explains matches of one question."""

    def __init__(self, question: Question, statistics: Statistics) -> None:
        counts = statistics.term_frequencies(hash_terms(question.terms))
        weights = inverse_frequency(counts, statistics.documents)
        common = max(COMMON_LEAST, COMMON_SHARE * statistics.documents)
        self._weights = {
            term: float(weight)
            for term, weight, count in zip(question.terms, weights, counts, strict=True)
            if 0 < count <= common
        }

    def explain(self, title: str, abstract: str, contributions: Mapping[str, float]) -> Why:
        """Say why this record was matched.

        A term counts as shared where it stands in the text, letter by letter: that is what a reader checks.
        """
        text = normalize(f"{title}\n{abstract}").lower()
        present = [term for term in self._weights if term in text and _stands_alone(term, text)]
        shared = self._shown(present)
        passage = max(sentences(abstract) or [title], key=lambda sentence: self._weight(present, sentence.lower()))
        if len(passage) > PASSAGE_LENGTH:
            passage = passage[: PASSAGE_LENGTH - 1] + "…"
        return Why(_sentence(shared, contributions), shared, passage, contributions)

    def known_terms(self) -> list[str]:
        """The question's terms that the collection knows, the most telling first."""
        return self._shown(self._weights)

    def _weight(self, terms: Iterable[str], sentence: str) -> float:
        return sum(self._weights[term] for term in terms if term in sentence and _stands_alone(term, sentence))

    def _shown(self, terms: Iterable[str]) -> list[str]:
        ordered = sorted(terms, key=lambda t: (-self._weights[t], t))
        shown: list[str] = []
        # 链孢霉 says all that 孢霉 would say again.
        for term in sorted(ordered[: 2 * SHOWN_TERMS], key=lambda t: -len(t)):
            if not any(term in longer for longer in shown):
                shown.append(term)
        return sorted(shown, key=ordered.index)[:SHOWN_TERMS]


def _stands_alone(term: str, text: str) -> bool:
    """Whether a term that is in a text is a word there: one with Latin ends must not be part of a longer one."""
    before = "(?<![a-z0-9])" if _LATIN.match(term) else ""
    after = "(?![a-z0-9])" if _LATIN.match(term[-1]) else ""
    return not (before or after) or re.search(before + re.escape(term) + after, text) is not None


def _sentence(terms: list[str], contributions: Mapping[str, float]) -> str:
    spoken = sorted((name for name in contributions if contributions[name] > 0), key=lambda n: -contributions[n])
    reasons = "、".join(REASONS[name] for name in spoken[:SPOKEN_FEATURES])
    if terms and reasons:
        return f"双方都提到{'、'.join(terms[:4])}；{reasons}。"
    if terms:
        return f"双方都提到{'、'.join(terms[:4])}。"
    return f"用词不同，但{reasons}。" if reasons else "与需求的联系较弱，仅供参考。"
