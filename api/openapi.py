"""How the API describes itself; as a program, this writes the description to `FILE`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from api.problems import KINDS, MEDIA_TYPE
from api.schemas import examples
from api.schemas.answered import Problem

TITLE = "科技成果供需匹配"
DESCRIPTION = """\
输入企业技术需求，返回相关的科技成果和专利、关联度、理由、所属专项，以及可以联系的机构。

- 请求和响应均为 UTF-8 编码的 JSON。
- 出错时返回 `application/problem+json`（RFC 9457），`detail` 为中文说明；字段有误时 `errors` 逐项列出。
- 每个响应都带 `X-Request-ID`，反馈问题时请一并提供。
- 除匹配公开的成果和专利外，都须在请求头中带密钥：`Authorization: Bearer 密钥`。
- 不对您公开的记录不会出现在任何结果中，按编号查看也与不存在的一样（404）。
- 写入的请求可带 `Idempotency-Key`，重发不会重复写入；请求过多时返回 429，`Retry-After` 为应等待的秒数。
"""
TAGS = [
    {"name": "匹配", "description": "为需求查找成果、专利和合作机构"},
    {"name": "专项", "description": "七个成果转化专项及自动标注"},
    {"name": "记录", "description": "提交、查看、修改、撤回和导出记录"},
    {"name": "上传", "description": "成批上传文件并查看处理结果"},
    {"name": "标注", "description": "中介对匹配的评价，用于训练排序"},
    {"name": "线索", "description": "中介该联系哪些企业，以及每条线索的进展"},
    {"name": "重复", "description": "可能重复的记录，合并与撤销"},
    {"name": "统计", "description": "按类型、专项、省份计数"},
    {"name": "订阅", "description": "以邮件接收新的匹配"},
    {"name": "账号", "description": "账号、密钥和网页登录"},
    {"name": "运行", "description": "存活、就绪和运行指标"},
]
FILE = Path(__file__).parent / "openapi.json"
FRAMEWORK_ERRORS = ("HTTPValidationError", "ValidationError")
# Of a route that also answers those who have neither key nor session.
WITHOUT_KEY: dict[str, Any] = {
    "security": [{}]
}  # What parameters and fields of forms may be, by name; ids by what they are of.
EXAMPLES: Mapping[str, Any] = {
    "kind": ["achievement"],
    "programme": ["agriculture"],
    "province": ["四川省"],
    "mine": True,
    "limit": 20,
    "min_level": 2,
    "cursor": "MTAyNA",
    "state": "proposed",
    "from": "2026-01-01",
    "to": "2026-12-31",
    "number": 7,
    "status": "negotiating",
    "all": True,
    "format": "xlsx",
    "key_id": "key-1f2e3d4c5b6a",
    "need_id": examples.STORED_NEED["id"],
    "offer_id": examples.ACHIEVEMENT["id"],
    "Idempotency-Key": "2026-03-05-0001",
    "If-Match": '"1024-9f86d081884c7d65"',
    "If-None-Match": '"1024-9f86d081884c7d65"',
}
IDS = {
    "records": examples.ACHIEVEMENT["id"],
    "accounts": "acc-1f2e3d4c5b6a7988",
    "leads": "lead-1f2e3d4c5b6a7988",
    "lead-lists": "list-1f2e3d4c5b6a7988",
    "subscriptions": "sub-1f2e3d4c5b6a7988",
    "uploads": "up-1f2e3d4c5b6a7988",
}
FORM_EXAMPLES: Mapping[str, Any] = {
    "file": "成果名称,成果简介\n鲜银耳热泵烘干工艺,分三段控制温湿度\n",
    "kind": "achievement",
    "visibility": "public",
    "map": ["标题=成果名称"],
}

Documented = dict[int | str, dict[str, Any]]


def problems(*statuses: int) -> Documented:
    """What a route documents about its errors."""
    return {status: {"model": Problem, "description": KINDS[status].title} for status in statuses}


def answers(status: int, **documented: Any) -> Documented:
    """What a route documents about an answer beyond its model."""
    return {status: documented}


class DescribedApi(FastAPI):
    """FastAPI, with errors documented under the media type that they really have."""

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document."""
        fresh = self.openapi_schema is None
        document = super().openapi()
        if fresh:
            for address, path in document["paths"].items():
                for operation in path.values():
                    _correct(operation["responses"])
                    for parameter in operation.get("parameters", []):
                        parameter["example"] = _example(address, parameter["name"])
            schemas = document["components"]["schemas"]
            for name in FRAMEWORK_ERRORS:
                schemas.pop(name, None)
            for name in [name for name in schemas if name.startswith("Body_")]:
                _correct_form(schemas[name])
        return document


def _correct(responses: dict[str, Any]) -> None:
    for status in [status for status in responses if int(status) >= 400]:
        schema = responses[status]["content"]["application/json"]
        # FastAPI adds its own 422 to every route with a parameter; a text in a path is never invalid.
        if schema["schema"]["$ref"].rpartition("/")[2] in FRAMEWORK_ERRORS:
            del responses[status]
        else:
            responses[status]["content"] = {MEDIA_TYPE: schema}


def _correct_form(form: dict[str, Any]) -> None:
    """A field of a form may be left out, and cannot be null."""
    form["description"] = "表单"
    form.pop("title", None)
    for name, field in form["properties"].items():
        options = [one for one in field.pop("anyOf", []) if one != {"type": "null"}]
        form["properties"][name] = field | (options[0] if options else {}) | {"examples": [FORM_EXAMPLES[name]]}


def _example(path: str, name: str) -> Any:
    return IDS[path.split("/")[2]] if name == "id" else EXAMPLES[name]


def as_text(document: Mapping[str, Any]) -> str:
    """The document as it is checked in."""
    return json.dumps(document, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def main() -> None:
    """Write the description anew."""
    from api.app import create_app

    FILE.write_text(as_text(create_app().openapi()), encoding="utf-8")


if __name__ == "__main__":
    main()
