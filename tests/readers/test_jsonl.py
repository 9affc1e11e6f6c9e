import json
from pathlib import Path

import pytest

from matcher.readers import BadRow, Row, jsonl, read_table

from .support import bad, good, refusal, values, written


def test_a_bad_line_is_reported_and_the_rest_goes_on(tmp_path: Path) -> None:
    path = written(tmp_path, "a.jsonl", '{"title": "甲"}\n\n{"title": "乙"\n[1]\n{"title": "丙", "text": "x"}\n')
    table = read_table(path)
    assert table.columns == ("title", "text")
    assert list(table.rows) == [
        Row(1, {"title": "甲"}),
        BadRow(3, "整行", "这一行不是完整的 JSON，请检查括号、引号和逗号", '{"title": "乙"'),
        BadRow(4, "整行", "这里不是 JSON 对象（应写成 {…}）", "[1]"),
        Row(5, {"title": "丙", "text": "x"}),
    ]


@pytest.mark.parametrize("first", ["坏的第一行", '{"title": "断', "[1, 2]"])
def test_a_bad_first_line_is_reported_too(tmp_path: Path, first: str) -> None:
    path = written(tmp_path, "a.jsonl", f'{first}\n{{"title": "甲"}}\n{{"title": "乙"}}\n')
    assert [row.line for row in good(path)] == [2, 3]
    assert [row.line for row in bad(path)] == [1]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk", "utf-16"])
def test_every_usual_encoding_is_read(tmp_path: Path, encoding: str) -> None:
    path = written(tmp_path, "a.jsonl", '{"title": "节能电机"}\n{"title": "谷子品种选育"}\n', encoding)
    assert [row["title"] for row in values(path)] == ["节能电机", "谷子品种选育"]


def test_values_become_text(tmp_path: Path) -> None:
    item = {
        "title": " 甲\r\n乙 ",
        "year": 2023.0,
        "budget": 12.50,
        "number": 123456789012345678901234567890,
        "open": True,
        "nothing": None,
        "blank": "  ",
        "ipc": ["H02K", " ", "H02P", 3],
        "institution": {"name": "某所", "address": {"city": "太原"}, "none": None},
        "inventors": [{"name": "张三", "age": 50}, {"name": "李四"}],
        "not_a_number": float("nan"),
        "": "无名",
    }
    assert values(written(tmp_path, "a.jsonl", json.dumps(item))) == [
        {
            "title": "甲\n乙",
            "year": "2023",
            "budget": "12.5",
            "number": "123456789012345678901234567890",
            "open": "是",
            "ipc": "H02K；H02P；3",
            "institution.name": "某所",
            "institution.address": "太原",
            "inventors": "张三 50；李四",
        }
    ]


def test_digits_are_kept_as_written(tmp_path: Path) -> None:
    assert values(written(tmp_path, "a.jsonl", '{"title": "a", "x": 0.10, "y": 7.00, "z": 1e5}')) == [
        {"title": "a", "x": "0.10", "y": "7", "z": "1e5"}
    ]


def test_half_a_surrogate_pair_does_not_get_into_the_text(tmp_path: Path) -> None:
    assert values(written(tmp_path, "a.jsonl", r'{"title": "a\ud800b"}')) == [{"title": "ab"}]


def test_an_array_of_objects_gives_the_line_of_each(tmp_path: Path) -> None:
    path = written(tmp_path, "a.json", '[\n  {"title": "甲"},\n  {\n    "title": "乙"\n  },\n  3\n]\n')
    assert list(read_table(path).rows) == [
        Row(2, {"title": "甲"}),
        Row(3, {"title": "乙"}),
        BadRow(6, "整行", "这里不是 JSON 对象（应写成 {…}）", "3\n]"),
    ]


def test_an_array_on_one_line_is_read(tmp_path: Path) -> None:
    assert len(good(written(tmp_path, "a.txt", '[{"title": "甲"}, {"title": "乙"}]'))) == 2


@pytest.mark.parametrize("rest", ['{"title": "断', '{"title": "x"} {', ""])
def test_a_broken_array_keeps_what_came_before_the_fault(tmp_path: Path, rest: str) -> None:
    path = written(tmp_path, "a.json", f'[{{"title": "甲"}},\n{rest}')
    assert values(path)[0] == {"title": "甲"}
    assert "没有读入" in bad(path)[0].reason


@pytest.mark.parametrize("indent", [None, 2])
def test_an_object_around_one_list_of_objects_is_opened(tmp_path: Path, indent: int | None) -> None:
    whole = {"code": 0, "data": [{"title": "甲", "data": 1}, {"title": "乙"}], "page": {"size": 2}}
    assert [row["title"] for row in values(written(tmp_path, "a.json", json.dumps(whole, indent=indent)))] == [
        "甲",
        "乙",
    ]


@pytest.mark.parametrize("indent", [None, 2])
def test_a_single_record_with_a_list_inside_stays_a_record(tmp_path: Path, indent: int | None) -> None:
    item = {"title": "甲", "inventors": [{"name": "张三"}]}
    assert values(written(tmp_path, "a.json", "\n" + json.dumps(item, indent=indent))) == [
        {"title": "甲", "inventors": "张三"}
    ]


def test_two_lists_of_objects_are_refused_by_name(tmp_path: Path) -> None:
    message = refusal(written(tmp_path, "a.json", '{"left": [{"a": 1}], "right": [{"a": 1}]}'))
    assert "left、right" in message


@pytest.mark.parametrize("content", ["[]", "{}", "123", "不是 JSON", '{"data": []}', "[1, 2]", "{\n1", '{"a": 1} x'])
def test_json_without_objects_is_refused(tmp_path: Path, content: str) -> None:
    assert "JSON" in refusal(written(tmp_path, "a.json", content))


def test_nesting_without_end_is_no_crash(tmp_path: Path) -> None:
    deep = "[" * 100_000
    assert "JSON" in refusal(written(tmp_path, "a.json", deep))
    path = written(tmp_path, "b.jsonl", f'{{"title": "甲"}}\n{{"title": {deep}\n')
    assert [row.line for row in bad(path)] == [2]
    nested = "[" * 50 + '"x"' + "]" * 50
    assert values(written(tmp_path, "c.jsonl", f'{{"title": "甲", "deep": {nested}}}')) == [{"title": "甲"}]


def test_a_document_too_large_for_memory_is_refused_but_lines_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jsonl, "MAX_DOCUMENT_BYTES", 10)
    assert "JSON" in refusal(written(tmp_path, "a.json", '[{"title": "甲"}]'))
    assert "512 MB" in refusal(written(tmp_path, "b.json", '{"data": [{"title": "甲"}]}'))
    path = written(tmp_path, "c.jsonl", '坏\n{"title": "甲"}\n')
    assert len(good(path)) == len(bad(path)) == 1


def test_a_key_that_comes_late_is_still_a_column(tmp_path: Path) -> None:
    path = written(tmp_path, "a.jsonl", '{"title": "甲"}\n' * 5000 + '{"title": "乙", "late": 1}\n')
    assert read_table(path).columns == ("title", "late")


def test_a_table_whose_first_name_is_in_brackets_is_no_json(tmp_path: Path) -> None:
    assert values(written(tmp_path, "a.csv", "[编号],名称\n1,甲\n")) == [{"[编号]": "1", "名称": "甲"}]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "gb18030", "utf-16", "utf-16-le", "utf-16-be"])
def test_json_is_known_in_any_encoding_and_under_any_name(tmp_path: Path, encoding: str) -> None:
    path = written(tmp_path, "导出.txt", '[{"成果名称": "甲", "编号": 1}]', encoding)
    assert values(path) == [{"成果名称": "甲", "编号": "1"}]
