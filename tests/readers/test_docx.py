from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from matcher.errors import UnreadableFile
from matcher.readers import Row
from matcher.readers.docx import read_docx

from .making import NEED_FORM, WORD, docx, paragraph, word_table, zipped
from .support import only, parts, refused, written

FORM = {
    "企业名称": "四川云耳食品有限公司",
    "所属行业": "农产品初加工",
    "联系人": "王某某 0827-0000000",
    "需求名称": "银耳低温烘干降耗",
    "需求描述": "每批烘26小时，能耗偏高，色泽发黄。\n主要技术指标：烘干时间不超过15小时。",
    "拟投入资金(万元)": "80-150",
    "合作方式": "技术开发",
}


def here(path: Path) -> list[dict[str, str]]:
    """Read the forms of a document in this process."""
    return [dict(row.values) for part in read_docx(path) for row in part.rows if isinstance(row, Row)]  # type: ignore[union-attr]


def test_a_form_with_merged_cells_and_boxes_becomes_one_row(tmp_path: Path) -> None:
    content = docx(paragraph("企业技术需求征集表"), word_table(NEED_FORM), paragraph("填表日期：2024年3月5日"))
    table = only(written(tmp_path, "附件.docx", content))
    assert (table.name, table.kind, table.note) == ("", "need", "")
    assert [dict(row.values) for row in table.rows if isinstance(row, Row)] == [{**FORM, "填表日期": "2024年3月5日"}]


def test_several_forms_and_a_list_in_one_document(tmp_path: Path) -> None:
    second = [[cell and cell.replace("银耳低温烘干降耗", "石墨提纯") for cell in row] for row in NEED_FORM]
    rows = [["序号", "需求名称", "企业名称"], ["1", "核桃脱皮", "某厂"]]
    between = paragraph("需求表二"), paragraph("汇总")
    content = docx(word_table(NEED_FORM), between[0], word_table(second), between[1], word_table(rows))
    found = parts(written(tmp_path, "a.docx", content))
    assert list(found) == ["", "表格1"]
    assert [row["需求名称"] for row in found[""] if isinstance(row, dict)] == ["银耳低温烘干降耗", "石墨提纯"]
    assert found["表格1"] == [{"序号": "1", "需求名称": "核桃脱皮", "企业名称": "某厂"}]


def test_what_word_wraps_around_text_does_not_matter(tmp_path: Path) -> None:
    def cell(content: str) -> str:
        return f"<w:tc><w:tcPr/>{content}</w:tc>"

    def text(value: str) -> str:
        return f"<w:r><w:t>{value}</w:t></w:r>"

    def line(content: str) -> str:
        return cell(f"<w:p>{content}</w:p>")

    def row(*cells: str) -> str:
        return f"<w:tr>{''.join(cells)}</w:tr>"

    def box(state: str) -> str:
        checked = f"<w:checkBox><w:checked{state}/></w:checkBox>"
        return f"<w:r><w:fldChar><w:ffData>{checked}</w:ffData></w:fldChar></w:r>"

    def wingdings(code: str) -> str:
        return f'<w:r><w:sym w:font="Wingdings" w:char="F0{code}"/></w:r>'

    revised = line(f"{text('银耳')}<w:del>{text('旧')}</w:del><w:ins>{text('烘干')}</w:ins>")
    controlled = row(line(text("需求名称")), f"<w:sdt><w:sdtContent>{revised}</w:sdtContent></w:sdt>")
    ticked = line(box("") + text("开发") + box(' w:val="0"') + text("转让"))
    signs = line(wingdings("A8") + text("公开") + wingdings("FE") + text("不公开"))
    inner = cell(f"<w:tbl>{row(line(text('内表')))}</w:tbl>{paragraph('慢')}")
    link = line(f"<w:hyperlink>{text('甲')}</w:hyperlink>{text('厂')}")
    rows = [
        f"<w:sdt><w:sdtContent>{controlled}</w:sdtContent></w:sdt>",
        *(row(line(text("合作方式")), ticked), row(line(text("公开方式")), signs)),
        *(row(line(text("需求描述")), inner), row(line(text("企业名称")), link)),
    ]
    table = f"<w:tbl>{''.join(rows)}</w:tbl>"
    assert here(written(tmp_path, "a.docx", docx(table))) == [
        {"需求名称": "银耳烘干", "合作方式": "开发", "公开方式": "不公开", "需求描述": "内表\n慢", "企业名称": "甲厂"}
    ]


def test_a_document_saved_as_strict_open_xml_is_read_too(tmp_path: Path) -> None:
    path = written(tmp_path, "a.docx", docx(word_table(NEED_FORM)))
    with zipfile.ZipFile(path) as archive:
        body = archive.read("word/document.xml").decode()
    strict = body.replace(WORD, "http://purl.oclc.org/ooxml/wordprocessingml/main")
    assert here(written(tmp_path, "b.docx", zipped({"word/document.xml": strict}))) == [FORM]


def test_macros_are_not_run_and_the_user_is_told(tmp_path: Path) -> None:
    content = docx(word_table(NEED_FORM), more={"word/vbaProject.bin": b"Sub AutoOpen()"})
    assert "宏没有运行" in only(written(tmp_path, "a.docm", content)).note


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (docx(paragraph("关于开会的通知"), paragraph("请按时参加。")), "没有找到需求表"),
        (docx(), "没有找到需求表"),
        (zipped({"word/document.xml": "<w:document"}), "损坏"),
        (zipped({"word/document.xml": ""}), "损坏"),
        (docx(paragraph("x"))[:-100], "损坏"),
        (zipped({"word/document.xml": '<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>'}), "DTD"),
        (zipped({"word/document.xml": '<!DOCTYPE x SYSTEM "file:///etc/passwd"><x/>'}), "DTD"),
    ],
)
def test_a_document_without_a_form_is_refused(tmp_path: Path, content: bytes, word: str) -> None:
    assert word in refused(written(tmp_path, "a.docx", content))


def test_entities_that_grow_are_refused_at_once(tmp_path: Path) -> None:
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    body = f'<!DOCTYPE x [<!ENTITY l0 "lol">{laughs}]><x a="&l9;">&l9;</x>'
    with pytest.raises(UnreadableFile):
        list(read_docx(written(tmp_path, "a.docx", zipped({"word/document.xml": body}))))


def test_spans_out_of_measure_are_cut(tmp_path: Path) -> None:
    cell = f'<w:tc><w:tcPr><w:gridSpan w:val="99999"/></w:tcPr>{paragraph("需求名称：烘干")}</w:tc>'
    row = f"<w:tr>{cell}</w:tr>"
    assert here(written(tmp_path, "a.docx", docx(f"<w:tbl>{row * 100}</w:tbl>")))[0] == {"需求名称": "烘干"}
    with pytest.raises(UnreadableFile, match="万格"):
        list(read_docx(written(tmp_path, "b.docx", docx(f"<w:tbl>{row * 4000}</w:tbl>"))))
