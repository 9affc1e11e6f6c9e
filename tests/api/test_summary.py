"""The bureau's summary over the API."""

from __future__ import annotations

import csv
import io

import openpyxl
import pytest

from tests.api.fresh import NEED, OFFER, Fresh
from tests.api.support import assert_problem


def test_an_administrator_gets_the_figures_and_no_trace_of_what_is_private(fresh: Fresh) -> None:
    admin, enterprise = fresh.key("admin"), fresh.key()
    fresh.write(enterprise, **OFFER, source_id="1")
    before = fresh.client.get("/v1/summary", headers=admin).json()
    # Also the administrator's own: these figures are for the bureau.
    fresh.write(enterprise, **NEED, source_id="2", visibility="private")
    fresh.write(admin, **NEED, source_id="3", visibility="private")
    assert fresh.client.get("/v1/summary", headers=admin).json() == before
    fresh.write(enterprise, **NEED, source_id="4", visibility="intermediaries", province="四川省", county="南江县")
    after = fresh.client.get("/v1/summary", headers=admin).json()
    assert (before["total"]["offers"], before["total"]["needs"], after["total"]["needs"]) == (1, 0, 1)
    assert next(row for row in after["regions"] if row["code"] == "511922")["needs"] == 1


def test_it_comes_as_files_for_excel(fresh: Fresh) -> None:
    admin = fresh.key("admin")
    book = fresh.client.get("/v1/summary?format=xlsx", headers=admin)
    assert book.headers["content-type"].endswith("spreadsheetml.sheet")
    assert book.headers["content-disposition"].endswith('.xlsx"')
    assert openpyxl.load_workbook(io.BytesIO(book.content)).sheetnames == ["目标", "专项", "县区", "说明"]
    table = fresh.client.get("/v1/summary?format=csv", headers=admin)
    assert table.content.startswith(b"\xef\xbb\xbf") and table.headers["content-type"].startswith("text/csv")
    assert list(csv.reader(io.StringIO(table.content.decode("utf-8-sig"))))[-1][:2] == ["目标", "amount"]


@pytest.mark.parametrize(
    "query", ["from=2026-12-01&to=2026-01-01", "from=2026-13-01", "to=0001-01-01", "to=now", "format=pdf"]
)
def test_what_makes_no_sense_is_refused(fresh: Fresh, query: str) -> None:
    assert_problem(fresh.client.get(f"/v1/summary?{query}", headers=fresh.key("admin")), 422)
