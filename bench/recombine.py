"""New texts out of the pieces of several: titles cut in two, abstracts cut into sentences and clauses."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matcher.segments import Floats
from matcher.text import Tokenizer, sentences

# Ways in which a title is cut in two: with one there would be 78,000 different titles among 100,000.
CUTS = 3
# Long sentences are cut after a comma into pieces of at least so many characters; patents' abstracts
# often are one sentence.
SHORTEST_PIECE = 30
# The share of its own pieces that a record keeps; donors fill it up to its length.
KEPT = 0.6

_CONNECTIVES = frozenset(("的", "及", "及其", "以及", "和", "与", "或", "、", ",", "用于", "基于"))
_COMMA = re.compile(r"(?<=[,，])(?=[\u4e00-\u9fff])")
_OPEN_END = re.compile(r"[,，;；]$")
# A piece that ends so cannot run together with the next one.
_ENDED = ("。", "!", "?", "！", "？", ";", "；", ",", "，")


@dataclass(frozen=True)
class Piece:
    """A sentence or clause and its words."""

    text: str
    terms: list[str]


@dataclass(frozen=True)
class Mixed:
    """Texts of a batch, and what each source gave to them.

    :param texts: title, abstract, the title's terms, the abstract's.
    :param title_shares: float32 (n, 3), of the characters; `body_shares` of title and abstract together.
    """

    texts: list[tuple[str, str, list[str], list[str]]]
    title_shares: Floats
    body_shares: Floats


class Mixer:
    """The pieces of all base records, each cut into words once, and what is made of them."""

    def __init__(self, texts: Sequence[tuple[str, str]], tokenizer: Tokenizer) -> None:
        """:param texts: the base records' titles and abstracts, normalised."""
        self._tokenizer = tokenizer
        self._halves = [_halves(tokenizer.cut(title)) for title, _ in texts]
        self._lengths = [len(abstract) for _, abstract in texts]
        self._pieces = [_pieces(abstract, tokenizer) for _, abstract in texts]

    def mix(self, sources: NDArray[np.int64], own: random.Random) -> Mixed:
        """Make one text of each row of sources: (n, 3) base records, the first being the main one."""
        texts = []
        titles = np.zeros(sources.shape, np.float32)
        bodies = np.zeros(sources.shape, np.float32)
        for row, (first, second, third) in enumerate(sources.tolist()):
            title, given = self._title(first, second, own)
            pieces, lengths = self._body((first, second, third), own)
            abstract = _OPEN_END.sub("。", "".join(piece.text for piece in pieces))
            terms = [term for piece in pieces for term in piece.terms]
            texts.append((title, abstract, self._tokenizer.terms(title), terms))
            titles[row, :2] = given
            bodies[row] = lengths
            bodies[row, :2] += given
        return Mixed(texts, _shares(titles), _shares(bodies))

    def _title(self, first: int, second: int, own: random.Random) -> tuple[str, tuple[int, int]]:
        """One half of each title, and the characters that each gave."""
        swap = own.random() < 0.5
        front, back = (second, first) if swap else (first, second)
        head, tail = own.choice(self._halves[front])[0], own.choice(self._halves[back])[1]
        return head + tail, ((len(tail), len(head)) if swap else (len(head), len(tail)))

    def _body(self, sources: tuple[int, int, int], own: random.Random) -> tuple[list[Piece], list[int]]:
        """Pieces in a new order, and the characters that each source gave."""
        wanted = self._lengths[sources[0]]
        mine = self._pieces[sources[0]]
        picked = own.sample(mine, round(KEPT * len(mine)))
        lengths = [sum(len(piece.text) for piece in picked), 0, 0]
        for place in 1, 2:
            theirs = self._pieces[sources[place]]
            for piece in own.sample(theirs, len(theirs)):
                # The last piece is taken or left by what comes nearer to the length wanted.
                if picked and sum(lengths) + len(piece.text) // 2 > wanted:
                    break
                picked.append(piece)
                lengths[place] += len(piece.text)
        own.shuffle(picked)
        return picked, lengths


def _shares(characters: Floats) -> Floats:
    shares: Floats = characters / np.maximum(characters.sum(axis=1, keepdims=True), 1)
    return shares


def _halves(words: Sequence[str]) -> list[tuple[str, str]]:
    """A title in two, in the `CUTS` ways that are best: near the middle, or after a connective not far from it.

    A title of one word has an empty first half.
    """
    length = sum(map(len, words))
    places = []
    at = 0
    for i, word in enumerate(words[:-1], 1):
        at += len(word)
        # A connective up to half-way from the middle to the end is as good as the very middle.
        places.append((abs(2 * at - length) / length - (0.5 if word in _CONNECTIVES else 0), i))
    return [("".join(words[:i]), "".join(words[i:])) for _, i in sorted(places)[:CUTS]] or [("", "".join(words))]


def _pieces(abstract: str, tokenizer: Tokenizer) -> list[Piece]:
    """Sentences and clauses with their words, each so ended that side by side they keep their words."""
    found = []
    for sentence in sentences(abstract):
        for text in _clauses(sentence):
            terms = tokenizer.terms(text)
            # Where a text has nothing but single characters these count as words, in a longer one they do not.
            if any(len(term) > 1 for term in terms):
                found.append(Piece(text if text.endswith(_ENDED) else f"{text.rstrip('.')}。", terms))
    return found


def _clauses(sentence: str) -> Iterator[str]:
    kept = ""
    for clause in _COMMA.split(sentence):
        kept += clause
        if len(kept) >= SHORTEST_PIECE:
            yield kept
            kept = ""
    if kept:
        yield kept
