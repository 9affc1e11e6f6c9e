"""What the test of `test_nobody_sees` knows: who there is, what there is, and who may see what of it.

Written anew from the rules in words, not from the code under test: a record is public, for intermediaries, or its
owner's alone; what is withdrawn is there for its owner; what has ended takes part in no match, list or count; names
and telephones are the owner's, administrators know names.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from matcher.records import Kind, Visibility

OPERATOR = -1
FIRST_DAY = datetime.date(2030, 1, 10)
OFFERS = ("achievement", "patent")
NEVER = datetime.date(9999, 12, 31)
THINGS = ("银耳", "石墨", "核桃", "茶叶", "白酒", "竹笋")
PROCESSES = ("烘干", "提纯", "分选", "脱色")
# Names that no text holds by chance.
BRANDS = tuple(first + second for first in "岚翀沄泓珞璟" for second in "垚淼煜骁澜珩")
PROVINCES = ("四川省", "重庆市")


@dataclass
class Person:
    """An account: its keys' secrets, and the cookies of its sessions by the id of their key."""

    number: int
    id: str
    role: str
    keys: dict[str, str] = field(default_factory=dict)
    cookies: dict[str, str] = field(default_factory=dict)
    closed: bool = False


@dataclass
class Thing:
    """A record.

    :ivar word: stands in its texts and nowhere else; `brand` is its owner's name, as `phone` and `contact` are.
    :ivar last: the last day on which it takes part in matches.
    """

    number: int
    kind: Kind
    owner: int
    visibility: Visibility
    last: datetime.date = NEVER
    id: str = ""
    withdrawn: bool = False

    @property
    def word(self) -> str:
        return f"vk{self.number:03}q"

    @property
    def brand(self) -> str:
        return BRANDS[self.number % len(BRANDS)]

    @property
    def enterprise(self) -> str:
        return f"{self.brand}食品有限公司"

    @property
    def phone(self) -> str:
        return f"139{self.number:08}"

    @property
    def contact(self) -> str:
        return f"138{self.number:08}"

    @property
    def province(self) -> str:
        return PROVINCES[self.number % len(PROVINCES)]

    @property
    def thing(self) -> str:
        return THINGS[self.number % len(THINGS)] + PROCESSES[self.number % len(PROCESSES)]

    def fields(self) -> dict[str, Any]:
        """As it is written over the API, with the name and a telephone wherever people put them."""
        if self.kind == "institution":
            return {"kind": "institution", "title": f"蜀北{self.word}研究所", "type": "科研院所"}
        own: dict[str, Any] = {
            "kind": self.kind,
            "title": f"{self.enterprise}的{self.thing}技术 {self.word}",
            "abstract": f"{self.enterprise}：{self.thing}的能耗高，{self.word}。电话{self.phone}，找{self.brand}公司。",
            "institution": self.enterprise,
            "province": self.province,
            "keywords": [self.thing, self.enterprise, f"电话{self.phone}"],
            "url": f"https://example.org/{self.brand}",
            "visibility": self.visibility,
            "contact": f"厂办 {self.contact}",
        }
        if self.kind != "patent":
            own["cooperation"] = f"与{self.enterprise}合作，电话{self.phone}"
        if self.kind == "need" and self.last != NEVER:
            own["deadline"] = self.last.isoformat()
        if self.kind == "achievement" and self.last < FIRST_DAY:
            own["status"] = "已签约"
        if self.kind == "patent" and self.last < FIRST_DAY:
            own["legal_status"] = "失效"
        if self.kind == "patent":
            own["inventors"] = [f"{self.brand}工程师"]
            own["publication_number"] = f"CN1{self.number:08}A"
        return own


@dataclass
class World:
    """Everybody and everything, on one day."""

    people: list[Person] = field(default_factory=list)
    things: list[Thing] = field(default_factory=list)
    judged: dict[int, set[tuple[str, str]]] = field(default_factory=dict)
    day: datetime.date = FIRST_DAY

    def role(self, who: int | None) -> str:
        """What somebody is; None is anonymous."""
        return "anonymous" if who is None else self.people[who].role

    def sees(self, who: int | None, what: Thing) -> bool:
        """Whether somebody may know of a record."""
        if who is not None and what.owner == who:
            return True
        if what.withdrawn:
            return False
        role = self.role(who)
        if role == "anonymous":
            return what.kind in OFFERS and what.visibility == "public"
        if what.visibility == "intermediaries":
            return role in ("intermediary", "admin")
        return what.visibility == "public"

    def knows_name(self, who: int | None, what: Thing) -> bool:
        """Whether somebody who sees a record may know whose it is."""
        return what.visibility == "public" or what.owner == who or self.role(who) == "admin"

    def changes(self, who: int, what: Thing) -> bool:
        """Whether somebody may change a record."""
        if what.kind == "institution":
            return self.role(who) == "admin" and not what.withdrawn
        return what.owner == who

    def live(self, what: Thing) -> bool:
        """Whether a record takes part in matches today."""
        return not what.withdrawn and what.last >= self.day

    def found(self, who: int | None, kinds: Iterable[str] = ()) -> set[str]:
        """Ids of what somebody finds in lists, counts and exports."""
        return {t.id for t in self.things if self.live(t) and self.sees(who, t) and (not kinds or t.kind in set(kinds))}

    def forbidden(self, who: int | None) -> Iterator[str]:
        """Every text that no answer to somebody may hold."""
        named = {t.brand for t in self.things if self.sees(who, t) and self.knows_name(who, t)}
        for what in self.things:
            mine = who is not None and what.owner == who
            if not self.sees(who, what):
                yield from (what.id, what.word)
            if not mine and what.kind != "institution":
                yield from (what.phone, what.contact)
                if what.brand not in named:
                    yield what.brand
