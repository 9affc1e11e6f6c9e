"""BM25 over words: a tantivy index in a folder of its own."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tantivy
from numpy.typing import NDArray

# A word in the title tells more than one in the body; 2 is the usual first choice, the ranker refines it.
TITLE_BOOST = 2.0
# Words of one question, rarest first: the time grows with them, and common ones tell little.
QUERY_TERMS = 32
WRITER_HEAP_BYTES = 64_000_000
_TOKENIZER = "words"


@dataclass(frozen=True, slots=True)
class LexicalDocument:
    """What the word index takes in of one document.

    :param attributes: (name, value) pairs that filters may ask for.
    """

    key: int
    title_terms: Sequence[str]
    body_terms: Sequence[str]
    attributes: Sequence[tuple[str, str]]


def _schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    builder.add_unsigned_field("key", indexed=True, fast=True)
    for field in ("title", "body"):
        builder.add_text_field(field, tokenizer_name=_TOKENIZER, index_option="freq")
    builder.add_text_field("attribute", tokenizer_name="raw", index_option="basic")
    return builder.build()


def _open(folder: Path) -> tantivy.Index:
    index = tantivy.Index(_schema(), path=str(folder))
    index.register_tokenizer(_TOKENIZER, tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace()).build())
    return index


def attribute(name: str, value: str) -> str:
    """How an attribute is written into the index and asked for."""
    return f"{name}={value}"


def build(folder: Path, previous: Path | None, deleted: Iterable[int], added: Iterable[LexicalDocument]) -> None:
    """Write the next generation beside the previous one, which stays as it is.

    tantivy never changes a segment file once written, so unchanged segments are hard links.

    :param folder: must not exist.
    :param deleted: keys to take out before `added` is put in.
    """
    folder.mkdir(parents=True)
    if previous:
        for file in previous.iterdir():
            if file.name.endswith(".lock"):
                continue
            if file.suffix == ".json":
                (folder / file.name).write_bytes(file.read_bytes())
            else:
                os.link(file, folder / file.name)
    index = _open(folder)
    writer = index.writer(heap_size=WRITER_HEAP_BYTES, num_threads=1)
    # By query: tantivy 0.27's deletion by term finds nothing in a field of numbers.
    writer.delete_documents_by_query(tantivy.Query.term_set_query(index.schema, "key", list(deleted)))
    for item in added:
        document = tantivy.Document()
        document.add_unsigned("key", item.key)
        document.add_text("title", " ".join(item.title_terms))
        document.add_text("body", " ".join(item.body_terms))
        for name, value in item.attributes:
            document.add_text("attribute", attribute(name, value))
        writer.add_document(document)
    writer.commit()
    writer.wait_merging_threads()


class LexicalReader:
    """Searches one generation."""

    def __init__(self, folder: Path) -> None:
        """:raises FileNotFoundError, ValueError: if files are missing or damaged."""
        (folder / "meta.json").stat()  # without it tantivy would begin an empty index here
        self._index = _open(folder)
        self._schema = self._index.schema
        self._searcher = self._index.searcher()
        for field in ("title", "body", "attribute"):
            self._searcher.doc_freq(field, "")  # opens files that would else be missed only by a question

    def search(self, terms: Sequence[str], filters: Sequence[Sequence[str]], limit: int) -> NDArray[np.int64]:
        """Keys of the best documents, best first.

        :param terms: the question's terms.
        :param filters: groups of attributes; a document must have one of each group.
        """
        distinct = list(dict.fromkeys(terms))
        frequency = {
            term: self._searcher.doc_freq("body", term) + self._searcher.doc_freq("title", term) for term in distinct
        }
        known = sorted((term for term in distinct if frequency[term]), key=lambda term: frequency[term])[:QUERY_TERMS]
        if not known:
            return np.empty(0, np.int64)
        should = []
        for term in known:
            title = tantivy.Query.term_query(self._schema, "title", term, index_option="freq")
            should.append((tantivy.Occur.Should, tantivy.Query.boost_query(title, TITLE_BOOST)))
            body = tantivy.Query.term_query(self._schema, "body", term, index_option="freq")
            should.append((tantivy.Occur.Should, body))
        clauses: list[tuple[Any, tantivy.Query]] = [(tantivy.Occur.Must, tantivy.Query.boolean_query(should))]
        for group in filters:
            allowed = tantivy.Query.term_set_query(self._schema, "attribute", list(group))
            clauses.append((tantivy.Occur.Must, tantivy.Query.const_score_query(allowed, 0.0)))
        hits = self._searcher.search(tantivy.Query.boolean_query(clauses), limit, count=False).hits
        keys = self._searcher.fast_field_values("key", [address for _, address in hits])
        return np.array(keys, np.int64)
