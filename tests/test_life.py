from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matcher.life import NEVER, OVER, last_day
from matcher.records import Achievement, Institution, Need, Patent, Record


def need(**values: str | None) -> Need:
    return Need(source="甲", source_id="1", title="求烘干技术", **values)  # type: ignore[arg-type]


def patent(**values: str | None) -> Patent:
    return Patent(source="甲", source_id="1", title="烘房", **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("record", "day"),
    [
        (need(), NEVER),
        (need(deadline="2026-11-23"), 20261123),
        (need(deadline="2028-02"), 20280229),
        (need(deadline="2027"), 20271231),
        (need(deadline="2027-03-01", expires="2026-12-31"), 20261231),
        (need(expires="2026-12"), 20261231),
        (patent(), NEVER),
        (patent(legal_status="有效"), NEVER),
        (patent(legal_status="实质审查的生效"), NEVER),
        (patent(legal_status="无效宣告请求审查中"), NEVER),
        (patent(legal_status="专利权的终止;恢复"), NEVER),
        (patent(legal_status="驳回等复审请求"), NEVER),
        (patent(legal_status="失效"), OVER),
        (patent(legal_status="无效"), OVER),
        (patent(legal_status="发明专利申请公布后的视为撤回"), OVER),
        (patent(legal_status="未缴年费终止失效"), OVER),
        (patent(legal_status="专利权有效期届满"), OVER),
        (patent(publication_number="CN102000001B", application_date="2010-05-06"), 20300506),
        (patent(publication_number="CN202000001U", application_date="2016-05-06"), 20260506),
        (patent(publication_number="CN302000001S", application_date="2022-05"), 20370531),
        (patent(publication_number="CN102000001", application_date="2010-05-06"), NEVER),
        (Achievement(source="甲", source_id="1", title="工艺"), NEVER),
        (Achievement(source="甲", source_id="1", title="工艺", status="洽谈中"), NEVER),
        (Achievement(source="甲", source_id="1", title="工艺", status="未签约"), NEVER),
        (Achievement(source="甲", source_id="1", title="工艺", status="已签约"), OVER),
        (Achievement(source="甲", source_id="1", title="工艺", status=" Signed 2026 "), OVER),
        (Institution(source="甲", source_id="1", title="研究院"), NEVER),
    ],
)
def test_a_record_takes_part_until_its_last_day(record: Record, day: int) -> None:
    assert last_day(record) == day


@given(st.dates(min_value=datetime.date(1990, 1, 1), max_value=datetime.date(2090, 12, 31)))
def test_a_need_lives_up_to_its_deadline_and_not_a_day_longer(day: datetime.date) -> None:
    number = last_day(need(deadline=day.isoformat()))
    assert number == int(day.strftime("%Y%m%d"))
    assert number < int((day + datetime.timedelta(days=1)).strftime("%Y%m%d"))
