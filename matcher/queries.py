"""A question to the engine, and what makes one unanswerable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matcher.errors import InvalidQuery
from matcher.rank import LEVELS
from matcher.records import KINDS, OFFER_KINDS, PROGRAMME_CODES, Kind
from matcher.redaction import indexed
from matcher.rows import StoredRecord
from matcher.values import PROVINCES
from matcher.visibility import PUBLIC, Viewer

TEXT_LIMIT = 20_000
TITLE_LIMIT = 500
MATCH_LIMIT = 100
DEFAULT_LIMIT = 10
DEFAULT_MIN_LEVEL = 2
# Partners named.
PARTNERS = 5
PARTNER_LIMIT = 20


@dataclass(frozen=True, kw_only=True)
class MatchQuery:
    """A question.

    :param asker: the enterprise that asks, if known: never suggested to itself.
    :param viewer: who asks, which decides what is found.
    :param exclude: a record that is not to be found, as when it asks itself.
    :param similar: whether records of the question's own side are wanted.
    :param keep: whether its vectors are kept: of a record, and of what will be asked again.
    :param among: only records with these numbers are found; None does not restrict.
    """

    text: str
    title: str = ""
    kinds: tuple[Kind, ...] = OFFER_KINDS
    programmes: tuple[str, ...] = ()
    provinces: tuple[str, ...] = ()
    limit: int = DEFAULT_LIMIT
    min_level: int = DEFAULT_MIN_LEVEL
    partners: int = PARTNERS
    asker: str | None = None
    viewer: Viewer = PUBLIC
    exclude: int | None = None
    similar: bool = False
    keep: bool = False
    among: tuple[int, ...] | None = None

    @property
    def from_offer(self) -> bool:
        """Whether an offer asks: what looks for needs alone is one."""
        return self.kinds == ("need",) and not self.similar


def record_query(
    stored: StoredRecord,
    viewer: Viewer,
    kinds: Sequence[Kind] = (),
    limit: int = DEFAULT_LIMIT,
    min_level: int = DEFAULT_MIN_LEVEL,
    similar: bool = False,
    partners: int = PARTNERS,
    among: tuple[int, ...] | None = None,
) -> MatchQuery:
    """The question that a stored record asks, of a record as the viewer may read it; see `Matcher.record_query`.

    :raises InvalidQuery: naming the field and the reason.
    """
    record = stored.record
    if record.kind == "institution":
        raise InvalidQuery("id", "是机构；只有成果、专利和需求可以匹配")
    own_side: tuple[Kind, ...] = ("need",) if record.kind == "need" else OFFER_KINDS
    other_side: tuple[Kind, ...] = OFFER_KINDS if record.kind == "need" else ("need",)
    allowed = own_side if similar else other_side
    if not set(kinds) <= set(allowed):
        raise InvalidQuery("kinds", f"此处可用的值有 {'、'.join(allowed)}")
    found_by = indexed(record)
    return MatchQuery(
        text=record.abstract,
        title=record.title,
        kinds=tuple(kinds) or allowed,
        limit=limit,
        min_level=min_level,
        asker=record.institution,
        viewer=viewer,
        exclude=stored.key,
        similar=similar,
        partners=partners,
        among=among,
        # An erasure forgets the vectors of texts as they are indexed, and knows of no others.
        keep=not stored.personal and (record.title, record.abstract) == (found_by.title, found_by.abstract),
    )


def check_query(query: MatchQuery) -> None:
    """Refuse a question that cannot be answered.

    :raises InvalidQuery: naming the field and the reason.
    """
    if not query.text.strip() and not query.title.strip():
        raise InvalidQuery("text", "为空；请写明需要什么技术、解决什么问题")
    if len(query.text) > TEXT_LIMIT:
        raise InvalidQuery("text", f"长 {len(query.text)} 字，超过 {TEXT_LIMIT} 字；请只保留与技术有关的部分")
    if len(query.title) > TITLE_LIMIT:
        raise InvalidQuery("title", f"长 {len(query.title)} 字，超过 {TITLE_LIMIT} 字；长内容请放到 text")
    check_limits(query.limit, query.min_level)
    if not 1 <= query.partners <= PARTNER_LIMIT:
        raise InvalidQuery("partners", f"为 {query.partners}；应在 1 到 {PARTNER_LIMIT} 之间")
    known = {"kinds": KINDS, "programmes": PROGRAMME_CODES, "provinces": tuple(PROVINCES.values())}
    for name, allowed in known.items():
        for value in getattr(query, name):
            if value not in allowed:
                raise InvalidQuery(name, f"“{value[:20]}”无法识别；可用的值有 {'、'.join(allowed)}")


def check_limits(limit: int, min_level: int) -> None:
    """Refuse a number of matches or a level that there is not.

    :raises InvalidQuery: naming the field and the reason.
    """
    if not 1 <= limit <= MATCH_LIMIT:
        raise InvalidQuery("limit", f"为 {limit}；应在 1 到 {MATCH_LIMIT} 之间")
    if min_level not in LEVELS:
        raise InvalidQuery("min_level", f"为 {min_level}；应为 1（无相关）、2、3 或 4（强相关）")
