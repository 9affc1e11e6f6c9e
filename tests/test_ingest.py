from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import openpyxl
import pytest

from matcher.errors import UnknownColumn, UnreadableFile
from matcher.ingest import BATCH, REJECT_COLUMNS, IngestReport, ingest_file
from matcher.readers import MAX_FILE_BYTES
from matcher.records import ABSTRACT_LIMIT, KINDS, Achievement, Institution, Kind, Need, Patent, Record
from matcher.settings import Settings
from matcher.store import Store
from tests.readers.making import NEED_FORM, ST36, docx, word_table, xlsx, zipped

# Column names and values as platforms export them.
ACHIEVEMENTS = [
    ["成果名称", "成果简介", "完成单位", "联系人", "完成时间", "所属阶段"],
    [
        "银耳低温烘干技术",
        "每批20小时，“两段”控温。",
        "四川农业大学；米仓山农科所",
        "张三 0827-0000000",
        "2023年6月",
        "中试",
    ],
    ["石墨提纯工艺", "纯度99.95%。", "川北矿冶研究院", "李四", "2022", "小试"],
]
PATENTS = [
    ["公开（公告）号", "标题", "摘要", "申请（专利权）人", "IPC分类号", "法律状态", "申请日"],
    ["CN 199100000 B", "一种干燥箱", "包括箱体。", "蜀北农林大学", "F26B9/06; A23B7/02", "有效", "2021-04-16"],
    ["CN199100001A", "一种提纯炉", "包括炉体。", "Foo Co., Ltd.", "C01B32/21", "审中", "20220501"],
]
NEEDS = [
    ["需求名称", "需求描述", "企业名称", "所属行业", "拟投入资金", "合作方式", "截止日期", "公开范围"],
    [
        "银耳烘干降耗",
        "能耗偏高。",
        "四川云耳公司",
        "农产品初加工",
        "80-150万元",
        "技术开发",
        "2027-06-30",
        "仅中介可见",
    ],
    ["石墨除铁", "铁杂质偏高。", "川北石墨公司", "非金属矿", "50万", "合作开发", "长期有效", ""],
]
INSTITUTIONS = [
    ["机构名称", "机构类型", "省份", "城市", "机构简介", "简称"],
    ["米仓山特色农业科学研究所", "科研院所", "四川省", "巴中市", "主攻食用菌。", "米仓山农科所"],
]
EXPORTS: dict[Kind, tuple[str, list[list[str]]]] = {
    "achievement": ("成果导出", ACHIEVEMENTS),
    "patent": ("专利导出", PATENTS),
    "need": ("需求导出", NEEDS),
    "institution": ("机构导出", INSTITUTIONS),
}


def as_csv(path: Path, rows: Sequence[Sequence[str]], encoding: str = "utf-8") -> Path:
    with path.open("w", encoding=encoding, newline="") as file:
        csv.writer(file).writerows(rows)
    return path


def as_xlsx(path: Path, rows: Sequence[Sequence[str]]) -> Path:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in rows:
        sheet.append(list(row))
    book.save(path)
    return path


def as_jsonl(path: Path, rows: Sequence[Sequence[str]]) -> Path:
    lines = (json.dumps(dict(zip(rows[0], row, strict=True)), ensure_ascii=False) for row in rows[1:])
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


FORMATS: dict[str, Callable[[Path, Sequence[Sequence[str]]], Path]] = {
    "csv": as_csv,
    "bom.csv": lambda path, rows: as_csv(path, rows, "utf-8-sig"),
    "gbk.csv": lambda path, rows: as_csv(path, rows, "gbk"),
    "gb18030.csv": lambda path, rows: as_csv(path, rows, "gb18030"),
    "xlsx": as_xlsx,
    "jsonl": as_jsonl,
}


class Desk:
    """Where one test brings its files in."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.store = store
        self.folder = folder
        self.rejects_folder = folder / "home" / "rejects"

    def file(self, name: str, rows: Sequence[Sequence[str]]) -> Path:
        return as_csv(self.folder / name, rows)

    def bring(
        self,
        path: Path,
        kind: Kind | None = None,
        overrides: Mapping[str, str] | None = None,
        source: str | None = None,
    ) -> IngestReport:
        return ingest_file(self.store, path, self.rejects_folder, kind, overrides, source)

    def records(self, kind: Kind | None = None) -> list[Record]:
        return [each.record for each in self.store.records(kind) if each.record.source != "owner"]

    def rejects(self, report: IngestReport) -> list[dict[str, str]]:
        assert report.rejects_file
        assert report.rejects_file.parent == self.rejects_folder
        with report.rejects_file.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
        assert reader.fieldnames == list(REJECT_COLUMNS)
        return rows


@pytest.fixture
def desk(store: Store, tmp_path: Path) -> Desk:
    return Desk(store, tmp_path)


def outcome(report: IngestReport) -> tuple[int, ...]:
    return (report.read, *(report.counts[name] for name in ("added", "updated", "unchanged", "rejected")))


# ---------------------------------------------------------------- what comes in


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("kind", KINDS)
def test_an_export_of_any_kind_goes_in_from_any_format(desk: Desk, kind: Kind, suffix: str) -> None:
    name, rows = EXPORTS[kind]
    report = desk.bring(FORMATS[suffix](desk.folder / f"{name}.{suffix}", rows))
    number = len(rows) - 1
    assert (report.kind, outcome(report)) == (kind, (number, number, 0, 0, 0))
    assert report.rejects_file is None
    assert not desk.rejects_folder.exists()
    assert [record.title for record in desk.records(kind)] == [row[1 if kind == "patent" else 0] for row in rows[1:]]


def test_the_columns_of_an_achievement_find_their_fields(desk: Desk) -> None:
    report = desk.bring(desk.file("平台.csv", ACHIEVEMENTS))
    (record, _) = desk.records("achievement")
    assert record == Achievement(
        source="平台",
        source_id=record.source_id,
        title="银耳低温烘干技术",
        abstract="每批20小时，“两段”控温。",
        institution="四川农业大学",
        co_institutions=("米仓山农科所",),
        date="2023-06",
        maturity="中试",
    )
    assert report.parts[0].columns["abstract"] == "成果简介"
    assert report.parts[0].columns["contact"] == "联系人"


def test_the_columns_of_a_patent_find_their_fields(desk: Desk) -> None:
    desk.bring(desk.file("检索结果.csv", PATENTS))
    (record, other) = desk.records("patent")
    assert record == Patent(
        source="检索结果",
        source_id="CN199100000B",
        title="一种干燥箱",
        abstract="包括箱体。",
        institution="蜀北农林大学",
        date="2021-04-16",
        publication_number="CN199100000B",
        ipc=("F26B9/06", "A23B7/02"),
        legal_status="有效",
        application_date="2021-04-16",
    )
    assert (other.institution, other.co_institutions) == ("Foo Co., Ltd.", ())


def test_the_columns_of_a_need_find_their_fields(desk: Desk) -> None:
    desk.bring(desk.file("需求.csv", NEEDS))
    (record, other) = desk.records("need")
    assert record == Need(
        source="需求",
        source_id=record.source_id,
        title="银耳烘干降耗",
        abstract="能耗偏高。",
        institution="四川云耳公司",
        visibility="intermediaries",
        industry="农产品初加工",
        budget="80-150万元",
        budget_min=800_000,
        budget_max=1_500_000,
        cooperation="技术开发",
        deadline="2027-06-30",
    )
    assert isinstance(other, Need)
    assert (other.deadline, other.visibility) == (None, "public")


def test_the_columns_of_an_institution_find_their_fields(desk: Desk) -> None:
    desk.bring(desk.file("机构.csv", INSTITUTIONS))
    (record,) = desk.records("institution")
    assert isinstance(record, Institution)
    assert (record.type, record.province, record.city, record.abstract, record.aliases) == (
        *("科研院所", "四川省", "巴中市", "主攻食用菌。"),
        ("米仓山农科所",),
    )


def test_a_header_below_a_title_and_empty_rows_do_not_matter(desk: Desk) -> None:
    rows = [["2024年度成果汇总表", "", ""], ["", "", ""], ["成果名称", "完成单位", "成果简介"], ["", "", ""]]
    path = as_xlsx(desk.folder / "成果.xlsx", [*rows, ["银耳烘干", "四川大学", "正文"], ["", "", ""], ["石墨", "", ""]])
    assert outcome(desk.bring(path)) == (2, 2, 0, 0, 0)


def test_a_column_that_nobody_knows_is_named_by_the_caller(desk: Desk) -> None:
    path = desk.file("成果.csv", [["成果名称", "干货"], ["银耳烘干", "每批20小时。"]])
    report = desk.bring(path)
    assert report.parts[0].unused == ("干货",)
    assert desk.records()[0].abstract == ""
    assert outcome(desk.bring(path, overrides={"简介": "干货"})) == (1, 0, 1, 0, 0)
    assert desk.records()[0].abstract == "每批20小时。"
    with pytest.raises(UnknownColumn, match="湿货"):
        desk.bring(path, overrides={"简介": "湿货"})


def test_the_source_of_records_is_the_file_or_what_the_caller_says(desk: Desk) -> None:
    path = desk.file("成果.csv", ACHIEVEMENTS)
    desk.bring(path)
    desk.bring(path, source="省平台")
    assert {record.source for record in desk.records("achievement")} == {"成果", "省平台"}
    # The same source under another file name is the same records.
    again = desk.bring(desk.file("成果（二季度）.csv", ACHIEVEMENTS), source="省平台")
    assert outcome(again) == (2, 0, 0, 2, 0)


def test_owners_are_not_counted_as_rows(desk: Desk) -> None:
    assert outcome(desk.bring(desk.file("成果.csv", ACHIEVEMENTS))) == (2, 2, 0, 0, 0)
    assert desk.store.counts() == {"achievement": 2, "institution": 2}


# ---------------------------------------------------------------- the same again


@pytest.mark.parametrize("suffix", FORMATS)
def test_the_same_file_twice_changes_nothing_and_says_so(desk: Desk, suffix: str) -> None:
    path = FORMATS[suffix](desk.folder / f"需求.{suffix}", NEEDS)
    desk.bring(path)
    revision = desk.store.revision()
    assert outcome(desk.bring(path)) == (2, 0, 0, 2, 0)
    assert desk.store.revision() == revision


def test_the_same_table_in_another_format_is_the_same_records(desk: Desk) -> None:
    for number, (suffix, write) in enumerate(FORMATS.items()):
        report = desk.bring(write(desk.folder / f"需求.{suffix}", NEEDS), source="平台")
        assert outcome(report) == ((2, 2, 0, 0, 0) if number == 0 else (2, 0, 0, 2, 0))


def test_a_changed_row_is_updated_and_a_new_one_added(desk: Desk) -> None:
    header = ["成果编号", "成果名称", "成果简介"]
    desk.bring(desk.file("成果.csv", [header, ["1", "银耳烘干", "旧"], ["2", "石墨提纯", "旧"]]))
    report = desk.bring(
        desk.file("成果.csv", [header, ["1", "银耳烘干", "新"], ["2", "石墨提纯", "旧"], ["3", "核桃脱皮", "新"]])
    )
    assert outcome(report) == (3, 1, 1, 1, 0)


def test_a_file_longer_than_a_batch_goes_in_whole(desk: Desk) -> None:
    rows = [["成果编号", "成果名称"], *([str(number), f"技术{number}"] for number in range(2 * BATCH + 7))]
    assert outcome(desk.bring(desk.file("成果.csv", rows))) == (2 * BATCH + 7, 2 * BATCH + 7, 0, 0, 0)
    assert desk.store.counts() == {"achievement": 2 * BATCH + 7}


def test_the_same_row_twice_counts_once(desk: Desk) -> None:
    rows = [["成果编号", "成果名称"], ["1", "银耳烘干"], ["1", "银耳烘干"]]
    assert outcome(desk.bring(desk.file("成果.csv", rows))) == (2, 1, 0, 1, 0)
    assert len(desk.records()) == 1


# ---------------------------------------------------------------- bad rows


def test_bad_rows_are_refused_with_line_field_and_reason_and_the_good_ones_go_in(desk: Desk) -> None:
    rows = [
        ["需求编号", "需求名称", "需求描述", "发布时间", "省份", "公开范围"],
        ["1", "银耳烘干", "正文", "2023-06", "四川省", "公开"],
        ["2", "", "正文", "2023-06", "四川省", ""],
        ["3", "石墨提纯", "正文", "2023-13", "四川省", ""],
        ["4", "核桃脱皮", "正文", "2023", "火星", ""],
        ["5", "茶叶杀青", "正文", "2023", "四川", "大概"],
        ["6", "长文", "长" * (ABSTRACT_LIMIT + 1), "2023", "四川", ""],
        ["7", "天然气脱硫", "正文", "2023", "四川", ""],
    ]
    report = desk.bring(desk.file("成果.csv", rows))
    assert outcome(report) == (7, 2, 0, 0, 5)
    assert [record.source_id for record in desk.records()] == ["1", "7"]
    found = [(row["行号"], row["字段"]) for row in desk.rejects(report)]
    assert found == [("3", "标题"), ("4", "日期"), ("5", "省份"), ("6", "公开范围"), ("7", "正文")]
    reasons = [row["原因"] for row in desk.rejects(report)]
    for reason, part in zip(reasons, ["为空", "“2023-13”", "“火星”", "“大概”", "20001 字"], strict=True):
        assert part in reason
    assert json.loads(desk.rejects(report)[1]["原始内容"])["需求名称"] == "石墨提纯"


def test_a_text_of_20000_characters_is_taken(desk: Desk) -> None:
    rows = [["成果名称", "成果简介"], ["长文", "长" * ABSTRACT_LIMIT]]
    assert outcome(desk.bring(desk.file("成果.csv", rows))) == (1, 1, 0, 0, 0)


def test_a_row_that_cannot_be_read_at_all_is_refused_too(desk: Desk) -> None:
    path = desk.folder / "成果.jsonl"
    path.write_text('{"成果名称": "银耳烘干"}\n=HYPERLINK("http://x")\n{"成果名称": "石墨"}\n', encoding="utf-8")
    report = desk.bring(path)
    assert outcome(report) == (3, 2, 0, 0, 1)
    (row,) = desk.rejects(report)
    assert (row["行号"], row["字段"]) == ("2", "整行")
    # A spreadsheet that opens the rejects file must not run what a stranger wrote.
    assert row["原始内容"] == '\'=HYPERLINK("http://x")'


@pytest.mark.parametrize("start", ["=1+1", "+1", "-1", "@x"])
def test_no_cell_of_the_rejects_file_is_a_formula(desk: Desk, start: str) -> None:
    rows = [
        ["成果名称", "完成单位"],
        ["银耳烘干", "四川大学"],
        [start, "四川大学", "多余", "又多余"],
        [start * 600, ""],
    ]
    report = desk.bring(desk.file("成果.csv", rows))
    assert report.counts["rejected"] == 2
    for row in desk.rejects(report):
        assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in row.values())


def test_one_number_with_two_contents_is_refused_the_second_time(desk: Desk) -> None:
    rows = [["成果编号", "成果名称"], ["1", "银耳烘干"], ["2", "石墨提纯"], ["1", "另一种烘干"], ["1", "银耳烘干"]]
    report = desk.bring(desk.file("成果.csv", rows))
    assert outcome(report) == (4, 2, 0, 1, 1)
    (row,) = desk.rejects(report)
    assert (row["行号"], row["字段"]) == ("4", "编号")
    assert "与第 2 行重复（1），但内容不同" in row["原因"]
    assert [record.title for record in desk.records()] == ["银耳烘干", "石墨提纯"]


def test_a_refused_row_does_not_take_its_number(desk: Desk) -> None:
    rows = [["成果编号", "成果名称", "完成时间"], ["1", "银耳烘干", "不详吧"], ["1", "银耳烘干", "2023"]]
    assert outcome(desk.bring(desk.file("成果.csv", rows))) == (2, 1, 0, 0, 1)


def test_a_file_of_bad_rows_only_is_still_a_table(desk: Desk) -> None:
    report = desk.bring(desk.file("成果.csv", [["成果名称", "完成时间"], ["银耳", "不详吧"], ["石墨", "不详吧"]]))
    assert outcome(report) == (2, 0, 0, 0, 2)
    assert len(desk.rejects(report)) == 2
    assert desk.store.revision() == 0


def test_every_file_has_a_rejects_file_of_its_own(desk: Desk) -> None:
    path = desk.file("成果.csv", [["成果名称", "完成时间"], ["银耳", "不详吧"]])
    first, second = desk.bring(path), desk.bring(path)
    assert first.rejects_file != second.rejects_file
    assert desk.rejects(first) == desk.rejects(second)


def test_a_contact_is_stored_apart(desk: Desk) -> None:
    desk.bring(desk.file("成果.csv", ACHIEVEMENTS))
    assert not any("0827-0000000" in repr(each) for each in desk.store.records())


def test_the_report_says_what_programs_need_to_know(desk: Desk) -> None:
    report = desk.bring(desk.file("成果.csv", [["成果名称", "完成时间"], ["银耳", "不详吧"], ["石墨", "2024"]]))
    assert report.as_json() == {
        "file": "成果.csv",
        "kind": "achievement",
        "read": 2,
        "added": 1,
        "updated": 0,
        "unchanged": 0,
        "rejected": 1,
        "rejects_file": str(report.rejects_file),
        "parts": [
            {
                "name": "",
                "kind": "achievement",
                "read": 2,
                "added": 1,
                "updated": 0,
                "unchanged": 0,
                "rejected": 1,
                "columns": {"title": "成果名称", "date": "完成时间"},
                "unused": [],
                "note": None,
                "reason": None,
            }
        ],
    }
    assert desk.bring(desk.file("成果.csv", ACHIEVEMENTS)).as_json()["rejects_file"] is None


# ---------------------------------------------------------------- files that are refused


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("笔记.txt", "今天去了四川农业大学，谈了银耳烘干的事。\n下周再去一次。\n"),
        ("空.csv", ""),
        ("图.csv", b"\x89PNG\r\n\x1a\n" + bytes(200)),
        ("网页.xls", "<html><table><tr><td>成果名称</td></tr></table></html>"),
        ("坏.xlsx", b"PK\x03\x04" + bytes(100)),
        ("坏.json", '{"成果名称": '),
        ("成果.csv", "成果名称,完成单位,成果简介\n"),
        ("成果.csv", "成果名称,完成单位,成果简介\n,,\n"),
    ],
)
def test_a_file_that_is_no_table_is_refused_in_one_sentence(desk: Desk, name: str, content: str | bytes) -> None:
    path = desk.folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UnreadableFile, match=name):
        desk.bring(path)
    assert desk.store.revision() == 0
    assert not desk.rejects_folder.exists()


def test_a_file_that_is_not_there_is_refused(desk: Desk) -> None:
    with pytest.raises(UnreadableFile, match="文件不存在"):
        desk.bring(desk.folder / "没有.csv")


def test_a_table_that_could_be_anything_asks_for_its_kind(desk: Desk) -> None:
    path = desk.file("导出.csv", [["标题", "摘要"], ["银耳烘干", "正文"]])
    with pytest.raises(UnreadableFile, match=r"--kind 指明：achievement（科技成果）"):
        desk.bring(path)
    assert outcome(desk.bring(path, kind="patent")) == (1, 1, 0, 0, 0)
    assert [record.kind for record in desk.records()] == ["patent"]


def test_a_kind_given_counts_more_than_the_kind_guessed(desk: Desk) -> None:
    report = desk.bring(
        desk.file("成果.csv", [["成果名称", "完成单位"], ["银耳烘干", "四川大学"]]),
        kind="need",
        overrides={"标题": "成果名称"},
    )
    assert (report.kind, desk.records("need")[0].title) == ("need", "银耳烘干")


def test_a_table_without_titles_says_how_to_name_the_column(desk: Desk) -> None:
    path = desk.file("成果.csv", [["成果简介", "完成单位"], ["正文", "四川大学"]])
    with pytest.raises(UnreadableFile, match=r"没有找到标题列.*--map"):
        desk.bring(path)


# ---------------------------------------------------------------- several parts


def as_sheets(path: Path, **sheets: Sequence[Sequence[str]]) -> Path:
    path.write_bytes(xlsx(*sheets.values(), names=list(sheets)))
    return path


def test_each_sheet_goes_in_as_the_kind_that_it_is(desk: Desk) -> None:
    path = as_sheets(
        desk.folder / "汇总.xlsx", 成果=ACHIEVEMENTS, 专利=PATENTS, 需求=NEEDS, 说明=[["甲栏", "乙栏"], ["x", "y"]]
    )
    report = desk.bring(path)
    assert outcome(report) == (6, 6, 0, 0, 0)
    assert report.kind is None
    assert [(part.name, part.kind, part.counts["added"]) for part in report.parts] == [
        *(("成果", "achievement", 2), ("专利", "patent", 2), ("需求", "need", 2)),
        ("说明", None, 0),
    ]
    assert "看不出 汇总.xlsx 的“说明” 里是哪一类记录" in report.parts[3].reason
    assert outcome(desk.bring(path)) == (6, 0, 0, 6, 0)


def test_the_name_of_a_sheet_tells_what_its_columns_do_not(desk: Desk) -> None:
    columns = [["标题", "摘要"], ["银耳烘干", "正文"]]
    report = desk.bring(as_sheets(desk.folder / "汇总.xlsx", 需求=columns, 成果=columns))
    assert [part.kind for part in report.parts] == ["need", "achievement"]


def test_running_numbers_of_several_sheets_do_not_collide(desk: Desk) -> None:
    first, second = ([["序号", "成果名称"], ["1", name]] for name in ("银耳烘干", "石墨提纯"))
    path = as_sheets(desk.folder / "汇总.xlsx", 一季度=first, 二季度=second)
    assert outcome(desk.bring(path)) == (2, 2, 0, 0, 0)
    assert {record.source_id for record in desk.records()} == {"一季度 1", "二季度 1"}


def test_an_archive_goes_in_member_by_member_and_names_each(desk: Desk) -> None:
    inside = {
        "成果/二季度.csv": "成果编号,成果名称,完成时间\n1,银耳烘干,2023\n2,石墨提纯,不详吧\n",
        "需求.docx": docx(word_table(NEED_FORM)),
        "照片.png": b"\x89PNG",
    }
    path = desk.folder / "材料.zip"
    path.write_bytes(zipped(inside))
    report = desk.bring(path)
    assert outcome(report) == (3, 2, 0, 0, 1)
    assert [(part.name, part.kind) for part in report.parts] == [
        *(("成果/二季度.csv", "achievement"), ("需求.docx", "need"), ("照片.png", None))
    ]
    assert {record.source for record in desk.records()} == {"成果/二季度", "需求"}
    (row,) = desk.rejects(report)
    assert (row["部分"], row["行号"], row["字段"]) == ("成果/二季度.csv", "3", "日期")
    assert report.as_json()["parts"][2]["reason"] == report.parts[2].reason  # type: ignore[index]


def test_one_number_in_two_parts_is_told_with_the_part(desk: Desk) -> None:
    first, second = ([["成果编号", "成果名称"], ["7", name]] for name in ("银耳烘干", "石墨提纯"))
    report = desk.bring(as_sheets(desk.folder / "汇总.xlsx", 甲=first, 乙=second))
    (row,) = desk.rejects(report)
    assert row["部分"] == "乙"
    assert "与“甲”第 2 行重复（7）" in row["原因"]


def test_a_column_named_by_the_caller_is_taken_where_it_is(desk: Desk) -> None:
    named = [["成果名称", "干货"], ["银耳烘干", "每批20小时。"]]
    path = as_sheets(desk.folder / "汇总.xlsx", 甲=named, 乙=[["成果名称", "完成单位"], ["石墨", "某所"]])
    desk.bring(path, overrides={"简介": "干货"})
    assert {record.title: record.abstract for record in desk.records("achievement")} == {
        "银耳烘干": "每批20小时。",
        "石墨": "",
    }


def test_a_file_of_which_no_part_can_be_read_says_why_of_each(desk: Desk) -> None:
    path = as_sheets(desk.folder / "汇总.xlsx", 甲=[["栏一", "栏二"], ["x", "y"]], 乙=[["栏三", "栏四"], ["x", "y"]])
    with pytest.raises(UnreadableFile, match=r"汇总\.xlsx 的 2 个部分都不能导入：.*“甲”.*“乙”"):
        desk.bring(path)
    assert desk.store.revision() == 0


def test_a_patent_file_of_the_office_goes_in(desk: Desk) -> None:
    path = desk.folder / "公报.xml"
    path.write_text(ST36, "utf-8")
    assert outcome(desk.bring(path)) == (1, 1, 0, 0, 0)
    (record,) = desk.records("patent")
    assert isinstance(record, Patent)
    assert (record.title, record.institution, record.co_institutions) == (
        *("一种银耳干燥箱", "蜀北农林大学"),
        ("四川云耳食品有限公司",),
    )


def test_a_part_of_a_kind_that_may_not_be_brought_is_refused_and_the_others_go_in(desk: Desk) -> None:
    path = as_sheets(desk.folder / "汇总.xlsx", 机构=INSTITUTIONS, 需求=NEEDS)
    report = ingest_file(desk.store, path, desk.rejects_folder, visibility="private", allowed=("need",))
    assert "您只能提交技术需求" in report.parts[0].reason
    assert {record.visibility for record in desk.records("need")} == {"intermediaries", "private"}
    assert desk.records("institution") == []


def test_a_file_over_the_limit_is_refused(desk: Desk) -> None:
    path = desk.file("成果.csv", ACHIEVEMENTS)
    with pytest.raises(UnreadableFile, match="超过 100 字节 的上限"):
        ingest_file(desk.store, path, desk.rejects_folder, max_bytes=100)


def test_what_the_rejects_file_keeps_of_a_row_fits_in_a_cell(desk: Desk) -> None:
    rows = [["成果名称", "成果简介"], ["甲", "长" * 500_000]]
    (row,) = desk.rejects(desk.bring(desk.file("成果.csv", rows)))
    assert len(row["原始内容"]) == 32_767


def test_the_limit_of_the_settings_is_that_of_the_readers() -> None:
    assert Settings.model_fields["max_file_bytes"].default == MAX_FILE_BYTES
