"""Why a match is one: words a broker can repeat on the phone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from matcher.features import FEATURE_NAMES, Question, inverse_frequency
from matcher.frequencies import Statistics
from matcher.segments import hash_terms
from matcher.text import Tokenizer, sentences

SHOWN_TERMS = 8
# Characters of a passage: about three lines of a mail.
PASSAGE_LENGTH = 120
# Features named in the sentence.
SPOKEN_FEATURES = 2


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

    def __init__(self, question: Question, tokenizer: Tokenizer, statistics: Statistics) -> None:
        self._tokenizer = tokenizer
        counts = statistics.term_frequencies(hash_terms(question.terms))
        weights = inverse_frequency(counts, statistics.documents)
        self._weights = {
            term: float(weight) for term, weight, count in zip(question.terms, weights, counts, strict=True) if count
        }

    def explain(self, title: str, abstract: str, contributions: Mapping[str, float]) -> Why:
        """Say why this record was matched."""
        shared = self._shared(f"{title}\n{abstract}")
        passage = self._passage(title, abstract)
        return Why(_sentence(shared, contributions), shared, passage, contributions)

    def known_terms(self) -> list[str]:
        """The question's terms that the collection knows, the most telling first."""
        return self._shown(self._weights)

    def _shared(self, text: str) -> list[str]:
        present = set(self._tokenizer.terms(text))
        return self._shown(term for term in self._weights if term in present)

    def _shown(self, terms: Iterable[str]) -> list[str]:
        ordered = sorted(terms, key=lambda t: (-self._weights[t], t))
        shown: list[str] = []
        # 链孢霉 says all that 孢霉 would say again.
        for term in sorted(ordered[: 2 * SHOWN_TERMS], key=lambda t: -len(t)):
            if not any(term in longer for longer in shown):
                shown.append(term)
        return sorted(shown, key=ordered.index)[:SHOWN_TERMS]

    def _passage(self, title: str, abstract: str) -> str:
        candidates = sentences(abstract) or [title]
        best = max(candidates, key=lambda s: sum(self._weights.get(t, 0.0) for t in set(self._tokenizer.terms(s))))
        return best if len(best) <= PASSAGE_LENGTH else best[: PASSAGE_LENGTH - 1] + "…"


def _sentence(terms: list[str], contributions: Mapping[str, float]) -> str:
    spoken = sorted((name for name in contributions if contributions[name] > 0), key=lambda n: -contributions[n])
    reasons = "、".join(FEATURE_NAMES[name] for name in spoken[:SPOKEN_FEATURES])
    if terms and reasons:
        return f"双方都提到{'、'.join(terms[:4])}；{reasons}。"
    if terms:
        return f"双方都提到{'、'.join(terms[:4])}。"
    return f"用词不同，但{reasons}。" if reasons else "与需求的联系较弱，仅供参考。"
