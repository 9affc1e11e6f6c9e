"""The one door for all callers: ingest, match, partners, tag, reindex, statistics."""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from matcher import defaults
from matcher.accounts import Accounts
from matcher.answering import COMPARED, PARTNER_DEPTH, RECALL, Answer, Answering, readable
from matcher.batch import BatchQuery, Matches, NeedVectors
from matcher.batch_run import Job
from matcher.batch_run import run as run_batch
from matcher.deduplication import Duplicates
from matcher.embed import Embedder, Progress, load_encoder
from matcher.errors import Busy, InvalidQuery, NotFound
from matcher.index import Index, Writer, open_index
from matcher.indexing import Indexer
from matcher.ingest import IngestReport, ingest_file
from matcher.judged import JudgementBook
from matcher.leads import Leads
from matcher.listing import Listing, Wanted
from matcher.people import People
from matcher.programs import Tag, TaggedText, Tagger
from matcher.queries import (
    DEFAULT_LIMIT,
    DEFAULT_MIN_LEVEL,
    PARTNERS,
    MatchQuery,
    check_limits,
    check_query,
    record_query,
)
from matcher.rank import Ranker
from matcher.records import (
    KINDS,
    PROGRAMME_CODES,
    Kind,
    Record,
    embedded_text,
)
from matcher.redaction import shown
from matcher.replies import Replies
from matcher.rows import StoredRecord
from matcher.settings import Settings
from matcher.store import Store, no_record
from matcher.subscriptions import SubscriptionBook
from matcher.text import Tokenizer, normalize
from matcher.uploads import Uploads
from matcher.vectors import VectorCache
from matcher.visibility import Viewer

# Seconds a command waits for another process that writes the index.
WRITER_WAIT = 600.0
# Seconds that an erasure waits for one; what it leaves is found again.
FORGET_WAIT = 30.0


class Matcher:
    """One installation. Opening is quick; model and index load when first needed. Safe for threads."""

    def __init__(self, settings: Settings) -> None:
        """:raises SettingError: if the store cannot be opened."""
        self.settings = settings
        self.store = Store(settings.store_url)
        self.accounts = Accounts(self.store.database)
        self.replies = Replies(self.store.database)
        self.judgements = JudgementBook(self.store.database)
        self.listing = Listing(self.store)
        self.subscriptions = SubscriptionBook(self.store.database)
        self.uploads = Uploads(self.store, self.accounts, settings.home / "uploads", settings.max_file_bytes)
        self.duplicates = Duplicates(self.store, lambda: self.index, self.records)
        self.leads = Leads(self.store, self.accounts, self.match_many)
        self.people = People(self.store, settings.home, self._forget)
        self._loading = threading.RLock()
        self._behind_since: float | None = None

    # ------------------------------------------------------------ parts

    @cached_property
    def embedder(self) -> Embedder:
        """The model with its cache of vectors."""
        with self._loading:
            return Embedder(load_encoder(self.settings), VectorCache(self.settings.home / "vectors.db"))

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The segmenter with the domain dictionary."""
        return Tokenizer.default()

    @cached_property
    def tagger(self) -> Tagger:
        """The programme tagger."""
        with self._loading:
            return defaults.load_tagger(self.settings, self.embedder, self.tokenizer)

    @cached_property
    def ranker(self) -> Ranker:
        """The ranker that the settings name."""
        with self._loading:
            return defaults.load_ranker(self.settings, self.embedder, self.tokenizer, self.tagger)

    @cached_property
    def index(self) -> Index:
        """The index, at its latest generation."""
        with self._loading:
            index = self._open_index()
            index.refresh()
            return index

    def _open_index(self) -> Index:
        return open_index(self.settings, self.embedder.fingerprint, self.embedder.dimension)

    # ------------------------------------------------------------ writing

    def ingest(
        self,
        path: Path,
        kind: Kind | None = None,
        overrides: Mapping[str, str] | None = None,
        source: str | None = None,
    ) -> IngestReport:
        """Read one file into the store; `catch_up` makes its records findable.

        The rows are safe once this returns, whatever happens to the indexing afterwards.

        :raises UnreadableFile: if the file is no table.
        :raises UnknownColumn: if an override names a column that is not there.
        """
        rejects, limit = self.settings.home / "rejects", self.settings.max_file_bytes
        return ingest_file(self.store, path, rejects, kind, overrides, source, max_bytes=limit)

    def write(self, record: Record, contact: str | None, viewer: Viewer, seen: int | None = None) -> None:
        """Write one record of an account's own, or an institution for an administrator.

        :param seen: the revision that the account has last seen; None if that does not matter.
        :raises NotFound: if the record is not the account's to change.
        :raises Conflict: if it has another revision.
        """
        owner = 0 if record.kind == "institution" else viewer.account
        revisions = {record.id: seen} if seen is not None else None
        self.store.upsert([(record, contact)], owner, viewer.account, revisions)

    def catch_up(self, progress: Progress | None = None, wait: float = WRITER_WAIT) -> int:
        """Put into the index what the store has and the index lacks.

        :returns: how many changes that were.
        :raises Busy: if another process writes the index for longer than `wait` seconds.
        """
        if self.store.revision() <= self.index.revision:
            return 0
        with self._writer(self.index, wait) as writer:
            return self._indexer().advance(writer, progress, publish=True)

    def reindex(self, progress: Progress | None = None) -> int:
        """Build the index anew from the store; the old one serves until the new one is complete."""
        with self._writer(self._open_index(), WRITER_WAIT, rebuild=True) as writer:
            count = self._indexer().advance(writer, progress, publish=False)
            writer.flush(writer.revision)
        return count

    def _forget(self, texts: set[str]) -> None:
        """Take texts out of the cache of vectors, and what the store no longer has out of the index's files.

        :raises Busy: if another process writes the index for longer than `FORGET_WAIT` seconds.
        """
        self.embedder.forget(texts)
        with self._writer(self.index, FORGET_WAIT) as writer:
            self._indexer().advance(writer, None, publish=True)
            writer.purge()

    @contextlib.contextmanager
    def _writer(self, index: Index, wait: float, rebuild: bool = False) -> Iterator[Writer]:
        # The index's own lock may end at this machine; through the store, others learn of this one too.
        with self.store.exclusive(f"index {index.place}", wait), index.writer(wait, rebuild) as writer:
            yield writer

    def _indexer(self) -> Indexer:
        return Indexer(self.store, self.embedder, self.tokenizer, self.tagger)

    def refresh(self, progress: Progress | None = None, grace: float = 0.0) -> bool:
        """What a serving process does now and then: load what is new, index what others left undone.

        :param progress: is told of embedding; what it raises ends the work between two batches.
        :param grace: seconds for which a backlog is left to the process that stored it. Embedding a large
            file is that process's work, not that of one which answers questions meanwhile.
        :returns: whether there was a newer generation.
        """
        before = self.index.generation
        self.index.refresh()
        if self.store.revision() <= self.index.revision:
            self._behind_since = None
        else:
            now = time.monotonic()
            self._behind_since = now if self._behind_since is None else self._behind_since
            if now - self._behind_since >= grace:
                # Nobody waits here: if another process is writing, it will finish the work itself.
                with contextlib.suppress(Busy):
                    self.catch_up(progress, wait=0)
        return self.index.generation != before

    # ------------------------------------------------------------ asking

    def match(self, query: MatchQuery) -> Answer:
        """Answer a question.

        :raises InvalidQuery: naming the field and the reason.
        """
        check_query(query)
        return self.answering.answer([query])[0]

    def match_many(self, queries: Sequence[MatchQuery]) -> list[Answer | Exception]:
        """Answer several questions together, which costs less than one by one.

        :returns: in their order, what `match` gives for each; what it would raise stands in place of the answer.
        """
        results: list[Answer | Exception | None] = [_refusal(query) for query in queries]
        places = [place for place, refusal in enumerate(results) if refusal is None]
        for place, result in zip(places, self._answered([queries[place] for place in places]), strict=True):
            results[place] = result
        return [result for result in results if result is not None]

    def _answered(self, queries: Sequence[MatchQuery]) -> Sequence[Answer | Exception]:
        if not queries:
            return []
        try:
            return self.answering.answer(queries)
        except Exception as error:  # whatever it is, it stays with the question that has it
            if len(queries) == 1:
                return [error]
        return [result for query in queries for result in self._answered([query])]

    @property
    def answering(self) -> Answering:
        """What answers questions, over the index as it is now."""
        return Answering(self.embedder, self.tokenizer, self.tagger, self.ranker, self.index, self.store)

    def record_query(
        self,
        id_: str,
        viewer: Viewer,
        kinds: Sequence[Kind] = (),
        limit: int = DEFAULT_LIMIT,
        min_level: int = DEFAULT_MIN_LEVEL,
        similar: bool = False,
        partners: int = PARTNERS,
    ) -> MatchQuery:
        """The question that a stored record asks.

        :param kinds: to be found; those of the other side by default.
        :param similar: find records of its own side instead.
        :param partners: how many institutions are named.
        :raises NotFound: if there is no such record, or none that this viewer may see.
        :raises InvalidQuery: naming the field and the reason.
        """
        return record_query(self.record(id_, viewer), viewer, kinds, limit, min_level, similar, partners)

    def match_all(self, query: BatchQuery, progress: Progress | None = None) -> Iterator[Matches]:
        """Match all records of one side, in blocks; a run that was killed goes on where it was.

        :param progress: is told (questions done, questions).
        :returns: matches in the order of the questions' keys, read back part by part.
        :raises InvalidQuery: naming the field and the reason.
        :raises Busy: if another process runs the same query.
        :raises BatchFailed: if a process died; what was finished is kept for the next run.
        """
        check_limits(query.limit, query.min_level)
        asking, _ = query.filters()
        ranker = json.dumps(self.ranker.weights, sort_keys=True)
        digest = hashlib.sha256(f"{query}{self.embedder.fingerprint}{ranker}".encode()).hexdigest()[:16]
        job = Job(
            self.settings,
            self.embedder.fingerprint,
            self.embedder.dimension,
            self.ranker,
            query,
            RECALL,
            COMPARED,
            PARTNER_DEPTH,
            self.settings.home / "batch" / digest,
            None if self.embedder.encoder.symmetric else self._need_vectors(query, digest, progress),
        )
        keys = self.store.keys(asking.kinds, asking.visibilities)
        return run_batch(job, keys, self.index.revision, progress)

    def _need_vectors(self, query: BatchQuery, digest: str, progress: Progress | None) -> Path:
        """Embed needs as questions where the model does so in another way than documents."""
        keys = self.store.keys(("need",), query.visibilities)
        texts = {key: [normalize(part) for part in own] for key, own in self.store.texts(keys).items()}
        titles = self.embedder.stored_questions([texts[key][0] for key in keys], progress)
        bodies = self.embedder.stored_questions([embedded_text(*texts[key]) for key in keys], progress)
        folder = self.settings.home / "batch" / f"{digest}-needs"
        NeedVectors(np.array(keys, np.int64), titles, bodies).save(folder)
        return folder

    def tag(self, texts: Sequence[str], progress: Progress | None = None) -> list[list[Tag]]:
        """The programmes of each text."""
        texts = [normalize(text) for text in texts]
        vectors = self.embedder.documents(texts, progress, keep=False)
        return [
            self.tagger.tag(TaggedText(vector, self.tokenizer.terms(text))) if text else []
            for text, vector in zip(texts, vectors, strict=True)
        ]

    def record(self, id_: str, viewer: Viewer) -> StoredRecord:
        """A record by id, as this viewer may read it.

        :raises NotFound: if there is none, or none that this viewer may see; the two look the same.
        """
        stored = self.records([id_], viewer).get(id_)
        if stored is None:
            raise NotFound(no_record(id_))
        return stored

    def records(self, ids: Sequence[str], viewer: Viewer) -> dict[str, StoredRecord]:
        """Records by id, as this viewer may read them; those that he may not see are left out.

        What is withdrawn is there for its owner only.
        """
        return readable(self.store.by_id(ids).values(), viewer)

    def listed(self, viewer: Viewer, wanted: Wanted, limit: int, before: int | None = None) -> list[StoredRecord]:
        """A page of records as this viewer may read them, latest first; see `Listing.page`."""
        return [shown(stored, viewer) for stored in self.listing.page(viewer, wanted, limit, before)]

    def exported(self, viewer: Viewer, wanted: Wanted) -> Iterator[StoredRecord]:
        """All records as this viewer may read them, in the order they came."""
        return (shown(stored, viewer) for stored in self.listing.every(viewer, wanted))

    def statistics(self) -> dict[str, object]:
        """Counts for people and programs."""
        counts = self.store.counts()
        return {
            "records": {kind: counts[kind] for kind in KINDS},
            "programmes": {
                code: {kind: own[code] for kind, own in self.store.programme_counts().items() if own[code]}
                for code in PROGRAMME_CODES
            },
            "index": {
                "generation": self.index.generation,
                "records": self.index.count(),
                "behind": max(0, self.store.revision() - self.index.revision),
            },
            "model": self.embedder.fingerprint,
        }

    def close(self) -> None:
        """Give files and connections back."""
        self.store.close()
        if "embedder" in self.__dict__:  # not loaded for the sake of closing it
            self.embedder.close()


def _refusal(query: MatchQuery) -> InvalidQuery | None:
    try:
        check_query(query)
    except InvalidQuery as refusal:
        return refusal
    return None
