"""How a file would be read is shown before it is, and nothing is written."""

from __future__ import annotations

from typing import Any

from fastapi.testclient import TestClient

from api.service import Service
from matcher.engine import Matcher
from tests.api.conftest import SignedIn
from tests.api.support import assert_problem

TABLE = "项目名,完成单位,成果简介,备注\n热泵烘干银耳,蜀北农林大学,闭路热泵节能四成,甲\n,某单位,没有标题,乙\n"


def preview(client: TestClient, content: bytes, name: str = "成果.csv", **form: Any) -> Any:
    return client.post("/v1/uploads/preview", files={"file": (name, content)}, data=form)


def test_columns_records_and_refusals_are_shown_and_nothing_is_written(client: TestClient, matcher: Matcher) -> None:
    before = matcher.store.revision()
    answer = preview(client, TABLE.encode("gb18030"), kind="achievement", map="标题=项目名")
    assert answer.status_code == 200, answer.text
    (part,) = answer.json()["parts"]
    assert (part["kind"], part["unused"]) == ("achievement", ["备注"])
    assert {"field": "title", "field_name": "成果名称", "column": "项目名"} in part["columns"]
    assert [record["title"] for record in part["records"]] == ["热泵烘干银耳"]
    assert [row["line"] for row in part["rejected"]] == [3]
    assert matcher.store.revision() == before


def test_what_is_no_table_is_refused_with_the_reason(client: TestClient) -> None:
    assert_problem(preview(client, b"\x00\x01\x02" * 50, "x.xlsx"), 422)


def test_only_administrators_may_bring_institutions(client: TestClient, signed_in: SignedIn) -> None:
    content = "机构名称,机构类型\n米仓山研究院,科研院所\n".encode()
    assert_problem(preview(client, content, kind="institution"), 422)
    assert preview(signed_in("admin"), content, kind="institution").status_code == 200


def test_without_a_key_nothing_is_read(anonymous: TestClient) -> None:
    assert_problem(preview(anonymous, TABLE.encode()), 401)


def test_one_file_is_previewed_at_a_time(client: TestClient) -> None:
    service: Service = client.app.state.service  # type: ignore[attr-defined]
    with service.previewing:
        answer = preview(client, TABLE.encode(), kind="achievement")
    assert_problem(answer, 429)
    assert answer.headers["retry-after"]
