"""Leads (线索): whom to call about which offer, and why. The one door to lists, to their lives and to saved lists."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from matcher.accounts import Account, Accounts
from matcher.answering import Answer, readable
from matcher.embed import Progress
from matcher.errors import Forbidden, InvalidLead, NotFound
from matcher.lead_book import Lead, LeadBook, Listed, Pair
from matcher.lead_lists import LeadLists
from matcher.lead_scope import needs_in_scope, offers_in_scope
from matcher.lead_wanted import LeadsWanted, check_wanted
from matcher.queries import MATCH_LIMIT, MatchQuery, record_query
from matcher.records import OFFER_KINDS, Kind
from matcher.rows import StoredRecord
from matcher.store import Store, no_record
from matcher.visibility import Viewer
from matcher.why_sentence import why_sentence

# Questions answered together.
BLOCK = 64
# Who draws lists at the command line: what he draws is carried elsewhere, so it holds nobody's private needs.
AT_THE_MACHINE = Viewer("intermediary")


@dataclass(frozen=True)
class LeadRow:
    """A line of a list of leads.

    :param need: as the viewer may see it; `offer` likewise.
    :param group: what rows of one enterprise have in common: its id, or the need's where it hides.
    """

    need: StoredRecord
    offer: StoredRecord
    listed: Listed
    group: str


@dataclass(frozen=True)
class LeadList:
    """A list that was drawn.

    :param rows: those of one enterprise together, enterprises and their rows best first.
    :param offers: how many offers it was drawn from; `needs` likewise; `pairs` how many pairs matched in all.
    """

    rows: Sequence[LeadRow]
    offers: int
    needs: int
    pairs: int


class Leads:
    """What an installation does for those who bring offers and needs together.

    :ivar book: the leads themselves; `lists` the lists that people have saved.
    """

    def __init__(
        self,
        store: Store,
        accounts: Accounts,
        match: Callable[[Sequence[MatchQuery]], Sequence[Answer | Exception]],
    ) -> None:
        """:param match: answers questions together, see `Matcher.match_many`."""
        self.book = LeadBook(store.database)
        self.lists = LeadLists(store.database)
        self._store = store
        self._accounts = accounts
        self._match = match

    def draw(
        self,
        viewer: Viewer,
        wanted: LeadsWanted,
        peek: bool = False,
        progress: Progress | None = None,
        most_questions: int | None = None,
    ) -> LeadList:
        """List leads to somebody; what is new to him is his from then on.

        The smaller side asks, and only what is in scope on the other side is found.

        :param peek: only look: nothing becomes his.
        :param progress: is told (questions done, questions).
        :param most_questions: refuse what would take more.
        :raises InvalidLead: naming the field and the reason.
        :raises NotFound: if the offer or the need is none, or none that he may see.
        """
        check_wanted(wanted)
        self._require("offer", wanted.offer, OFFER_KINDS, viewer)
        self._require("need", wanted.need, ("need",), viewer)
        offers, needs = (
            offers_in_scope(self._store, viewer, wanted),
            needs_in_scope(self._store, viewer, wanted),
        )
        if most_questions is not None and min(len(offers), len(needs)) > most_questions:
            raise InvalidLead(
                "范围",
                f"含 {len(offers)} 项成果和专利、{len(needs)} 条需求，两边都超过 {most_questions}；"
                "请用 institution、county、enterprise 或 region 缩小其中一边，"
                "或请管理员在服务器上用 matcher leads 生成",
            )
        pairs = self._pairs(viewer, wanted, offers, needs, progress) if offers and needs else []
        listed = self.book.draw(pairs, viewer, wanted.limit, wanted.show, peek)
        return LeadList(self._rows(listed, viewer), len(offers), len(needs), len(pairs))

    def draw_saved(
        self,
        viewer: Viewer,
        id_: str,
        peek: bool = False,
        progress: Progress | None = None,
        most_questions: int | None = None,
    ) -> LeadList:
        """Draw a saved list again; its rows tell what is new since.

        :raises NotFound: if the viewer has saved no such list; else as `draw`.
        """
        saved = self.lists.get(viewer.account, id_)
        drawn = self.draw(viewer, saved.wanted, peek, progress, most_questions)
        if not peek:
            self.lists.drawn(saved)
        return drawn

    def assign(self, id_: str, name_or_id: str, viewer: Viewer, seen_revision: int | None = None) -> Lead:
        """Give a lead to an account; see `LeadBook.assign`.

        :raises InvalidLead: if there is no such account, or it cannot have the lead.
        """
        # Whether the lead is there for him comes first: nobody is to try out names of accounts.
        self.book.get(id_, viewer)
        return self.book.assign(id_, self._account(name_or_id), viewer, seen_revision)

    def records(self, leads: Sequence[Lead], viewer: Viewer) -> dict[str, StoredRecord]:
        """The records of leads by id, as the viewer may read them; what he may not see any more is left out."""
        ids = sorted({id_ for lead in leads for id_ in (lead.need_id, lead.offer_id)})
        return readable(self._store.by_id(ids).values(), viewer)

    def viewer(self, name_or_id: str) -> Viewer:
        """Who draws lists as this account.

        :raises NotFound: if there is no such account, or several.
        :raises Forbidden: if it is none of those who work with leads.
        """
        account = self._accounts.find(name_or_id)
        if account.role not in ("intermediary", "admin"):
            raise Forbidden(f"账号“{account.name}”不是中介或管理员，没有线索。")
        return account.viewer

    def _account(self, name_or_id: str) -> Account:
        try:
            return self._accounts.find(name_or_id)
        except NotFound as error:
            raise InvalidLead("account", "须是开通中的中介或管理员账号") from error

    def _require(self, field: str, id_: str | None, kinds: Sequence[Kind], viewer: Viewer) -> None:
        if id_ is None:
            return
        stored = readable(self._store.by_id([id_]).values(), viewer).get(id_)
        if stored is None:
            raise NotFound(no_record(id_))
        if stored.record.kind not in kinds:
            raise InvalidLead(field, "不是技术需求的编号" if kinds == ("need",) else "不是成果或专利的编号")

    def _pairs(
        self,
        viewer: Viewer,
        wanted: LeadsWanted,
        offers: Sequence[int],
        needs: Sequence[int],
        progress: Progress | None,
    ) -> list[Pair]:
        """All matches within the scope, best first."""
        from_needs = len(needs) <= len(offers)
        asking, found = (needs, offers) if from_needs else (offers, needs)
        narrowed = any((wanted.offer, wanted.institution, wanted.programme, wanted.county))
        if not from_needs:
            narrowed = any((wanted.need, wanted.enterprise, wanted.region))
        pairs: list[Pair] = []
        for start in range(0, len(asking), BLOCK):
            block = self._store.by_key(asking[start : start + BLOCK])
            asked = [*readable(block.values(), viewer).values()]
            queries = [
                record_query(
                    stored,
                    viewer,
                    limit=min(wanted.limit, MATCH_LIMIT),
                    min_level=wanted.min_level,
                    partners=1,
                    among=tuple(found) if narrowed else None,
                )
                for stored in asked
            ]
            for stored, answer in zip(asked, self._match(queries), strict=True):
                if isinstance(answer, Exception):
                    raise answer
                pairs += _pairs_of(stored, answer, from_needs)
            if progress:
                progress(min(start + BLOCK, len(asking)), len(asking))
        return sorted(pairs, key=lambda pair: (-pair.level, -pair.score, pair.need_id, pair.offer_id))

    def _rows(self, listed: Sequence[Listed], viewer: Viewer) -> list[LeadRow]:
        ids = sorted({id_ for one in listed for id_ in (one.pair.need_id, one.pair.offer_id)})
        known = readable(self._store.by_id(ids).values(), viewer)
        rows = []
        for one in listed:
            need, offer = known.get(one.pair.need_id), known.get(one.pair.offer_id)
            # Not what was hidden or withdrawn a moment ago.
            if need and offer:
                rows.append(LeadRow(need, offer, one, need.institution_id or need.id))
        places: dict[str, int] = {}
        for place, row in enumerate(rows):
            places.setdefault(row.group, place)
        return sorted(rows, key=lambda row: places[row.group])


def _pairs_of(asking: StoredRecord, answer: Answer, from_needs: bool) -> list[Pair]:
    pairs = []
    for match in answer.matches:
        need, offer = (asking, match.stored) if from_needs else (match.stored, asking)
        # An enterprise needs nobody to tell it of its own patents.
        if need.institution_id is None or need.institution_id != offer.institution_id:
            why = why_sentence(match.why.terms, match.why.passage)
            pairs.append(Pair(need.id, offer.id, match.level, match.score, why))
    return pairs
