from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from openpyxl import load_workbook

from api.routes import leads
from tests.api.fresh import NEED, OFFER, Fresh, Headers
from tests.api.support import assert_problem, wait_for

BRAND = "垚淼"
WANTED = {"county": "四川省", "min_level": 1}


@pytest.fixture
def market(fresh: Fresh) -> dict[str, Any]:
    """Two offers, a public need, one of an enterprise that hides, and a private one."""
    owner = fresh.key()
    walnut = OFFER | {"title": "核桃脱皮机", "abstract": "脱除青皮。", "institution": "乙所"}
    offers = [fresh.write(owner, **one, province="四川省") for one in (OFFER | {"institution": "蜀北大学"}, walnut)]
    public = fresh.write(owner, institution="红光食品有限公司", budget="50万元", deadline="2049-12-31")
    hidden = fresh.write(
        owner,
        title=f"{BRAND}食品有限公司的核桃脱皮",
        abstract=f"{BRAND}公司求核桃脱皮机，电话13900001111。",
        institution=f"{BRAND}食品有限公司",
        visibility="intermediaries",
    )
    private = fresh.write(owner, title="秘密的银耳烘干", visibility="private")
    asking = fresh.key("intermediary", "看看的人")
    # Both needs with both offers: needs ask out of the store, offers are found once they are indexed.
    wait_for(lambda: draw(fresh, asking, peek=True).json()["matched"] == 4)
    return {"offers": offers, "public": public, "hidden": hidden, "private": private}


def draw(fresh: Fresh, headers: Headers, **wanted: Any) -> Any:
    return fresh.client.post("/v1/leads", json={**WANTED, **wanted}, headers=headers)


def step(fresh: Fresh, headers: Headers, id_: str, more: Headers | None = None, **body: Any) -> Any:
    return fresh.client.post(f"/v1/leads/{id_}/steps", json=body, headers={**headers, **(more or {})})


def test_a_lead_from_the_list_to_the_contract(fresh: Fresh, market: dict[str, Any]) -> None:
    mine, theirs = fresh.key("intermediary", "甲"), fresh.key("intermediary", "乙")
    drawn = draw(fresh, mine).json()
    assert drawn["new"] == len(drawn["leads"]) == drawn["matched"]
    assert (drawn["offers"], drawn["needs"], drawn["message"]) == (2, 2, None)
    row = next(row for row in drawn["leads"] if row["need"]["id"] == market["public"]["id"])
    assert row["enterprise"]["name"] == "红光食品有限公司"
    assert (row["budget"], row["deadline"], row["new"], row["status"]) == ("50万元", "2049-12-31", True, "new")
    assert row["why"].endswith("。")
    other = draw(fresh, theirs).json()
    assert (other["new"], other["taken"]) == (0, drawn["matched"])
    assert all(row["id"] is None and row["assignee"] is None for row in other["leads"])
    assert draw(fresh, theirs, show="open").json()["message"] == "符合条件的线索都已列出过或由他人负责。"
    # What others hold is not there.
    for answer in (
        fresh.client.get(f"/v1/leads/{row['id']}", headers=theirs),
        step(fresh, theirs, row["id"], status="contacted"),
        fresh.client.put(f"/v1/leads/{row['id']}/assignee", json={"account": "甲"}, headers=theirs),
    ):
        assert_problem(answer, 404)
    read = fresh.client.get(f"/v1/leads/{row['id']}", headers=mine)
    tag = {"If-Match": read.headers["etag"]}
    assert read.json()["claimed_until"]
    done = step(fresh, mine, row["id"], tag, status="contacted", note="王工 13900002222")
    assert done.status_code == 200, done.text
    assert_problem(step(fresh, mine, row["id"], tag, status="lost", reason="gone"), 412)
    signed = step(fresh, mine, row["id"], status="signed", amount=800_000, signed_on="2026-04-02", major=True)
    body = signed.json()
    assert (body["amount"], body["signed_on"], body["major"], body["mine"]) == (800_000, "2026-04-02", True, True)
    assert [(one["by"], one["status_name"], one["note"]) for one in body["steps"]] == [
        ("您", "已联系", "王工 13900002222"),
        ("您", "已签约", ""),
    ]
    judged = fresh.client.get("/v1/judgements", headers=mine).json()["judgements"]
    assert [(one["need_id"], one["level"]) for one in judged] == [(market["public"]["id"], 4)]
    held = fresh.client.get("/v1/leads?status=signed", headers=mine).json()
    assert [one["id"] for one in held["leads"]] == [row["id"]]
    assert fresh.client.get("/v1/leads", headers=theirs).json() == {"leads": [], "next": None}


def test_notes_and_names_are_for_whoever_holds_the_lead(fresh: Fresh, market: dict[str, Any]) -> None:
    mine, admin = fresh.key("intermediary", "甲"), fresh.key("admin", "管理员")
    to, theirs = fresh.account("intermediary", "乙")
    drawn = draw(fresh, mine)
    assert BRAND not in drawn.text
    assert market["private"]["id"] not in drawn.text
    assert "13900001111" not in drawn.text
    id_ = next(row["id"] for row in drawn.json()["leads"] if row["need"]["id"] == market["hidden"]["id"])
    step(fresh, mine, id_, status="contacted", note="李工 13900003333")
    assert BRAND in fresh.client.get(f"/v1/leads/{id_}", headers=admin).text
    given = fresh.client.put(f"/v1/leads/{id_}/assignee", json={"account": to}, headers=mine)
    assert (given.json()["assignee"], given.json()["mine"], given.json()["steps"]) == ("乙", False, [])
    assert_problem(fresh.client.get(f"/v1/leads/{id_}", headers=mine), 404)
    answer = fresh.client.get(f"/v1/leads/{id_}", headers=theirs)
    assert [(one["by"], one["note"], one["assigned_to"]) for one in answer.json()["steps"]] == [
        ("甲", "李工 13900003333", None),
        ("甲", "", "乙"),
    ]
    assert BRAND not in answer.text
    everybodys = fresh.client.get("/v1/leads?all=true&limit=1", headers=admin).json()
    assert everybodys["next"]
    assert not everybodys["leads"][0]["mine"]


def test_a_lead_is_given_only_to_those_who_work_with_leads(fresh: Fresh, market: dict[str, Any]) -> None:
    fresh.key("enterprise", "企业")
    closed = fresh.matcher.accounts.add("关闭的", "intermediary")
    fresh.matcher.accounts.close(closed.id)
    mine = fresh.key("intermediary")
    id_ = draw(fresh, mine).json()["leads"][0]["id"]
    for account in ("没有这个账号", "企业", "关闭的"):
        answer = fresh.client.put(f"/v1/leads/{id_}/assignee", json={"account": account}, headers=mine)
        assert assert_problem(answer, 422)["errors"] == [{"field": "account", "reason": "须是开通中的中介或管理员账号"}]


def test_what_makes_no_step_is_named(fresh: Fresh, market: dict[str, Any]) -> None:
    mine = fresh.key("intermediary")
    id_ = draw(fresh, mine).json()["leads"][0]["id"]
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"status": "new"}, "status"),
        ({"status": "won"}, "status"),
        ({"status": "signed"}, "amount"),
        ({"status": "signed", "amount": "8"}, "amount"),
        ({"status": "signed", "amount": 8, "signed_on": "昨天"}, "signed_on"),
        ({"status": "signed", "amount": 8, "signed_on": "2999-01-01"}, "signed_on"),
        ({"status": "lost"}, "reason"),
        ({"status": "lost", "reason": "bored"}, "reason"),
        ({"status": "contacted", "note": "长" * 2001}, "note"),
    ]
    for body, field in wrong:
        problem = assert_problem(step(fresh, mine, id_, **body), 422)
        assert [error["field"] for error in problem["errors"]] == [field]
    assert fresh.client.get(f"/v1/leads/{id_}", headers=mine).json()["status"] == "new"


def test_what_cannot_be_listed_is_named(fresh: Fresh) -> None:
    admin = fresh.key("admin")
    wrong: list[tuple[dict[str, Any], str]] = [
        ({}, "范围"),
        ({"county": "乌有之乡"}, "county"),
        ({"programme": "root"}, "programme"),
        ({"county": "四川省", "limit": 501}, "limit"),
        ({"county": "四川省", "visibility": "private"}, "visibility"),
    ]
    for body, field in wrong:
        problem = assert_problem(fresh.client.post("/v1/leads", json=body, headers=admin), 422)
        assert [error["field"] for error in problem["errors"]] == [field]


def test_too_wide_a_list_says_how_to_narrow_it(
    fresh: Fresh, market: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leads, "MOST_QUESTIONS", 1)
    problem = assert_problem(draw(fresh, fresh.key("intermediary")), 422)
    assert "缩小其中一边" in problem["detail"]
    assert "matcher leads" in problem["detail"]


def test_a_list_sent_again_is_the_same_list(fresh: Fresh, market: dict[str, Any]) -> None:
    headers = fresh.key("intermediary") | {"Idempotency-Key": "k1"}
    first, again = draw(fresh, headers), draw(fresh, headers)
    assert first.json()["new"] > 0
    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"


def test_leads_are_exported_without_notes_and_without_formulas(fresh: Fresh, market: dict[str, Any]) -> None:
    owner, mine = fresh.key(), fresh.key("intermediary")
    evil = fresh.write(owner, title="=HYPERLINK(1)银耳烘干", institution="+红火有限公司")
    wait_for(lambda: bool(draw(fresh, mine, need=evil["id"]).json()["leads"]))
    [row] = [
        row for row in draw(fresh, mine, need=evil["id"]).json()["leads"] if row["offer"]["title"] == OFFER["title"]
    ]
    step(fresh, mine, row["id"], status="signed", amount=800_000, signed_on="2026-04-02", note="绝不外传")
    answer = fresh.client.get("/v1/leads/export?status=signed", headers=mine)
    assert answer.headers["content-disposition"].endswith('.xlsx"')
    sheet = load_workbook(io.BytesIO(answer.content)).active
    assert sheet is not None
    titles, cells = ([cell.value for cell in row] for row in sheet.iter_rows(max_row=2))
    values = dict(zip(titles, cells, strict=True))
    assert (values["企业"], values["需求"], values["合同金额（元）"]) == (
        "+红火有限公司",
        "=HYPERLINK(1)银耳烘干",
        800_000,
    )
    assert not any(cell.data_type == "f" for row in sheet.iter_rows() for cell in row)
    text = fresh.client.get("/v1/leads/export?format=csv&status=signed", headers=mine).content.decode("utf-8-sig")
    [line] = csv.DictReader(io.StringIO(text))
    assert line["需求"].startswith("'=")
    assert line["需求（链接）"].endswith(f"/records/{evil['id']}")
    assert "绝不外传" not in text + str(values)


def test_lists_are_saved_drawn_and_removed(fresh: Fresh, market: dict[str, Any]) -> None:
    mine, theirs = fresh.key("intermediary", "甲"), fresh.key("intermediary", "乙")
    body = {"name": "四川", "wanted": WANTED}
    saved = fresh.client.post("/v1/lead-lists", json=body, headers=mine)
    assert saved.status_code == 201, saved.text
    path = f"/v1/lead-lists/{saved.json()['id']}"
    assert_problem(fresh.client.post("/v1/lead-lists", json=body, headers=mine), 422)
    assert_problem(fresh.client.post(f"{path}/draw", json={}, headers=theirs), 404)
    first = fresh.client.post(f"{path}/draw", json={}, headers=mine).json()
    assert first["new"] == len(first["leads"]) > 0
    assert fresh.client.post(f"{path}/draw", json={}, headers=mine).json()["new"] == 0
    [listed] = fresh.client.get("/v1/lead-lists", headers=mine).json()["lists"]
    assert (listed["name"], listed["wanted"]["county"], bool(listed["drawn_at"])) == ("四川", "四川省", True)
    assert fresh.client.get("/v1/lead-lists", headers=theirs).json() == {"lists": []}
    assert_problem(fresh.client.delete(path, headers=theirs), 404)
    assert fresh.client.delete(path, headers=mine).status_code == 204
    assert_problem(fresh.client.delete(path, headers=mine), 404)
    assert fresh.client.get("/v1/leads", headers=mine).json()["leads"]


def test_a_withdrawn_record_leaves_its_lead_without_it(fresh: Fresh, market: dict[str, Any]) -> None:
    owner, mine = fresh.key(), fresh.key("intermediary")
    gone = fresh.write(owner, **NEED | {"title": "银耳烘干的急事"})
    wait_for(lambda: bool(draw(fresh, mine, need=gone["id"]).json()["leads"]))
    held = fresh.client.get("/v1/leads?limit=100", headers=mine).json()["leads"]
    id_ = next(lead["id"] for lead in held if lead["need"]["id"] == gone["id"])
    fresh.client.delete(f"/v1/records/{gone['id']}", headers=owner)
    lead = fresh.client.get(f"/v1/leads/{id_}", headers=mine).json()
    assert (lead["need"], lead["enterprise"], lead["region"]) == (None, None, None)
    assert lead["offer"]
    assert step(fresh, mine, id_, status="lost", reason="gone").json()["reason_name"] == "需求已取消或已解决"
