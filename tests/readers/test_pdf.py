from __future__ import annotations

from pathlib import Path

import pytest

from matcher.errors import UnreadableFile
from matcher.readers import Row, Table, pdf
from matcher.readers.pdf import read_pdf

from . import making
from .making import NEED_FORM
from .support import only, refused, written

FORM = {
    "企业名称": "四川云耳食品有限公司",
    "所属行业": "农产品初加工",
    "联系人": "王某某 0827-0000000",
    "需求名称": "银耳低温烘干降耗",
    "需求描述": "每批烘26小时，能耗偏高，色泽发黄。\n主要技术指标：烘干时间不超过15小时。",
    "拟投入资金(万元)": "80-150",
}


def here(path: Path) -> list[list[dict[str, str]]]:
    """Read a document in this process, its rows table by table."""
    tables = [part for part in read_pdf(path) if isinstance(part, Table)]
    return [[dict(row.values) for row in table.rows if isinstance(row, Row)] for table in tables]


def test_a_ruled_form_with_merged_cells_becomes_one_row(tmp_path: Path) -> None:
    # The font of this PDF has no ticked box, so none of the ways to cooperate is.
    table = only(written(tmp_path, "附件.pdf", making.pdf("企业技术需求征集表", NEED_FORM)))
    assert table.kind == "need"
    assert [dict(row.values) for row in table.rows if isinstance(row, Row)] == [FORM]


def test_a_list_over_several_pages_is_one_table_with_its_wrapped_lines_joined(tmp_path: Path) -> None:
    body = "能耗偏高而且颜色发黄" * 4
    rows = [["需求名称", "需求描述", "企业名称"], *([f"烘干{n}", body, "甲公司"] for n in range(60))]
    (found,) = here(written(tmp_path, "a.pdf", making.pdf("汇总表", rows)))
    assert found == [{"需求名称": f"烘干{n}", "需求描述": body, "企业名称": "甲公司"} for n in range(60)]


def test_lines_with_labels_are_a_form_and_wrapped_ones_are_joined(tmp_path: Path) -> None:
    body = "每批二十六小时而且颜色发黄口感不好" * 6
    lines = ["技术需求表", "一、需求名称：烘干", f"二、需求描述：{body}。", "企业名称：甲公司"]
    assert here(written(tmp_path, "a.pdf", making.pdf(*lines))) == [
        [{"需求名称": "烘干", "需求描述": f"{body}。", "企业名称": "甲公司"}]
    ]


def test_a_row_that_goes_on_over_pages_is_one_value(tmp_path: Path) -> None:
    body = "".join(f"第{n}句：每批烘二十六小时，能耗偏高。" for n in range(150))
    first = [["企业名称", "甲公司"], ["需求名称", "烘干"], ["需求描述", body], ["联系人", "王某"]]
    second = [["企业名称", "乙公司"], ["需求名称", "提纯"], ["需求描述", body], ["联系人", "李某"]]
    (rows,) = here(written(tmp_path, "a.pdf", making.pdf("需求表一", first, "需求表二", second)))
    assert [{**row, "需求描述": row["需求描述"].replace("\n", "")} for row in rows] == [
        {"企业名称": "甲公司", "需求名称": "烘干", "需求描述": body, "联系人": "王某"},
        {"企业名称": "乙公司", "需求名称": "提纯", "需求描述": body, "联系人": "李某"},
    ]


def test_the_numbers_of_pages_are_no_text(tmp_path: Path) -> None:
    lines = ["需求名称：烘干", "需求描述：每批26小时。", "第 1 页 共 2 页", "- 2 -", "3/12", "企业名称：甲公司"]
    assert here(written(tmp_path, "a.pdf", making.pdf(*lines))) == [
        [{"需求名称": "烘干", "需求描述": "每批26小时。", "企业名称": "甲公司"}]
    ]


def test_a_mark_that_stands_behind_a_few_bytes_is_seen(tmp_path: Path) -> None:
    content = b"\r\n" + making.pdf("需求名称：烘干", "企业名称：甲公司")
    assert "需求名称" in only(written(tmp_path, "a.csv", content)).columns


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (making.pdf("关于开会的通知"), "没有找到需求表"),
        (making.pdf(" "), "没有文字"),
        (making.pdf("需求名称：烘干", password="geheim"), "密码"),
        (b"%PDF-1.7\n%\xe2\xe3", "PDF"),
        (making.pdf("需求名称：烘干")[:700], "PDF"),
    ],
)
def test_a_document_without_a_form_is_refused(tmp_path: Path, content: bytes, word: str) -> None:
    assert word in refused(written(tmp_path, "a.pdf", content))


def test_too_many_pages_and_too_dense_pages_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, "a.pdf", making.pdf(*["需求名称：烘干"] * 120))
    monkeypatch.setattr(pdf, "MAX_OBJECTS", 100)
    with pytest.raises(UnreadableFile, match="第 1 页内容太密"):
        list(read_pdf(path))
    monkeypatch.setattr(pdf, "MAX_PAGES", 2)
    with pytest.raises(UnreadableFile, match="超过 2 页"):
        list(read_pdf(path))
