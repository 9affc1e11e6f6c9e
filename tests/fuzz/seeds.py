"""Small valid files of every format, from which the fuzzing makes its inputs."""

from __future__ import annotations

import json
from collections.abc import Mapping

from matcher.readers.formats import FORMATS
from tests.readers import making

_ROWS = [
    ["成果编号", "成果名称", "成果简介", "完成单位", "完成时间", "省份", "公开范围"],
    [
        "1",
        "银耳烘干",
        "每批20小时，“两段”控温。\n能耗低。",
        "四川农业大学；米仓山农科所",
        "2023年6月",
        "四川省",
        "公开",
    ],
    ["2", "石墨提纯", "纯度99.95%。", "川北矿冶研究院", "2022", "", ""],
]
_NEEDS = [["需求名称", "需求描述", "企业名称", "拟投入资金"], ["烘干降耗", "能耗偏高。", "云耳公司", "80-150万元"]]
_LINES = ["技术需求表", "一、需求名称：烘干", "二、需求描述：每批26小时，能耗偏高。", "企业名称：甲公司    联系人：王"]


def _csv(delimiter: str) -> str:
    return "\n".join(delimiter.join(f'"{cell}"' if "\n" in cell else cell for cell in row) for row in _ROWS)


def _delimited() -> list[bytes]:
    text = _csv(",")
    encodings = ("utf-8", "utf-8-sig", "gb18030", "utf-16", "utf-16-be", "big5hkscs")
    others = [_csv("\t").encode(), _csv(";").encode("gbk"), "成果名称\n甲\n乙\n".encode()]
    return [text.encode(encoding, "replace") for encoding in encodings] + others


def _objects() -> list[dict[str, object]]:
    rows: list[dict[str, object]] = [dict(zip(_ROWS[0], row, strict=True)) for row in _ROWS[1:]]
    rows[0]["单位"] = {"名称": "四川农业大学", "标签": ["食用菌", 1, None, True, 2.5e10]}
    return rows


def _json() -> list[bytes]:
    rows = _objects()
    return [
        json.dumps(rows, ensure_ascii=False, indent=1).encode(),
        json.dumps({"total": 2, "data": rows}, ensure_ascii=False).encode("gb18030"),
        json.dumps(rows[0], indent=2).encode("utf-16"),
    ]


def _jsonl() -> list[bytes]:
    return ["\n".join(json.dumps(row, ensure_ascii=False) for row in _objects()).encode()]


def _workbooks() -> list[bytes]:
    typed = [["成果名称", "年度", "合格"], ["甲", 2023.5, True], ["=1+1", None, "#N/A"]]
    old = [["成果名称", "完成单位", "年度"], ["甲", "某所", 2023.0]]
    return [
        making.xlsx(_ROWS, _NEEDS),
        making.xlsx(typed, [["说明"], ["一句话"]]),
        making.xlsx(making.NEED_FORM),
        making.xls(old, _NEEDS),
        making.xls([["某某汇总表"], *old]),
    ]


def _documents() -> list[bytes]:
    list_ = making.word_table([["序号", "需求名称", "企业名称"], ["1", "脱皮", "某厂"], ["2", "提纯", "某矿"]])
    return [
        making.docx(making.paragraph("企业技术需求征集表"), making.word_table(making.NEED_FORM)),
        making.docx(*map(making.paragraph, _LINES), list_),
    ]


def _pdfs() -> list[bytes]:
    list_ = [["序号", "需求名称", "企业名称"], ["1", "脱皮", "某厂"], ["2", "提纯", "某矿"]]
    return [
        making.pdf("企业技术需求征集表", making.NEED_FORM),
        making.pdf(*_LINES, list_, is_compressed=False),
        making.pdf(*_LINES, password="geheim"),
    ]


def _archives() -> list[bytes]:
    members: dict[str, bytes | str] = {
        "成果.csv": _csv(","),
        "汇总/表.xlsx": making.xlsx(_NEEDS),
        "需求.docx": _documents()[0],
        "专利.xml": making.ST36,
        "图.png": b"\x89PNG\r\n\x1a\n",
    }
    return [making.zipped(members), making.zipped({"a.csv": _csv(","), "里.zip": making.zipped({"b.csv": "x"})}, 0)]


def seeds() -> Mapping[str, list[bytes]]:
    """Give the files to begin with, by format; every format that is registered has some."""
    found = {
        "delimited": _delimited(),
        "jsonl": _jsonl(),
        "json": _json(),
        "workbook": _workbooks(),
        "docx": _documents(),
        "pdf": _pdfs(),
        "xml": [making.ST36.encode(), making.st96(2), making.st96(1, "GBK"), making.st96(1, "UTF-16")],
        "zip": _archives(),
    }
    assert found.keys() == {*FORMATS, "zip"}, "a format without anything to begin with"
    return found
