"""Files handed in over the API: taken at once, read once, by whoever comes to it, whatever happens meanwhile."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anyio
import openpyxl
import pytest

from api.app import create_app
from matcher import uploads
from matcher.engine import Matcher
from matcher.errors import Busy
from tests.api.fresh import Fresh, Headers, fresh_matcher, running
from tests.api.support import assert_problem, wait_for

COLUMNS = ["需求名称", "需求内容", "企业名称", "联系方式"]
ROW = ["银耳烘干节能", "银耳烘干能耗太高，求热泵烘干工艺", "雾里菌品有限公司", "厂办 0827-1234567"]


def csv(*rows: list[str], encoding: str = "utf-8") -> bytes:
    return "".join(",".join(row) + "\n" for row in (COLUMNS, *rows)).encode(encoding)


def xlsx(*rows: list[str]) -> bytes:
    book = openpyxl.Workbook()
    for row in (COLUMNS, *rows):
        book.active.append(row)
    raw = io.BytesIO()
    book.save(raw)
    return raw.getvalue()


def send(fresh: Fresh, headers: Headers, name: str, raw: bytes, **form: Any) -> Any:
    return fresh.client.post("/v1/uploads", files={"file": (name, raw)}, data=form, headers=headers)


def done(fresh: Fresh, headers: Headers, answer: Any) -> dict[str, Any]:
    """What became of an upload."""
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"/v1/uploads/{answer.json()['id']}"
    told: dict[str, Any] = {}

    def over() -> bool:
        told.update(fresh.client.get(answer.headers["location"], headers=headers).json())
        return told["status"] in ("done", "failed")

    wait_for(over, 30)
    return told


def kept(fresh: Fresh, tmp_path: Path) -> list[str]:
    """Files that are still there, locks left out."""
    return sorted(p.name for p in (tmp_path / "home" / "uploads").rglob("*") if p.is_file() and p.name != "lock")


@pytest.mark.parametrize(
    ("name", "raw"),
    [("需求.csv", csv(ROW)), ("需求.csv", csv(ROW, encoding="gb18030")), ("需求.xlsx", xlsx(ROW))],
    ids=["utf-8", "gbk", "xlsx"],
)
def test_a_file_is_read_and_its_records_belong_to_who_sent_it(
    fresh: Fresh, tmp_path: Path, name: str, raw: bytes
) -> None:
    mine, theirs = fresh.key(), fresh.key("admin")
    told = done(fresh, mine, send(fresh, mine, name, raw, kind="need", visibility="private"))
    assert told["counts"] == {"read": 1, "added": 1, "updated": 0, "unchanged": 0, "rejected": 0}
    assert (told["status"], told["message"], told["rejects"], told["file_name"]) == ("done", None, False, name)
    [record] = fresh.client.get("/v1/records", headers=mine).json()["records"]
    assert record["title"] == ROW[0]
    assert record["own"]["visibility"] == "private"
    assert fresh.client.get(f"/v1/records/{record['id']}", headers=mine).json()["own"]["contact"] == ROW[3]
    assert fresh.client.get("/v1/records", headers=theirs).json()["records"] == []
    # Contacts of other people: the file is not kept.
    wait_for(lambda: kept(fresh, tmp_path) == [])


def test_another_accounts_upload_is_not_there(fresh: Fresh) -> None:
    mine, theirs = fresh.key(), fresh.key("admin")
    bad = [["", "没有标题", "甲", ""], ROW]
    told = done(fresh, mine, send(fresh, mine, "需求.csv", csv(*bad), kind="need"))
    assert told["rejects"]
    for path in ("", "/rejects"):
        assert fresh.client.get(f"/v1/uploads/{told['id']}{path}", headers=mine).status_code == 200
        assert_problem(fresh.client.get(f"/v1/uploads/{told['id']}{path}", headers=theirs), 404)
    assert fresh.client.get("/v1/uploads", headers=theirs).json() == {"uploads": [], "next": None}


def test_rows_that_are_refused_are_told_with_their_reason(fresh: Fresh) -> None:
    headers = fresh.key()
    rows = [ROW, ["", "没有标题的一行", "甲公司", ""], ["=1+1", "公式", "乙公司", "x" * 10]]
    told = done(fresh, headers, send(fresh, headers, "需求.csv", csv(*rows), kind="need"))
    assert (told["counts"]["added"], told["counts"]["rejected"], told["rejects"]) == (2, 1, True)
    answer = fresh.client.get(f"/v1/uploads/{told['id']}/rejects", headers=headers)
    assert answer.headers["content-type"].startswith("text/csv")
    assert "attachment" in answer.headers["content-disposition"]
    assert "没有标题的一行" in answer.content.decode("utf-8-sig")
    good = done(fresh, headers, send(fresh, headers, "好.csv", csv(ROW), kind="need"))
    assert_problem(fresh.client.get(f"/v1/uploads/{good['id']}/rejects", headers=headers), 404)


@pytest.mark.parametrize(
    "raw", [b"", b"\x00\x01\x02", b"%PDF-1.4 x", b"PK\x03\x04broken", "没有表头".encode(), b"\xff" * 1000]
)
def test_a_file_that_is_no_table_fails_in_a_sentence(fresh: Fresh, tmp_path: Path, raw: bytes) -> None:
    headers = fresh.key()
    told = done(fresh, headers, send(fresh, headers, "需求.csv", raw))
    assert told["status"] == "failed"
    assert told["counts"] is None
    assert any("\u4e00" <= character <= "\u9fff" for character in told["message"])
    assert str(tmp_path) not in told["message"]
    assert fresh.client.get("/v1/uploads", headers=headers).json()["uploads"] == [told]
    wait_for(lambda: kept(fresh, tmp_path) == [])


def test_institutions_are_for_administrators(fresh: Fresh) -> None:
    raw = "机构名称,机构类型\n蜀北大学,高等院校\n".encode()
    enterprise, admin, another = fresh.key(), fresh.key("admin"), fresh.key("admin")
    for form in ({"kind": "institution"}, {}):
        assert done(fresh, enterprise, send(fresh, enterprise, "机构.csv", raw, **form))["status"] == "failed"
    for keeper, outcome in ((admin, "added"), (another, "updated")):
        told = done(fresh, keeper, send(fresh, keeper, "机构.csv", raw, kind="institution"))
        assert told["counts"][outcome] == 1
    # Nobody's own: any administrator may go on with it.
    [record] = fresh.client.get("/v1/records", headers=another).json()["records"]
    assert record["own"] is None
    changed = {"kind": "institution", "title": "蜀北大学", "type": "大学"}
    assert fresh.client.put(f"/v1/records/{record['id']}", json=changed, headers=another).status_code == 200


def test_columns_can_be_named(fresh: Fresh) -> None:
    headers = fresh.key()
    raw = "甲,乙\n银耳烘干节能,能耗太高\n".encode()
    told = done(fresh, headers, send(fresh, headers, "a.csv", raw, kind="need", map=["标题=甲", "摘要=乙"]))
    assert told["counts"]["added"] == 1, told
    for wrong in ("甲", "=甲", "标题="):
        assert_problem(send(fresh, headers, "a.csv", raw, map=[wrong]), 422)
    unknown = done(fresh, headers, send(fresh, headers, "a.csv", raw, kind="need", map=["标题=丙"]))
    assert unknown["status"] == "failed"


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "..", "a/b\\c.csv", "\u202e.csv", "长" * 300 + ".csv", "lock", "con\n.csv"]
)
def test_odd_file_names_lead_nowhere(fresh: Fresh, tmp_path: Path, name: str) -> None:
    headers = fresh.key()
    done(fresh, headers, send(fresh, headers, name, csv(ROW), kind="need"))
    inside = tmp_path / "home" / "uploads"
    assert all(path.is_relative_to(inside) for path in tmp_path.rglob("*passwd*"))
    assert not list(tmp_path.glob("*.csv"))


def test_the_same_file_sent_again_is_read_once(fresh: Fresh) -> None:
    headers = fresh.key() | {"Idempotency-Key": "n-1"}
    first = send(fresh, headers, "需求.csv", csv(ROW), kind="need")
    again = send(fresh, headers, "需求.csv", csv(ROW), kind="need")
    assert again.json()["id"] == first.json()["id"]
    # As long, of the same name, and another file.
    other = csv([ROW[0].replace("银", "木"), *ROW[1:]])
    assert_problem(send(fresh, headers, "需求.csv", other, kind="need"), 422)
    assert len(fresh.client.get("/v1/uploads", headers=headers).json()["uploads"]) == 1


def test_uploads_are_listed_in_pages(fresh: Fresh) -> None:
    headers = fresh.key()
    ids = [send(fresh, headers, f"{i}.csv", csv(ROW), kind="need").json()["id"] for i in range(5)]
    found, cursor = [], ""
    while cursor is not None:
        page = fresh.client.get(
            "/v1/uploads", params={"limit": 2} | ({"cursor": cursor} if cursor else {}), headers=headers
        ).json()
        found += [one["id"] for one in page["uploads"]]
        cursor = page["next"]
    assert found == ids[::-1]


# ------------------------------------------------------------ large files


def test_a_file_larger_than_other_bodies_is_taken(tmp_path: Path) -> None:
    with running(tmp_path / "home", max_body_bytes=10_000, max_file_bytes=1_000_000) as fresh:
        headers = fresh.key()
        raw = csv(*([f"需求{i}", f"第{i}条需求，" + "热泵烘干" * 20, "甲公司", ""] for i in range(300)))
        assert len(raw) > 10_000
        assert done(fresh, headers, send(fresh, headers, "需求.csv", raw, kind="need"))["counts"]["added"] == 300
        assert_problem(send(fresh, headers, "需求.csv", b"x" * 1_050_000), 413)
        assert_problem(send(fresh, headers, "需求.csv", b"x" * 1_200_000), 413)
        assert kept(fresh, tmp_path) == []


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer mk_guess"}, {"Cookie": "matcher_session=guess"}])
def test_nothing_large_is_taken_from_those_without_a_key(tmp_path: Path, headers: Headers) -> None:
    """Not even read: a body is there before its route is asked who may call it."""
    with running(tmp_path / "home", max_body_bytes=10_000) as fresh:
        taken = 0
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            nonlocal taken
            taken += 1
            return {"type": "http.request", "body": b"x" * 1000, "more_body": True}

        async def send_(message: Any) -> None:
            sent.append(message)

        kind = b"multipart/form-data; boundary=x"
        raw = [(b"content-type", kind), *((n.lower().encode(), v.encode()) for n, v in headers.items())]
        scope = {"type": "http", "method": "POST", "path": "/v1/uploads", "query_string": b"", "headers": raw}
        anyio.run(fresh.client.app, scope, receive, send_)
        assert sent[0]["status"] in (400, 401, 413)
        assert taken <= 11


def test_nobody_piles_up_files(fresh: Fresh, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.routes.uploads.UNREAD_LIMIT", 2)
    monkeypatch.setattr(fresh.matcher.uploads, "work", lambda: False)
    mine, theirs = fresh.key(), fresh.key()
    told = [send(fresh, mine, "需求.csv", csv(ROW)) for _ in range(3)]
    assert [answer.status_code for answer in told] == [202, 202, 429]
    assert told[-1].headers["retry-after"]
    assert send(fresh, theirs, "需求.csv", csv(ROW)).status_code == 202


# ------------------------------------------------------------ whoever comes to it


@pytest.fixture
def waiting(tmp_path: Path) -> Iterator[tuple[Matcher, list[str]]]:
    """An engine with three files that wait, and nobody who reads them."""
    matcher = fresh_matcher(tmp_path / "home")
    account = matcher.accounts.add("甲", "enterprise")
    ids = []
    for number in range(3):
        id_, path = matcher.uploads.receive(f"需求{number}.csv")
        path.write_bytes(csv([f"需求{number}", *ROW[1:]]))
        ids.append(matcher.uploads.add(account.key, id_, path, "need").id)
    yield matcher, ids
    matcher.close()
    matcher.embedder.close()


def test_two_processes_read_no_file_twice(waiting: tuple[Matcher, list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    matcher, _ = waiting
    read: list[str] = []
    ingest = uploads.ingest_file

    def counted(store: Any, path: Path, *more: Any, **named: Any) -> Any:
        read.append(path.name)
        time.sleep(0.1)
        return ingest(store, path, *more, **named)

    monkeypatch.setattr(uploads, "ingest_file", counted)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: matcher.uploads.work(), range(8)))
    while matcher.uploads.work():
        pass
    assert sorted(read) == ["需求0.csv", "需求1.csv", "需求2.csv"]


def test_a_file_whose_reader_was_killed_is_read_again(waiting: tuple[Matcher, list[str]], tmp_path: Path) -> None:
    """It dies with the rows stored and nothing said of them."""
    matcher, ids = waiting
    code = f"""
        import os
        from pathlib import Path
        from matcher import uploads
        from tests.api.fresh import fresh_matcher
        ingest = uploads.ingest_file
        def fatal(*a, **b):
            ingest(*a, **b)
            os._exit(9)
        uploads.ingest_file = fatal
        fresh_matcher(Path({str(tmp_path / "home")!r})).uploads.work()
    """
    killed = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], cwd=Path(__file__).parents[2], timeout=60)
    assert killed.returncode == 9
    account = matcher.accounts.all()[0]
    assert matcher.uploads.get(account.key, ids[0]).status == "running"
    while matcher.uploads.work():
        pass
    found = [matcher.uploads.get(account.key, id_) for id_ in ids]
    assert [one.status for one in found] == ["done"] * 3
    assert [(one.report or {})["unchanged"] for one in found] == [1, 0, 0]
    assert matcher.store.counts()["need"] == 3


@pytest.mark.parametrize("error", [Busy("另一个进程占用"), OSError("disk full")])
def test_what_is_not_the_files_fault_lets_it_wait_and_not_those_behind_it(
    waiting: tuple[Matcher, list[str]], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    matcher, ids = waiting
    ingest = uploads.ingest_file

    def sometimes(store: Any, path: Path, *more: Any, **named: Any) -> Any:
        if path.name == "需求0.csv":
            raise error
        return ingest(store, path, *more, **named)

    account = matcher.accounts.all()[0]
    with monkeypatch.context() as patch:
        patch.setattr(uploads, "ingest_file", sometimes)
        assert [matcher.uploads.work(), matcher.uploads.work()] == [True, True]
        with pytest.raises(type(error)):
            matcher.uploads.work()
        assert matcher.uploads.get(account.key, ids[0]).finished_at is None
    assert matcher.uploads.work()
    assert [matcher.uploads.get(account.key, id_).status for id_ in ids] == ["done"] * 3


def test_a_file_that_breaks_its_reader_is_given_up(
    waiting: tuple[Matcher, list[str]], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    matcher, ids = waiting

    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("/srv/secret")

    monkeypatch.setattr(uploads, "ingest_file", broken)
    assert matcher.uploads.work()
    found = matcher.uploads.get(matcher.accounts.all()[0].key, ids[0])
    assert found.status == "failed"
    assert "secret" not in (found.message or "")
    assert "/srv/secret" in caplog.text


def test_a_file_that_could_not_be_taken_leaves_nothing(
    fresh: Fresh, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    headers = fresh.key()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        answer = send(fresh, headers, "需求.csv", csv(ROW), kind="need")
        assert answer.status_code >= 500
        assert "device" not in answer.text
    assert list((tmp_path / "home" / "uploads").iterdir()) == []
    assert fresh.client.get("/v1/uploads", headers=headers).json()["uploads"] == []


def test_an_application_that_starts_reads_what_was_left(waiting: tuple[Matcher, list[str]]) -> None:
    from fastapi.testclient import TestClient

    matcher, ids = waiting
    account = matcher.accounts.all()[0]
    _, secret = matcher.accounts.add_key(account, "测试")
    with TestClient(create_app(matcher=matcher), headers={"Authorization": f"Bearer {secret}"}) as client:
        fresh = Fresh(matcher, client)
        wait_for(lambda: all(matcher.uploads.get(account.key, id_).status == "done" for id_ in ids), 20)
        assert json.loads(fresh.client.get("/v1/statistics").text)["own"]["need"] == 3
