"""The records of the tests, and what several tests check."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from fastapi.testclient import TestClient

from matcher.records import Achievement, Kind
from matcher.rows import StoredRecord

DRYING = "鲜银耳用燃煤烘房烘干，能耗高，耳基发黄，想用热泵分段变温烘干，每天处理五吨鲜耳"
PHONE = "13900001111"
SECRET_WORD = "云芝漆酶"
UNIVERSITY = "蜀北农林大学"
DRYING_BODY = (
    "以闭路热泵代替燃煤，鲜银耳先在三十八度大风量定型，再升至四十八度排湿，最后六十二度烘透耳基，"
    "每公斤干耳耗电六度，比燃煤烘房节能四成，耳基洁白不发黄，日处理鲜耳五吨。"
)

RECORDS: Mapping[Kind, list[Mapping[str, Any]]] = {
    "institution": [
        {"title": UNIVERSITY, "type": "高等院校", "province": "四川省", "city": "绵阳市", "aliases": "蜀北农大"},
    ],
    "achievement": [
        {
            "source_id": "A1",
            "title": "鲜银耳分段变温热泵烘干工艺",
            "abstract": DRYING_BODY,
            "institution": UNIVERSITY,
            "province": "四川省",
            "city": "绵阳市",
            "date": "2023-06",
            "keywords": "银耳;热泵干燥",
            "maturity": "中试",
            "contact": f"张某 {PHONE}",
        },
        {
            "source_id": "A2",
            "title": "鲜银耳分段变温热泵烘干工艺",
            "abstract": DRYING_BODY + "已推广。",
            "institution": "诺水河食用菌研究所",
            "province": "四川省",
            "date": "2021-03",
        },
        {
            "source_id": "A3",
            "title": "核桃青果脱皮清洗烘干一体机",
            "abstract": "钢丝刷差速脱除青皮，气泡清洗，热风烘干，脱净率百分之九十六，每小时处理青果一吨二。",
            "institution": "米仓山农机研究院",
            "province": "陕西省",
            "date": "2020",
        },
        {
            "source_id": "A4",
            "title": "页岩气水平井泡沫排水采气用起泡剂",
            "abstract": "耐盐二十五万毫克每升、耐温一百五十度的起泡剂，携液率高于百分之八十五，用于低压积液气井。",
            "institution": "川东油气装备研究所",
            "province": "重庆市",
            "date": "2022-11-09",
        },
    ],
    "patent": [
        {
            "publication_number": "CN100000001A",
            "title": "一种鲜银耳分段变温烘房",
            "abstract": "包括料车、风道、除湿热泵和称重网盘；依鲜银耳失水率分段升温，避免耳基发黄，降低烘干能耗。",
            "institution": "通江县雾里菌品有限公司",
            "ipc": "F26B9/06;A23B7/02",
            "legal_status": "有效",
            "application_date": "2022-01-04",
            "publication_date": "2023-06-02",
            "inventors": "李某;王某",
        },
        {
            "publication_number": "CN100000002A",
            "title": "球墨铸铁制动盘的重力铸造模具",
            "abstract": "在模具分型面设集渣槽和过滤网座，减少制动盘摩擦面的夹渣和缩松，成品率提高到百分之九十七。",
            "institution": "巴山装备研究院",
            "ipc": "B22C9/06",
        },
    ],
    "need": [
        {
            "source_id": "N1",
            "title": "银耳烘干节能",
            "abstract": DRYING,
            "institution": "通江县雾里菌品有限公司",
            "budget": "八十万元",
            "deadline": "2026-12-31",
            "contact": f"赵某 {PHONE}",
        },
        {
            "source_id": "N2",
            "title": f"{SECRET_WORD}发酵液的膜浓缩",
            "abstract": f"我公司{SECRET_WORD}发酵液浓缩时酶活损失三成，求低温膜浓缩工艺，酶活回收率九成以上。",
            "institution": "雾里云芝生物有限公司",
            "visibility": "不公开",
            "contact": PHONE,
        },
        {
            "source_id": "N3",
            "title": "马尾松松脂加工残渣的脱色",
            "abstract": "松脂蒸馏后残渣色深，求脱色和再利用工艺，色度降到加德纳八号以下。",
            "institution": "南江县松脂化工有限公司",
            "visibility": "仅中介可见",
        },
    ],
}
# Of files, only those of needs can say who may see a record; this one goes into the store directly.
HIDDEN_OFFER = Achievement(
    source="中介",
    source_id="A5",
    title="银耳烘干余热回收装置（仅供中介推介）",
    abstract="回收热泵烘房排湿的余热预热新风，烘干银耳的能耗再降一成半，耳基不发黄。",
    institution="石牛嘴烘干设备厂",
    visibility="intermediaries",
)
HIDDEN_NEEDS = [row for row in RECORDS["need"] if "visibility" in row]
HIDDEN_TITLES = [HIDDEN_OFFER.title, *(row["title"] for row in HIDDEN_NEEDS)]
HIDDEN_OWNERS = ["石牛嘴烘干设备厂", *(row["institution"] for row in HIDDEN_NEEDS)]


def ready(client: TestClient, seconds: float = 60) -> None:
    """Wait until the service can answer."""
    wait_for(lambda: client.get("/readyz").status_code == 200, seconds)


def wait_for(condition: Callable[[], bool], seconds: float = 10) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.01)


def titles(client: TestClient, text: str, **more: Any) -> list[str]:
    """Titles of the matches of a text, whatever their level."""
    answer = client.post("/v1/match", json={"text": text, "min_level": 1, "limit": 100, **more})
    assert answer.status_code == 200, answer.text
    return [match["record"]["title"] for match in answer.json()["matches"]]


def by_title(stored: list[StoredRecord], title: str) -> StoredRecord:
    """The first record with a title."""
    return next(one for one in stored if one.record.title == title)


def assert_problem(answer: Any, status: int) -> dict[str, Any]:
    """Check that an answer is a problem as RFC 9457 and this project want it."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"]
    body: dict[str, Any] = answer.json()
    assert set(body) - {"errors"} == {"type", "title", "status", "detail", "instance"}
    assert body["type"].startswith("urn:matcher:problem:")
    assert body["status"] == status
    for text in (body["title"], body["detail"]):
        assert any("\u4e00" <= character <= "\u9fff" for character in text), text
    for error in body.get("errors", []):
        assert set(error) == {"field", "reason"}
        assert any("\u4e00" <= character <= "\u9fff" for character in error["reason"]), error
    return body
