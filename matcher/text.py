"""Chinese technical text: its one written form, its sentences, its words and runs of characters."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from types import MappingProxyType
from typing import Final, Literal

from matcher.normal import normalize
from matcher.sentences import sentences
from matcher.units import UNIT_AFTER_NUMBER

__all__ = ["Tokenizer", "char_ngrams", "domain_terms", "normalize", "sentences", "shingles"]

EngineName = Literal["rjieba", "jieba"]

# What both engines join into words alike. jieba joins +#&._%- as well (re_han_default, 0.42.1), but rjieba's
# search mode then gives the parts of such a word and jieba's does not.
_JOINABLE: Final = re.compile(r"[一-鿕a-zA-Z0-9]+")
# Neither engine keeps these whole: halves of surrogate pairs (rjieba refuses them), codes with a decimal
# (PM2.5, Ni0.8Co0.1), and numbers with decimals or a unit (3.5, 25%, 50mg/L).
_WHOLE: Final = (
    r"[\ud800-\udfff]+"
    r"|(?<![A-Za-z0-9.])[A-Za-z][A-Za-z0-9]*(?:\.[0-9]+[A-Za-z0-9]*)+"
    rf"|(?<![A-Za-z0-9.])[0-9]+(?:(?:\.[0-9]+)+{UNIT_AFTER_NUMBER}?|{UNIT_AFTER_NUMBER})"
)
_WORD: Final = re.compile(r"[^\W_]+")
_HAN: Final = re.compile(r"[\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af]")
# A term says something when it holds a letter, or a number with its unit.
_TELLING: Final = re.compile(r"[^\W\d_]|[0-9][%‰℃]")


@dataclass(frozen=True)
class _Engine:
    """The four things asked of a segmenter, its hidden Markov model off.

    HMM off, as search engines use jieba: issue 340 of jieba measures F 88.4 with it, 91.5 without.
    """

    name: EngineName
    cut: Callable[[str], Sequence[str]]
    search: Callable[[str], Sequence[str]]
    suggest: Callable[[str], int]
    add: Callable[[str, int], object]


def _rjieba() -> _Engine:
    import rjieba

    own = rjieba.Jieba()
    return _Engine(
        "rjieba",
        lambda text: own.cut(text, False),
        lambda text: own.cut_for_search(text, False),
        own.suggest_freq,
        lambda word, freq: own.add_word(word, freq, None),
    )


def _jieba() -> _Engine:
    import warnings

    with warnings.catch_warnings():
        # jieba 0.42.1 imports pkg_resources and has invalid escapes in its source.
        warnings.simplefilter("ignore")
        import jieba

        own = jieba.Tokenizer()
        # What Tokenizer.initialize() does, without its messages on stderr and its cache file in /tmp,
        # which any user of the machine may write.
        own.FREQ, _ = own.gen_pfdict(own.get_dict_file())
        # jieba counts B超, which stands in its dictionary twice, twice; rjieba once. The total decides
        # between cuts that are equally likely.
        own.total = sum(own.FREQ.values())
        own.initialized = True

    def add(word: str, freq: int) -> None:
        # rjieba takes the old frequency out of the total, jieba does not: without this the two differ.
        own.total -= own.FREQ.get(word, 0)
        own.add_word(word, freq)

    return _Engine(
        "jieba",
        lambda text: own.lcut(text, HMM=False),
        lambda text: own.lcut_for_search(text, HMM=False),
        own.suggest_freq,
        add,
    )


def _engine(name: EngineName | None) -> _Engine:
    if name == "jieba":
        return _jieba()
    try:
        return _rjieba()
    except ImportError:
        if name == "rjieba":
            raise
        return _jieba()


class Tokenizer:
    """Segments with jieba's dictionary (HMM off) and the domain terms.

    Safe to share between threads once built.

    :param terms: words to keep whole, beside jieba's own.
    :param stopwords: words that `terms` leaves out.
    :param engine: rjieba (some 20 times as fast at cutting) or jieba, with the same output; None takes
        rjieba where it is installed.
    :raises ImportError: when the engine named is not installed.
    """

    def __init__(self, terms: Iterable[str], stopwords: Collection[str], engine: EngineName | None = None) -> None:
        self._engine = _engine(engine)
        self._stopwords = frozenset(normalize(word).lower() for word in stopwords)
        self._whole = re.compile(f"({_WHOLE})")
        apart = self._add(form for term in terms for form in _forms(term))
        if apart:
            longest_first = sorted(apart, key=lambda form: (-len(form), form))
            self._whole = re.compile(f"({'|'.join(map(re.escape, longest_first))}|{_WHOLE})")

    def _add(self, forms: Iterable[str]) -> list[str]:
        """Teach the engine the forms; give back those that it cannot hold.

        Short ones first: a compound's frequency is reckoned from its parts'.
        """
        apart = []
        for form in sorted(set(forms), key=lambda form: (len(form), form)):
            if _JOINABLE.fullmatch(form) and len(self._engine.cut(form)) > 1:
                # An explicit frequency, because suggest_freq of a word already known differs by rounding.
                self._engine.add(form, self._engine.suggest(form))
            if self.cut(form) != [form]:
                apart.append(form)
        return apart

    @classmethod
    def default(cls) -> Tokenizer:
        """Give the process-wide tokenizer with the dictionary and stop words of `corpus`."""
        return _default_tokenizer()

    @property
    def engine(self) -> str:
        """The segmenter in use."""
        return self._engine.name

    def cut(self, text: str) -> list[str]:
        """Cut `text` into words, nothing removed: joined they give the text back."""
        words: list[str] = []
        for at, piece in enumerate(self._whole.split(text)):
            if at % 2:
                words.append(piece)
            elif piece:
                words += self._engine.cut(piece)
        return words

    def terms(self, text: str) -> list[str]:
        """Give the words that say what `text` is about, in order, repeated ones repeated.

        Normalised and lower-cased, compounds together with the words they hold; without stop words,
        punctuation, single letters and bare numbers. Single Han characters count only where nothing
        else is left.
        """
        return self.terms_of_normal(normalize(text))

    def terms_of_normal(self, text: str) -> list[str]:
        """What `terms` gives, of a text that `normalize` has made."""
        stopwords, telling = self._stopwords, _TELLING.search
        found: list[str] = []
        single: list[str] = []
        for word in self._search(text.lower()):
            if word in stopwords:
                continue
            if len(word) > 1:
                if telling(word):
                    found.append(word)
            elif _HAN.match(word):
                single.append(word)
        return found or single

    def _search(self, text: str) -> list[str]:
        words: list[str] = []
        for at, piece in enumerate(self._whole.split(text)):
            if not piece:
                continue
            if at % 2:
                if _HAN.search(piece):
                    words += (word for word in self._engine.search(piece) if word != piece)
                words.append(piece)
            else:
                words += self._engine.search(piece)
        return words


def _forms(term: str) -> tuple[str, ...]:
    normal = normalize(term)
    return tuple(form for form in (normal, normal.lower()) if form)


@functools.cache
def _default_tokenizer() -> Tokenizer:
    terms = {term for path in _dictionary_files() for term in _lines(path)}
    return Tokenizer(terms, _lines(resources.files("corpus") / "stopwords.txt"))


@functools.cache
def domain_terms() -> Mapping[str, frozenset[str]]:
    """Give each programme's dictionary, by its code, its terms as `Tokenizer.terms` writes them."""
    return MappingProxyType(
        {
            path.name.removesuffix(".txt"): frozenset(normalize(term).lower() for term in _lines(path))
            for path in _dictionary_files()
            if path.name != "general.txt"
        }
    )


def _dictionary_files() -> list[Traversable]:
    folder = resources.files("corpus") / "dictionary"
    return sorted((path for path in folder.iterdir() if path.name.endswith(".txt")), key=lambda path: path.name)


def _lines(path: Traversable) -> list[str]:
    """Read a word list: one word a line, lines that begin with # are comments."""
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def char_ngrams(text: str, sizes: Iterable[int] = (2, 3)) -> list[str]:
    """Give the character n-grams within each run of letters and digits of `text`, lower-cased.

    :param sizes: the lengths wanted, each at least 1; a run shorter than a length has none of it.
    """
    runs = _WORD.findall(text.lower())
    return [run[at : at + size] for size in sizes for run in runs for at in range(len(run) - size + 1)]


def shingles(text: str, width: int) -> set[str]:
    """Give every piece of `width` characters of `text`, lower-cased, without whitespace and punctuation.

    A text shorter than that is one piece; one without letters or digits has none.

    :raises ValueError: when `width` is below 1.
    """
    if width < 1:
        raise ValueError(f"width must be at least 1, not {width}")
    solid = "".join(_WORD.findall(text.lower()))
    if not solid:
        return set()
    return {solid[at : at + width] for at in range(max(1, len(solid) - width + 1))}
