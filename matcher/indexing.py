"""What the store has into the index: texts are embedded, tokenised and tagged."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from matcher.documents import IndexDocument
from matcher.embed import Embedder, Progress
from matcher.index import Writer
from matcher.programs import TaggedText, Tagger
from matcher.records import Need, Patent, Record, embedded_text
from matcher.redaction import indexed
from matcher.rows import StoredRecord
from matcher.store import Store
from matcher.text import Tokenizer, normalize

# Records read from the store, embedded and put into the index together.
BATCH = 1000


class Indexer:
    """Makes documents of records."""

    def __init__(self, store: Store, embedder: Embedder, tokenizer: Tokenizer, tagger: Tagger) -> None:
        self._store = store
        self._embedder = embedder
        self._tokenizer = tokenizer
        self._tagger = tagger

    def advance(self, writer: Writer, progress: Progress | None, publish: bool) -> int:
        """Put into the index what the store has and the writer's base lacks.

        :param progress: is told (records done, records).
        :param publish: whether readers shall see each batch at once.
        :returns: how many changes that were.
        """
        total, done = self._store.count_changes(writer.revision), 0
        while changes := self._store.changes(writer.revision, BATCH):

            def report(part: int, whole: int, done: int = done, batch: int = len(changes)) -> None:
                if progress:
                    progress(done + batch * part // whole, total)

            live = [s for s in changes if s.indexed and s.record.kind != "institution"]
            writer.delete([s.key for s in changes if not s.indexed])
            writer.upsert(self._documents(live, report))
            writer.flush(changes[-1].revision, publish)
            done += len(changes)
        return done

    def _documents(self, records: Sequence[StoredRecord], progress: Progress) -> list[IndexDocument]:
        texts = [_texts(stored.record) for stored in records]
        both = [title for title, _ in texts] + [embedded_text(*text) for text in texts]
        vectors = self._embedder.documents(both, progress)
        titles, bodies = vectors[: len(texts)], vectors[len(texts) :]
        homes = self._homes(records)
        documents, tags = [], {}
        for i, (stored, (title, abstract)) in enumerate(zip(records, texts, strict=True)):
            title_terms, body_terms = self._tokenizer.terms(title), self._tokenizer.terms(abstract)
            tags[stored.key] = self._tags(stored, bodies[i], title_terms + body_terms)
            documents.append(
                IndexDocument(
                    key=stored.key,
                    kind=stored.record.kind,
                    programmes=tuple(tags[stored.key]),
                    province=stored.record.province or homes.get(stored.institution_id or ""),
                    visibility=stored.record.visibility,
                    owner=stored.owner,
                    ends=stored.ends,
                    title_vector=titles[i],
                    body_vector=bodies[i],
                    title=title,
                    abstract=abstract,
                    title_terms=title_terms,
                    body_terms=body_terms,
                )
            )
        self._store.save_tags(tags)
        return documents

    def _homes(self, records: Sequence[StoredRecord]) -> dict[str, str | None]:
        """Owner's id to province: a patent has no place of its own, and is found by its owner's."""
        owners = {s.institution_id for s in records if s.institution_id and not s.record.province}
        return {id_: owner.record.province for id_, owner in self._store.by_id(sorted(owners)).items()}

    def _tags(self, stored: StoredRecord, vector: np.ndarray, terms: Sequence[str]) -> dict[str, float]:
        record = stored.record
        if record.programmes:  # the source knows its own programme
            return dict.fromkeys(record.programmes, 1.0)
        ipc = record.ipc if isinstance(record, Patent) else ()
        industry = record.industry if isinstance(record, Need) else None
        return {tag.code: tag.score for tag in self._tagger.tag(TaggedText(vector, terms, ipc, industry))}


def embedded_texts(record: Record) -> tuple[str, str]:
    """What of a record is embedded, each by itself: its title, and all of it."""
    title, abstract = _texts(record)
    return title, embedded_text(title, abstract)


def _texts(record: Record) -> tuple[str, str]:
    read = indexed(record)
    return normalize(read.title), normalize(read.abstract)
