"""Nobody ever receives what he may not see, whatever anybody does in whatever order; and everybody what he may."""

from __future__ import annotations

import datetime
import json
import os
import types
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import httpx2 as httpx
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from api.app import create_app
from api.service import Service
from matcher import life
from matcher.records import KINDS, Kind, Need, Visibility, institution_id, parse_record
from matcher.visibility import ROLES
from tests.api.fresh import fresh_matcher
from tests.api.world import FIRST_DAY, NEVER, OFFERS, OPERATOR, PROVINCES, Person, Thing, World

VISIBILITIES: tuple[Visibility, ...] = ("public", "intermediaries", "private")
ORIGIN = {"Origin": "http://testserver"}
data = st.data()


class Everybody(RuleBasedStateMachine):
    """Random people who write, change, search, list and export, and are searched for what they must not have."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        home = Path(self.folder.name)
        self.matcher = fresh_matcher(home, rate_limit=10**9, rate_limit_anonymous=10**9)
        self.world = World()
        self.behind = False
        self.told_of_leads: set[int] = set()
        # The index is brought up to date and files are read when a rule says so, and never in between.
        self.patches = [
            mock.patch.object(Service, "_run", lambda service: service._ready.set()),
            mock.patch.object(Service, "_read_uploads", lambda service: None),
            mock.patch.object(life, "datetime", self._clock()),
        ]
        for patch in self.patches:
            patch.start()
        self.client = TestClient(create_app(matcher=self.matcher))
        self.client.__enter__()

    def teardown(self) -> None:
        self.client.__exit__(None, None, None)
        for patch in self.patches:
            patch.stop()
        self.matcher.close()
        self.folder.cleanup()

    def _clock(self) -> types.SimpleNamespace:
        def now(_zone: datetime.tzinfo) -> datetime.datetime:
            return datetime.datetime.combine(self.world.day, datetime.time(12), datetime.UTC)

        return types.SimpleNamespace(datetime=types.SimpleNamespace(now=now), date=datetime.date)

    # ------------------------------------------------------------ asking

    def ask(self, who: int | None, method: str, path: str, **more: Any) -> httpx.Response:
        """Ask as somebody, by the first key or session that is left; and search the answer."""
        headers: dict[str, str] = dict(more.pop("headers", {}))
        if who is not None:
            person = self.world.people[who]
            if person.cookies:
                headers |= ORIGIN | {"Cookie": f"matcher_session={next(iter(person.cookies.values()))}"}
            elif person.keys:
                headers |= {"Authorization": f"Bearer {next(iter(person.keys.values()))}"}
        answer = self.client.request(method, path, headers=headers, **more)
        self.search_through(who, answer, path)
        return answer

    def search_through(self, who: int | None, answer: httpx.Response, path: str) -> None:
        text = answer.text
        assert answer.status_code < 500, text
        if answer.status_code >= 400:
            # An error says again what was asked for.
            text = text.replace(path.split("?")[0], "").replace(path.split("/")[3] if path.count("/") > 2 else path, "")
        if answer.status_code == 200 and path.split("?")[0].endswith(("match", "matches", "similar")):
            body = answer.json()
            terms = body["query"].pop("terms")
            text = json.dumps(body, ensure_ascii=False)
            if not self.behind:
                hidden = [t for t in self.world.things if t.visibility != "public" or t.withdrawn]
                assert not {t.word for t in hidden} & set(terms)
        for part in self.world.forbidden(who):
            assert part not in text, f"{self.world.role(who)} received {part}"

    def draw_person(self, draw: Any, *roles: str) -> int | None:
        open_ = [p.number for p in self.world.people if p.keys and not p.closed and (not roles or p.role in roles)]
        return draw.draw(st.sampled_from(open_)) if open_ else None

    def draw_anybody(self, draw: Any) -> int | None:
        usable = [p.number for p in self.world.people if p.keys and not p.closed]
        return draw.draw(st.sampled_from([None, *usable]))

    # ------------------------------------------------------------ who there is

    @initialize()
    def begin(self) -> None:
        for role in ("enterprise", "enterprise", "intermediary", "admin"):
            self.join(role)
        for visibility in VISIBILITIES:
            self.write_at_the_machine("need", visibility)
            self.write_at_the_machine("achievement", visibility)

    @rule(role=st.sampled_from(ROLES))
    def join(self, role: str) -> None:
        number = len(self.world.people)
        admin = next((p.number for p in self.world.people if p.role == "admin" and p.keys and not p.closed), None)
        if admin is None:
            account = self.matcher.accounts.add(f"账号{number}", role)
            key, secret = self.matcher.accounts.add_key(account, "甲")
            person = Person(number, account.id, role, {key.id: secret})
        else:
            made = self.ask(admin, "POST", "/v1/accounts", json={"name": f"账号{number}", "role": role}).json()
            person = Person(number, made["id"], role, {made["keys"][0]["id"]: made["secret"]})
        self.world.people.append(person)

    @rule(draw=data)
    def sign_in(self, draw: Any) -> None:
        who = self.draw_person(draw)
        if who is not None:
            person = self.world.people[who]
            key, secret = draw.draw(st.sampled_from(list(person.keys.items())))
            answer = self.client.post("/v1/session", json={"key": secret})
            assert answer.status_code == 200
            person.cookies[key] = answer.cookies["matcher_session"]
            self.client.cookies.clear()

    @rule(draw=data)
    def another_key(self, draw: Any) -> None:
        who = self.draw_person(draw)
        if who is not None:
            made = self.ask(who, "POST", "/v1/account/keys", json={"name": "又一个"}).json()
            self.world.people[who].keys[made["keys"][0]["id"]] = made["secret"]

    @rule(draw=data)
    def revoke(self, draw: Any) -> None:
        who = self.draw_person(draw)
        person = self.world.people[who] if who is not None else None
        if who is None or person is None or (len(person.keys) == 1 and person.role == "admin"):
            return
        key, secret = draw.draw(st.sampled_from(list(person.keys.items())))
        assert self.ask(who, "DELETE", f"/v1/account/keys/{key}").status_code == 204
        del person.keys[key]
        tried = [{"Authorization": f"Bearer {secret}"}]
        if key in person.cookies:
            tried.append({"Cookie": f"matcher_session={person.cookies.pop(key)}"})
        for headers in tried:
            assert self.client.get("/v1/records", headers=headers).status_code == 401

    @rule(draw=data)
    def close(self, draw: Any) -> None:
        admin, who = self.draw_person(draw, "admin"), self.draw_person(draw, "enterprise", "institution")
        if admin is None or who is None:
            return
        person = self.world.people[who]
        assert self.ask(admin, "DELETE", f"/v1/accounts/{person.id}").status_code == 204
        person.closed = True
        for path in ("/v1/records", "/v1/export", "/v1/account"):
            assert self.ask(who, "GET", path).status_code == 401

    # ------------------------------------------------------------ what there is

    @rule(
        draw=data,
        kind=st.sampled_from(("achievement", "patent", "need", "need")),
        visibility=st.sampled_from(VISIBILITIES),
        days=st.sampled_from((None, None, -20, 0, 2)),
    )
    def write(self, draw: Any, kind: Kind, visibility: Visibility, days: int | None) -> None:
        who = self.draw_person(draw)
        if who is None:
            return
        what = self._thing(kind, who, visibility, days)
        answer = self.ask(who, "POST", "/v1/records", json=what.fields())
        assert answer.status_code == 201, answer.text
        self._keep(what, answer.json()["id"])
        assert what.contact in answer.text

    @rule(draw=data)
    def write_institution(self, draw: Any) -> None:
        what = self._thing("institution", OPERATOR, "public", None)
        who = self.draw_person(draw)
        if who is None:
            return
        answer = self.ask(who, "POST", "/v1/records", json=what.fields())
        assert answer.status_code == (201 if self.world.role(who) == "admin" else 403)
        if answer.status_code == 201:
            self._keep(what, institution_id(what.fields()["title"]))

    @rule(kind=st.sampled_from(("achievement", "patent", "need")), visibility=st.sampled_from(VISIBILITIES))
    def write_at_the_machine(self, kind: Kind, visibility: Visibility) -> None:
        what = self._thing(kind, OPERATOR, visibility, None)
        values = what.fields()
        del values["kind"]
        given = {k: "；".join(v) if isinstance(v, list) else v for k, v in values.items()}
        record, contact = parse_record(kind, given | {"source_id": str(what.number)}, "机器")
        self.matcher.store.upsert([(record, contact)])
        self._keep(what, record.id)

    @rule(draw=data, visibility=st.sampled_from(VISIBILITIES), days=st.sampled_from((None, 0, 2)))
    def hand_in_a_file(self, draw: Any, visibility: Visibility, days: int | None) -> None:
        who = self.draw_person(draw)
        if who is None:
            return
        what = self._thing("need", who, visibility, days)
        columns = {
            "编号": str(what.number),
            "需求名称": what.fields()["title"],
            "需求内容": what.fields()["abstract"],
            "企业名称": what.enterprise,
            "省份": what.province,
            "截止日期": what.fields().get("deadline", ""),
            "联系方式": what.contact,
        }
        name = f"需求{what.number}"
        raw = "\n".join([",".join(columns), ",".join(columns.values())]).encode("gb18030")
        form = {"kind": "need", "visibility": visibility}
        answer = self.ask(who, "POST", "/v1/uploads", files={"file": (f"{name}.csv", raw)}, data=form)
        assert answer.status_code == 202, answer.text
        assert self.matcher.uploads.work()
        told = self.ask(who, "GET", f"/v1/uploads/{answer.json()['id']}").json()
        assert told["counts"]["added"] == 1, told
        source = f"{self.world.people[who].id}/{name}"
        self._keep(what, Need(source=source, source_id=str(what.number), title="").id)
        other = self.draw_person(draw)
        if other != who and other is not None:
            assert self.ask(other, "GET", f"/v1/uploads/{answer.json()['id']}").status_code == 404

    def _thing(self, kind: Kind, owner: int, visibility: Visibility, days: int | None) -> Thing:
        last = NEVER if days is None else self.world.day + datetime.timedelta(days=days)
        if kind in OFFERS:
            last = NEVER if days is None else FIRST_DAY - datetime.timedelta(days=1)
        return Thing(len(self.world.things), kind, owner, visibility, last)

    def _keep(self, what: Thing, id_: str) -> None:
        what.id = id_
        self.world.things.append(what)
        self.behind = True

    @precondition(lambda self: self.world.things)
    @rule(draw=data, visibility=st.sampled_from(VISIBILITIES), days=st.sampled_from((None, None, -20, 0, 2)))
    def change(self, draw: Any, visibility: Visibility, days: int | None) -> None:
        """Change, restore or try to."""
        who = self.draw_person(draw)
        what = draw.draw(st.sampled_from([t for t in self.world.things if t.kind != "institution"] or [None]))
        if who is None or what is None:
            return
        wanted = Thing(what.number, what.kind, what.owner, visibility, self._thing(what.kind, 0, visibility, days).last)
        answer = self.ask(who, "PUT", f"/v1/records/{what.id}", json=wanted.fields())
        if not self.world.changes(who, what):
            assert answer.status_code == 404
            return
        assert answer.status_code == 200, answer.text
        what.visibility, what.last, what.withdrawn = visibility, wanted.last, False
        self.behind = True

    @precondition(lambda self: self.world.things)
    @rule(draw=data)
    def withdraw(self, draw: Any) -> None:
        who = self.draw_person(draw)
        what = draw.draw(st.sampled_from(self.world.things))
        if who is None:
            return
        answer = self.ask(who, "DELETE", f"/v1/records/{what.id}")
        may = self.world.changes(who, what) and not what.withdrawn
        assert answer.status_code == (204 if may else 404)
        if may:
            what.withdrawn = True
            self.behind = True

    @rule(days=st.integers(1, 3))
    def time_passes(self, days: int) -> None:
        self.world.day += datetime.timedelta(days=days)

    @rule()
    def catch_up(self) -> None:
        self.matcher.catch_up()
        self.behind = False

    # ------------------------------------------------------------ what is seen

    @rule(draw=data, size=st.integers(1, 5))
    def look_around(self, draw: Any, size: int) -> None:
        """Lists, counts and exports are complete and agree."""
        who = self.draw_anybody(draw)
        if who is None:
            for path in ("/v1/records", "/v1/facets", "/v1/statistics", "/v1/export", "/v1/judgements"):
                assert self.ask(None, "GET", path).status_code == 401
            return
        records = self._pages(who, size)
        expected = self.world.found(who)
        assert [r["id"] for r in records] == list(dict.fromkeys(r["id"] for r in records))
        assert {r["id"] for r in records} == expected
        exported = [json.loads(line) for line in self.ask(who, "GET", "/v1/export").text.splitlines()]
        assert {r["id"] for r in exported} == expected
        facets = self.ask(who, "GET", "/v1/facets").json()
        counted = {name: {one["value"]: one["count"] for one in own if one["count"]} for name, own in facets.items()}
        assert counted == {
            "kinds": Counter(r["kind"] for r in records),
            "provinces": Counter(r["province"] for r in records if r["province"]),
            "programmes": Counter(p["code"] for r in records for p in r["programmes"]),
        }
        told = self.ask(who, "GET", "/v1/statistics").json()
        own = [t for t in self.world.things if t.owner == who]
        assert told["records"] == {kind: counted["kinds"].get(kind, 0) for kind in KINDS}
        assert told["own"] == {kind: sum(t.kind == kind for t in own) for kind in KINDS}
        if self.world.role(who) == "admin":
            assert self.ask(who, "GET", "/v1/duplicates").status_code == 200
        # Of what it judged once or was told of as a lead, an account's own history tells.
        if not self.world.judged.get(who) and who not in self.told_of_leads:
            assert self.ask(who, "GET", "/v1/account/export").status_code == 200
        mine = self._pages(who, size, "mine=true")
        assert {r["id"] for r in mine} == {t.id for t in own}

    def _pages(self, who: int, size: int, more: str = "") -> list[dict[str, Any]]:
        records, cursor = [], ""
        while True:
            page = self.ask(who, "GET", f"/v1/records?limit={size}&{more}{cursor}").json()
            records += page["records"]
            if page["next"] is None:
                return records
            cursor = f"&cursor={page['next']}"

    @precondition(lambda self: self.world.things)
    @rule(draw=data)
    def open_each(self, draw: Any) -> None:
        """By id: what somebody may see, in the words that he may read."""
        who = self.draw_person(draw)
        if who is None:
            return
        for what in self.world.things:
            answer = self.ask(who, "GET", f"/v1/records/{what.id}")
            assert answer.status_code == (200 if self.world.sees(who, what) else 404), what
            sources = self.ask(who, "GET", f"/v1/records/{what.id}/sources")
            assert sources.status_code == answer.status_code
            history = self.ask(who, "GET", f"/v1/records/{what.id}/history")
            assert history.status_code == (200 if self.world.changes(who, what) else 404), what
            if answer.status_code == 200 and what.owner == who:
                assert answer.json()["own"]["contact"].endswith(what.contact)

    @precondition(lambda self: self.world.things)
    @rule(
        draw=data,
        kinds=st.sets(st.sampled_from(("achievement", "patent", "need")), min_size=1).map(sorted),
        part=st.sampled_from(("title", "abstract", "institution", "contact")),
        provinces=st.sets(st.sampled_from(PROVINCES)).map(sorted),
        fresh=st.booleans(),
    )
    def search(self, draw: Any, kinds: list[str], part: str, provinces: list[str], fresh: bool) -> None:
        if fresh:
            self.catch_up()
        who = self.draw_anybody(draw)
        what = draw.draw(st.sampled_from(self.world.things))
        text = what.fields().get(part) or what.thing
        filters = {"kinds": kinds, "provinces": provinces}
        body = {"text": text, "filters": filters, "limit": 100, "min_level": 1}
        answer = self.ask(who, "POST", "/v1/match", json=body)
        if who is None and "need" in kinds:
            assert answer.status_code == 401
            return
        assert answer.status_code == 200, answer.text
        expected = self.world.found(who, kinds)
        if provinces:
            expected &= {t.id for t in self.world.things if t.province in provinces}
        self._complete(answer.json()["matches"], expected)
        partners = self.ask(who, "POST", "/v1/partners", json={"text": text, "limit": 20, "filters": filters})
        assert partners.status_code == (401 if who is None else 200)

    @precondition(lambda self: self.world.things)
    @rule(draw=data, fresh=st.booleans())
    def match_a_record(self, draw: Any, fresh: bool) -> None:
        if fresh:
            self.catch_up()
        who = self.draw_person(draw)
        what = draw.draw(st.sampled_from(self.world.things))
        if who is None:
            return
        for way in ("matches", "similar", "partners"):
            answer = self.ask(who, "GET", f"/v1/records/{what.id}/{way}?limit=20")
            if not self.world.sees(who, what):
                assert answer.status_code == 404
            else:
                assert answer.status_code == (422 if what.kind == "institution" else 200), answer.text
        if self.world.sees(who, what) and what.kind != "institution":
            own = ["need"] if what.kind == "need" else list(OFFERS)
            other = list(OFFERS) if what.kind == "need" else ["need"]
            for way, kinds in (("matches", other), ("similar", own)):
                answer = self.ask(who, "GET", f"/v1/records/{what.id}/{way}?limit=100&min_level=1")
                self._complete(answer.json()["matches"], self.world.found(who, kinds) - {what.id})

    @precondition(lambda self: self.world.things)
    @rule(
        draw=data,
        side=st.sampled_from(("institution", "enterprise", "county", "region")),
        peek=st.booleans(),
        fresh=st.booleans(),
    )
    def draw_leads(self, draw: Any, side: str, peek: bool, fresh: bool) -> None:
        """Lists of leads hold what one may find, and by an owner's name only what one may know to be his."""
        if fresh:
            self.catch_up()
        who = self.draw_person(draw)
        what = draw.draw(st.sampled_from(self.world.things))
        if who is None:
            return
        scope = {side: what.province if side in ("county", "region") else what.enterprise}
        answer = self.ask(who, "POST", "/v1/leads", json={**scope, "min_level": 1, "limit": 500, "peek": peek})
        if self.world.role(who) not in ("intermediary", "admin"):
            assert answer.status_code == 403
            return
        assert answer.status_code == 200, answer.text
        rows = answer.json()["leads"]
        needs, offers = ({row[one]["id"] for row in rows} for one in ("need", "offer"))
        assert needs <= self.world.found(who, ["need"])
        assert offers <= self.world.found(who, OFFERS)
        named = {t.id for t in self.world.things if t.enterprise == what.enterprise and self.world.knows_name(who, t)}
        assert side != "enterprise" or needs <= named
        assert side != "institution" or offers <= named
        if rows and not peek:
            self.told_of_leads.add(who)
        held = self.ask(who, "GET", "/v1/leads?limit=100").json()["leads"]
        for lead in held[:3]:
            assert self.ask(who, "GET", f"/v1/leads/{lead['id']}").json()["mine"]
        assert self.ask(who, "GET", "/v1/leads/export?format=csv").status_code == 200
        everybodys = self.ask(who, "GET", "/v1/leads?all=true")
        assert everybodys.status_code == (200 if self.world.role(who) == "admin" else 403)

    def _complete(self, matches: Sequence[dict[str, Any]], expected: set[str]) -> None:
        """Nothing else was found; and nothing is missing, unless the index is behind."""
        found = {one["id"] for match in matches for one in (match["record"], *match["variants"])}
        assert found <= expected
        if not self.behind:
            assert found == expected

    @precondition(lambda self: self.world.things)
    @rule(draw=data, level=st.integers(1, 4))
    def judge(self, draw: Any, level: int) -> None:
        who = self.draw_person(draw)
        need, offer = (
            draw.draw(st.sampled_from([t for t in self.world.things if t.kind in kinds] or [None]))
            for kinds in (("need",), OFFERS)
        )
        if who is None or need is None or offer is None:
            return
        body = {"need_id": need.id, "offer_id": offer.id, "level": level}
        answer = self.client.request(
            "POST",
            "/v1/judgements",
            json=body,
            headers={"Authorization": f"Bearer {next(iter(self.world.people[who].keys.values()))}"},
        )
        if self.world.role(who) not in ("intermediary", "admin"):
            assert answer.status_code == 403
            return
        may = self.world.sees(who, need) and self.world.sees(who, offer)
        assert answer.status_code == (200 if may else 404)
        if may:
            self.world.judged.setdefault(who, set()).add((need.id, offer.id))
        self._judgements(who)

    def _judgements(self, who: int) -> None:
        by_id = {t.id: t for t in self.world.things}
        pairs = self.world.judged.get(who, set())
        expected = {pair for pair in pairs if all(self.world.sees(who, by_id[id_]) for id_ in pair)}
        listed = self.ask(who, "GET", "/v1/judgements?limit=100").json()["judgements"]
        assert {(one["need_id"], one["offer_id"]) for one in listed} == expected
        assert self.ask(who, "GET", "/v1/statistics").json()["judgements"] == len(expected)

    @rule(draw=data)
    def see_what_was_judged(self, draw: Any) -> None:
        who = self.draw_person(draw, "intermediary", "admin")
        if who is not None:
            self._judgements(who)

    @rule()
    def see_what_is_open_to_all(self) -> None:
        for path in ("/healthz", "/readyz", "/metrics", "/openapi.json"):
            assert self.ask(None, "GET", path).status_code == 200


TestEverybody = Everybody.TestCase
TestEverybody.settings = settings(
    max_examples=int(os.environ.get("EXAMPLES", "6")),
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
