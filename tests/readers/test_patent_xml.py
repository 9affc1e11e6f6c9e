from __future__ import annotations

from pathlib import Path

import pytest

from matcher.errors import UnreadableFile
from matcher.readers import BadRow, Row, patent_xml

from .making import ST36, st96
from .support import bad, good, only, refused, values, written


def test_a_patent_of_st36_is_read_with_its_bibliographic_data(tmp_path: Path) -> None:
    table = only(written(tmp_path, "a.xml", ST36))
    assert (table.kind, table.columns) == ("patent", patent_xml.COLUMNS)
    assert list(table.rows) == [
        Row(
            3,
            {
                "公开（公告）号": "CN199100001A",
                "申请号": "CN202110000001.2",
                "标题": "一种银耳干燥箱",
                "摘要": "包括箱体和热泵。\n能耗低。",
                "申请（专利权）人": "蜀北农林大学；四川云耳食品有限公司",
                "发明人": "甲某；乙某",
                "IPC分类号": "F26B9/06；A23B7/02",
                "法律状态": "实质审查",
                "申请日": "20210416",
                "公开（公告）日": "20220501",
                "申请人地址": "四川省巴中市恩阳区某路1号",
            },
        )
    ]


@pytest.mark.parametrize("encoding", ["UTF-8", "GBK", "GB18030", "UTF-16"])
def test_several_patents_of_st96_in_one_file_in_any_encoding(tmp_path: Path, encoding: str) -> None:
    found = values(written(tmp_path, "a.xml", st96(3, encoding)))
    assert [row["标题"] for row in found] == ["一种石墨提纯炉1", "一种石墨提纯炉2", "一种石墨提纯炉3"]
    assert found[0] == {
        "公开（公告）号": "CN199100001B",
        "申请号": "202200000001",
        "标题": "一种石墨提纯炉1",
        "摘要": "包括炉体。",
        "申请（专利权）人": "川北矿冶研究院",
        "IPC分类号": "C01B32/21",
        "申请日": "20220416",
        "公开（公告）日": "20230501",
    }


def test_a_file_that_breaks_off_keeps_the_patents_before(tmp_path: Path) -> None:
    content = st96(3)
    path = written(tmp_path, "a.xml", content[: content.index("提纯炉3".encode())])
    assert len(good(path)) == 2
    (row,) = bad(path)
    assert "从这里起不是完整的 XML" in row.reason


def test_a_file_of_any_length_is_streamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patent_xml, "CHUNK_BYTES", 1000)
    monkeypatch.setattr(patent_xml, "MAX_RECORD_BYTES", 10_000)
    path = written(tmp_path, "a.xml", st96(200))
    rows = [row for part in patent_xml.read_patent_xml(path) for row in part.rows]  # type: ignore[union-attr]
    assert len(rows) == 200
    assert not any(isinstance(row, BadRow) for row in rows)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ('<?xml version="1.0"?><books><book>x</book></books>', "没有找到专利"),
        ('<?xml version="1.0"?><patents></patents>', "没有找到专利"),
        ('<?xml version="1.0"?><Workbook/>', "网页"),
        ('<?xml version="1.0"?><!-- x --><html><p/></html>', "网页"),
        ('<?xml version="1.0"?><patent-document>', "不完整"),
        ('<?xml version="1.0"?>', "不完整"),
    ],
)
def test_xml_without_patents_is_refused(tmp_path: Path, content: str, word: str) -> None:
    assert word in refused(written(tmp_path, "a.xml", content))


def entities(definitions: str, use: str) -> str:
    dtd = f'<?xml version="1.0"?><!DOCTYPE patents [{definitions}]>'
    return f"{dtd}<patents><patent-document><invention-title>{use}</invention-title></patent-document></patents>"


LAUGHS = '<!ENTITY l0 "lol">' + "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))


@pytest.mark.parametrize(
    "content",
    [
        entities(LAUGHS, "&l11;"),
        entities(LAUGHS, "x").replace("<patents>", '<patents a="&l11;">'),
        entities('<!ENTITY x SYSTEM "file:///etc/passwd">', "&x;"),
        entities('<!ENTITY % x SYSTEM "http://127.0.0.1:9/x.dtd"> %x;', "甲"),
        entities('<!ENTITY x "乙">', "甲"),
    ],
)
def test_entities_are_refused_whatever_they_are_for(tmp_path: Path, content: str) -> None:
    assert "XML" in refused(written(tmp_path, "a.xml", content))


def test_a_single_patent_out_of_measure_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    big = ST36.replace("<p>说明书全文。</p>", "<p>说明书全文。</p>" * 100_000)
    monkeypatch.setattr(patent_xml, "MAX_RECORD_BYTES", 1_000_000)
    with pytest.raises(UnreadableFile, match="没有专利"):
        list(patent_xml.read_patent_xml(written(tmp_path, "a.xml", big)))


def test_depth_out_of_measure_is_a_fault_of_the_file(tmp_path: Path) -> None:
    deep = f'<?xml version="1.0"?><patent-document>{"<a>" * 100_000}'
    assert "XML" in refused(written(tmp_path, "a.xml", deep))
