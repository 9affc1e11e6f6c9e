import csv
import time
from importlib import resources

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matcher.regions import Region, parse_province, parse_region, place
from matcher.values import PROVINCES

# What places are written with.
WRITTEN = st.text("四川省巴中市南江县重庆渝成都高新区鼓楼吉林河北海朝阳自治州地610065 -/（）路号", max_size=24)
NAMES = {
    row["code"]: row["name"]
    for row in csv.DictReader((resources.files("matcher") / "places/divisions.csv").read_text("utf-8").splitlines())
}
FORMER = list(csv.DictReader((resources.files("matcher") / "places/former.csv").read_text("utf-8").splitlines()))


def path(code: str) -> tuple[str, ...]:
    """A place's names, the largest first."""
    upper = dict.fromkeys((f"{code[:2]}0000", f"{code[:4]}00", code))
    return tuple(NAMES[part] for part in upper if part in NAMES)


@pytest.mark.parametrize(
    ("written", "region"),
    [
        ("四川省巴中市南江县", ("四川省", "巴中市", "南江县", "511922")),
        ("四川省 巴中市 南江县", ("四川省", "巴中市", "南江县", "511922")),
        ("四川省/巴中市/南江县", ("四川省", "巴中市", "南江县", "511922")),
        ("四川省-巴中市-南江县", ("四川省", "巴中市", "南江县", "511922")),
        ("四川巴中南江", ("四川省", "巴中市", "南江县", "511922")),
        ("巴中市南江县", ("四川省", "巴中市", "南江县", "511922")),
        ("南江县", ("四川省", "巴中市", "南江县", "511922")),
        ("南江", ("四川省", "巴中市", "南江县", "511922")),
        ("四川省通江县诺江镇", ("四川省", "巴中市", "通江县", "511921")),
        ("四川省", ("四川省", None, None, "510000")),
        ("四川", ("四川省", None, None, "510000")),
        ("川", ("四川省", None, None, "510000")),
        ("内蒙", ("内蒙古自治区", None, None, "150000")),
        ("巴中市", ("四川省", "巴中市", None, "511900")),
        ("巴中", ("四川省", "巴中市", None, "511900")),
        ("610065 四川省成都市武侯区一环路南一段24号", ("四川省", "成都市", "武侯区", "510107")),
        ("中国四川省成都市", ("四川省", "成都市", None, "510100")),
        ("中国（四川）自由贸易试验区成都市高新区", ("四川省", "成都市", "高新区", "510100")),
        ("成都高新区", ("四川省", "成都市", "高新区", "510100")),
        ("重庆市渝中区", ("重庆市", "重庆市", "渝中区", "500103")),
        ("重庆市重庆市渝中区", ("重庆市", "重庆市", "渝中区", "500103")),
        ("上海市市辖区浦东新区", ("上海市", "上海市", "浦东新区", "310115")),
        ("北京海淀区", ("北京市", "北京市", "海淀区", "110108")),
        ("北京", ("北京市", "北京市", None, "110000")),
        ("内蒙古自治区呼和浩特市新城区", ("内蒙古自治区", "呼和浩特市", "新城区", "150102")),
        ("内蒙古锡林郭勒盟", ("内蒙古自治区", "锡林郭勒盟", None, "152500")),
        ("广西省南宁市", ("广西壮族自治区", "南宁市", None, "450100")),
        ("新疆自治区伊犁哈萨克自治州", ("新疆维吾尔自治区", "伊犁哈萨克自治州", None, "654000")),
        ("黑龙江省大兴安岭地区", ("黑龙江省", "大兴安岭地区", None, "232700")),
        ("阿坝藏族羌族自治州", ("四川省", "阿坝藏族羌族自治州", None, "513200")),
        ("阿坝州汶川县", ("四川省", "阿坝藏族羌族自治州", "汶川县", "513221")),
        ("四川峨边县", ("四川省", "乐山市", "峨边彝族自治县", "511132")),
        ("贵州省黔西南布依族苗族自治州兴义市", ("贵州省", "黔西南布依族苗族自治州", "兴义市", "522301")),
        ("江苏省苏州市昆山市", ("江苏省", "苏州市", "昆山市", "320583")),
        ("昆山市", ("江苏省", "苏州市", "昆山市", "320583")),
        ("河北省邯郸市市辖区", ("河北省", "邯郸市", None, "130400")),
        ("吉林省吉林市船营区", ("吉林省", "吉林市", "船营区", "220204")),
        ("吉林市", ("吉林省", "吉林市", None, "220200")),
        ("吉林", ("吉林省", None, None, "220000")),
        ("河北区", ("天津市", "天津市", "河北区", "120105")),
        ("海南藏族自治州", ("青海省", "海南藏族自治州", None, "632500")),
        ("湖北恩施", ("湖北省", "恩施土家族苗族自治州", None, "422800")),
        ("湖北恩施市", ("湖北省", "恩施土家族苗族自治州", "恩施市", "422801")),
        ("河南省济源市", ("河南省", None, "济源市", "419001")),
        ("广东省东莞市虎门镇", ("广东省", "东莞市", None, "441900")),
        ("香港特别行政区", ("香港特别行政区", None, None, "810000")),
        ("国外", (None, None, None, None)),
        ("", (None, None, None, None)),
    ],
)
def test_a_region_is_taken_apart_and_completed(written: str, region: tuple[str | None, ...]) -> None:
    assert parse_region(written) == Region(*region)


@pytest.mark.parametrize(
    ("written", "region"),
    [
        ("郫县", ("四川省", "成都市", "郫都区", "510117")),
        ("四川成都双流县", ("四川省", "成都市", "双流区", "510116")),
        ("达县", ("四川省", "达州市", "达川区", "511703")),
        ("四川省达川地区", ("四川省", "达州市", None, "511700")),
        ("湖北省襄樊市樊城区", ("湖北省", "襄阳市", "樊城区", "420606")),
        ("莱芜市莱城区", ("山东省", "济南市", "莱芜区", "370116")),
        ("北京市崇文区", ("北京市", "北京市", "东城区", "110101")),
        ("重庆市涪陵市", ("重庆市", "重庆市", "涪陵区", "500102")),
    ],
)
def test_former_names_lead_to_the_places_of_today(written: str, region: tuple[str | None, ...]) -> None:
    assert parse_region(written) == Region(*region)


@pytest.mark.parametrize(
    ("written", "region"),
    [
        ("鼓楼区", (None, None, "鼓楼区", None)),
        ("江苏省鼓楼区", ("江苏省", None, "鼓楼区", "320000")),
        ("南京市鼓楼区", ("江苏省", "南京市", "鼓楼区", "320106")),
        ("河北省桥西区", ("河北省", None, "桥西区", "130000")),
        ("朝阳区", (None, None, "朝阳区", None)),
        ("朝阳", (None, None, None, None)),
        ("郊区", (None, None, "郊区", None)),
        ("海口路12号", (None, None, None, None)),
        ("四川省长沙市", ("四川省", "长沙市", None, "510000")),
        ("成都市天府新区", ("四川省", "成都市", "天府新区", "510100")),
        ("重庆市南江县", ("重庆市", "重庆市", "南江县", "500000")),
        ("四川省云顶县", ("四川省", None, "云顶县", "510000")),
    ],
)
def test_what_could_be_several_places_or_none_is_not_guessed(written: str, region: tuple[str | None, ...]) -> None:
    assert parse_region(written) == Region(*region)


@pytest.mark.parametrize(
    ("columns", "region"),
    [
        (("四川省", "巴中市", "南江县", ""), ("四川省", "巴中市", "南江县", "511922")),
        (("四川", "巴中", "南江", ""), ("四川省", "巴中市", "南江县", "511922")),
        (("", "", "南江县", ""), ("四川省", "巴中市", "南江县", "511922")),
        (("四川省", "四川省巴中市", "", ""), ("四川省", "巴中市", None, "511900")),
        (("江苏省", "徐州市", "鼓楼区", ""), ("江苏省", "徐州市", "鼓楼区", "320302")),
        (("江苏省", "徐州市", "", "鼓楼区"), ("江苏省", "徐州市", "鼓楼区", "320302")),
        (("四川省", "", "", "巴中市南江县正直镇"), ("四川省", "巴中市", "南江县", "511922")),
        (("四川省", "", "", "湖南省长沙市"), ("四川省", None, None, "510000")),
        (("四川省", "长沙市", "岳麓区", ""), ("四川省", "长沙市", "岳麓区", "510000")),
        (("四川省", "长沙市", "巴州区", ""), ("四川省", "长沙市", "巴州区", "510000")),
        (("重庆市", "重庆市", "万州", ""), ("重庆市", "重庆市", "万州区", "500101")),
        (("", "米仓山市", "", ""), (None, "米仓山市", None, None)),
        (("", "", "", ""), (None, None, None, None)),
    ],
)
def test_columns_name_a_place_together(columns: tuple[str, ...], region: tuple[str | None, ...]) -> None:
    assert place(*columns) == Region(*region)


@pytest.mark.parametrize("province", PROVINCES.values())
def test_every_province_is_known_by_its_full_and_its_short_name(province: str) -> None:
    short = next(key for key, name in PROVINCES.items() if name == province)
    assert parse_province(province) == parse_province(short) == parse_province(f" {province}某市") == province
    assert parse_region(province)[0] == province


def test_every_division_is_found_by_its_full_path() -> None:
    for code in NAMES:
        assert parse_region("".join(path(code))).code == code


def test_every_division_is_found_by_its_name_or_not_at_all() -> None:
    missed = 0
    for name in NAMES.values():
        found = parse_region(name)
        if found.code is None:
            missed += 1
            assert list(NAMES.values()).count(name) > 1 or name in ("矿区", "东区", "西区"), name
        else:
            assert NAMES[found.code] == name
    assert missed < 80


def test_former_names_are_no_names_of_today_and_lead_to_one() -> None:
    today = set(NAMES.values())
    for row in FORMER:
        assert row["name"] not in today
        assert row["code"] in NAMES


def test_the_table_is_complete_in_itself() -> None:
    assert {NAMES[code] for code in NAMES if code.endswith("0000")} == set(PROVINCES.values())
    for code in NAMES:
        assert len(code) == 6 and code.isdigit() and f"{code[:2]}0000" in NAMES
    cities = sum(code.endswith("00") and not code.endswith("0000") for code in NAMES)
    assert (cities, len(NAMES) - cities - 34) == (333, 2848)


@given(WRITTEN)
@settings(max_examples=300, deadline=None)
def test_a_region_written_out_in_full_is_read_the_same_again(text: str) -> None:
    region = parse_region(text)
    if region.code:
        again = parse_region("".join(path(region.code)))
        assert again.code == region.code
        assert all(name in (None, written) for name, written in zip(again[:3], region[:3], strict=True))
        if all(name is None or name in path(region.code) for name in region[:3]):
            assert place(*(name or "" for name in region[:3])) == region


@given(st.text(max_size=100))
@settings(max_examples=100, deadline=None)
def test_no_text_breaks_it(text: str) -> None:
    parse_region(text)
    place(text, text, text, text)


@pytest.mark.parametrize("piece", ["四川省", "市", "南江县", "（中国", "6", " ", "成都"])
def test_long_text_costs_no_time(piece: str) -> None:
    started = time.perf_counter()
    parse_region((piece * 100_000)[:100_000])
    assert time.perf_counter() - started < 0.5
