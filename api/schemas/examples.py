"""The examples that the API's description shows; institutions and numbers are invented."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict

Example = dict[str, Any]

NEED: Example = {
    "title": "银耳烘干能耗偏高、耳基发黄的工艺改进",
    "text": "现用燃煤热风烘房，鲜银耳含水率约 85%，每公斤干耳耗煤 3.2 公斤，烘到后段耳基容易发黄。"
    "希望能耗下降三成以上，耳基不发黄，日处理鲜耳 5 吨。",
}
FILTERS: Example = {"kinds": ["achievement"], "programmes": ["agriculture", "food"], "provinces": ["四川省"]}
MATCH_REQUEST: Example = {
    **NEED,
    "filters": {"provinces": ["四川省", "重庆市"]},
    "limit": 10,
    "min_level": 2,
    "enterprise": "通江县雾里菌品有限公司",
}
PARTNERS_REQUEST: Example = {**NEED, "limit": 3}
TAG_ITEM_REQUEST: Example = {"id": "1", "text": NEED["text"]}
TAG_REQUEST: Example = {"items": [TAG_ITEM_REQUEST]}

INSTITUTION_REF: Example = {"id": "org-7d3hq5zt2wk4a", "name": "蜀北农林大学"}
COMMON: Example = {
    "institution": INSTITUTION_REF,
    "province": "四川省",
    "city": "绵阳市",
    "county": None,
    "region_code": "510700",
    "date": "2023-06",
    "keywords": ["银耳", "热泵干燥"],
    "url": None,
}
ACHIEVEMENT: Example = {
    "id": "ach-4kq2m7x3vbn5e",
    "kind": "achievement",
    "kind_name": "科技成果",
    "state": "active",
    "merged_into": None,
    "title": "鲜银耳分段变温热泵烘干工艺",
    "abstract": "以热泵代替燃煤，分三段控制温湿度，每公斤干耳耗电 4.1 度，耳基洁白。",
    **COMMON,
    "maturity": "中试",
    "cooperation": "技术许可",
    "status": None,
}
PATENT: Example = {
    "id": "pat-2fj6s4r5ptq3c",
    "kind": "patent",
    "kind_name": "专利",
    "state": "active",
    "merged_into": None,
    "title": "一种鲜银耳热泵烘房",
    "abstract": "本发明公开了一种鲜银耳热泵烘房，包括料车、风道和除湿热泵。",
    **COMMON,
    "publication_number": "CN100000001A",
    "application_number": "202210000001.1",
    "ipc": ["F26B9/06"],
    "legal_status": "有效",
    "application_date": "2022-01-04",
    "publication_date": "2023-06-02",
    "inventors": ["张某"],
}
STORED_NEED: Example = {
    "id": "need-5c2vt4m6hx3qa",
    "kind": "need",
    "kind_name": "技术需求",
    "state": "active",
    "merged_into": None,
    "title": NEED["title"],
    "abstract": NEED["text"],
    **COMMON,
    "institution": {"id": "org-3x5wq7n2jd4ta", "name": "通江县雾里菌品有限公司"},
    "industry": "农副食品加工业",
    "budget": "80 万元",
    "budget_min": 800_000,
    "budget_max": 800_000,
    "negotiable": False,
    "cooperation": "合作开发",
    "deadline": "2026-12-31",
    "expires": None,
}
INSTITUTION: Example = {
    "id": INSTITUTION_REF["id"],
    "kind": "institution",
    "kind_name": "机构",
    "state": "active",
    "merged_into": None,
    "title": INSTITUTION_REF["name"],
    "abstract": "设有农产品加工、林学等学院。",
    **COMMON,
    "institution": None,
    "type": "高等院校",
    "aliases": ["蜀北农大"],
}
PROGRAMME_SCORE: Example = {"code": "agriculture", "name": "现代农业", "score": 0.93}
TAG: Example = {
    **PROGRAMME_SCORE,
    "terms": ["银耳", "烘干"],
    "topic": "果蔬、粮食等鲜活农产品的采后处理、贮藏保鲜与产地初加工",
}
QUERY: Example = {"programmes": [TAG], "terms": ["耳基", "银耳", "烘干"]}
VARIANT: Example = {"id": PATENT["id"], "kind": "patent", "title": PATENT["title"]}
WHY: Example = {
    "sentence": "双方都提到耳基、银耳、烘干；全文语义相近、标题语义相近。",
    "terms": ["耳基", "银耳", "烘干"],
    "passage": ACHIEVEMENT["abstract"],
    "features": {"body_cosine": 1.31, "word_overlap": 0.87},
}
MATCH: Example = {
    "rank": 1,
    "score": 0.91,
    "level": 4,
    "level_name": "强相关",
    "record": ACHIEVEMENT,
    "programmes": [PROGRAMME_SCORE],
    "variants": [VARIANT],
    "why": WHY,
}
PARTNER_INSTITUTION: Example = {**INSTITUTION_REF, "type": "高等院校", "province": "四川省", "city": "绵阳市"}
PARTNER: Example = {
    "institution": PARTNER_INSTITUTION,
    "score": 0.64,
    "why": "有 2 项相关成果或专利，其中《鲜银耳分段变温热泵烘干工艺》为强相关，最近一项为 2023 年。",
    "evidence": [ACHIEVEMENT["id"], PATENT["id"]],
}
INDEX: Example = {"generation": 12, "records": 4521}
MATCH_ANSWER: Example = {
    "query": QUERY,
    "matches": [MATCH],
    "partners": [PARTNER],
    "message": None,
    "index": INDEX,
    "took_ms": 52.4,
}
PARTNERS_ANSWER: Example = {"partners": [PARTNER]}
TAGGED_ITEM: Example = {"id": "1", "programmes": [TAG]}
TAG_ANSWER: Example = {"items": [TAGGED_ITEM]}
PROGRAMME: Example = {
    "code": "agriculture",
    "name": "现代农业",
    "definition": "农作物、果树、茶叶、食用菌、畜禽、水产的新品种和种养技术，病虫害与疫病防控，农产品产地储运保鲜。",
    "topics": ["食用菌菌种、栽培基质与出菇管理，菌袋杂菌污染防控"],
}
PROGRAMMES_ANSWER: Example = {"programmes": [PROGRAMME]}
ALIVE: Example = {"status": "ok"}
READY: Example = {"status": "ready", "index": INDEX}
FIELD_PROBLEM: Example = {"field": "limit", "reason": "不能大于 100"}
PROBLEM: Example = {
    "type": "urn:matcher:problem:invalid-request",
    "title": "请求内容有误",
    "status": 422,
    "detail": "limit：不能大于 100。",
    "instance": "/v1/match",
    "errors": [FIELD_PROBLEM],
}


def with_programmes(record: Example) -> Example:
    """A record as it is shown by itself."""
    return record | {"programmes": [PROGRAMME_SCORE], "own": None}


RECORD_ANSWER = with_programmes(ACHIEVEMENT)
OWN: Example = {"visibility": "public", "source_id": "CG-2023-018", "contact": "科技处，0827-0000000"}
ACHIEVEMENT_REQUEST: Example = {
    "kind": "achievement",
    "title": ACHIEVEMENT["title"],
    "abstract": ACHIEVEMENT["abstract"],
    "institution": INSTITUTION_REF["name"],
    "province": "四川省",
    "date": "2023-06",
    "keywords": ["银耳", "热泵干燥"],
    "maturity": "中试",
}
PATENT_REQUEST: Example = {
    "kind": "patent",
    "title": PATENT["title"],
    "abstract": PATENT["abstract"],
    "institution": INSTITUTION_REF["name"],
    "publication_number": PATENT["publication_number"],
    "ipc": PATENT["ipc"],
}
NEED_REQUEST: Example = {
    "kind": "need",
    "title": NEED["title"],
    "abstract": NEED["text"],
    "institution": "通江县雾里菌品有限公司",
    "budget": "50-100万元",
    "deadline": "2030-12-31",
    "visibility": "intermediaries",
    "contact": "生产部，0827-0000000",
}
INSTITUTION_REQUEST: Example = {
    "kind": "institution",
    "title": INSTITUTION["title"],
    "type": INSTITUTION["type"],
    "aliases": INSTITUTION["aliases"],
}
FACETS: Example = {
    "kinds": [{"value": "achievement", "name": "科技成果", "count": 120}],
    "programmes": [{"value": "agriculture", "name": "现代农业", "count": 34}],
    "provinces": [{"value": "四川省", "name": "四川省", "count": 88}],
}
STATISTICS: Example = {
    "records": {"achievement": 120, "patent": 4097, "need": 37, "institution": 15},
    "own": {"achievement": 0, "patent": 0, "need": 2, "institution": 0},
    "judgements": 0,
    "generation": 12,
}
CHANGE: Example = {
    "at": "2026-03-05T08:00:00+00:00",
    "by": "您",
    "action": "update",
    "action_name": "修改",
    "fields": ["abstract", "visibility"],
}


def shown(description: str, example: Example) -> ConfigDict:
    """A model's configuration: exactly its fields of exactly their types, described in Chinese, with an example."""
    return ConfigDict(
        extra="forbid", strict=True, json_schema_extra={"description": description, "examples": [example]}
    )
