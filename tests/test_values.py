import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matcher.values import PROVINCES, name_key, parse_date, parse_list, parse_names, parse_province, parse_region

# What names and places are written with.
WRITTEN = st.text("四川省巴中市南江县大学研究院有限公司ABCabc01 ()（）·.,，;；、|/\n", max_size=30)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2024年3月5日", "2024-03-05"),
        ("2024 年 3 月 5 日", "2024-03-05"),
        ("２０２４年３月５日", "2024-03-05"),
        ("2024.3.5", "2024-03-05"),
        ("2024. 3. 5", "2024-03-05"),
        ("2024/3/5", "2024-03-05"),
        ("2024-03-05", "2024-03-05"),
        ("20240305", "2024-03-05"),
        ("2024-03-05T10:00:00", "2024-03-05"),
        ("2024-03-05 10:00", "2024-03-05"),
        ("2024-02-29", "2024-02-29"),
        ("2024-03", "2024-03"),
        ("2024年3月", "2024-03"),
        ("2024年12月", "2024-12"),
        ("202403", "2024-03"),
        ("2024年", "2024"),
        (" 2024 ", "2024"),
        ("1998", "1998"),
    ],
)
def test_a_date_is_read_in_every_usual_form_and_as_precisely_as_it_was_written(written: str, meant: str) -> None:
    assert parse_date(written) == meant


@pytest.mark.parametrize(
    "written",
    [
        *("2024-13", "2024-02-30", "2023-02-29", "202413", "20240230", "2024年13月1日", "2024年4月31日"),
        *("2024-00-05", "2024-3-0", "202400", "20240300", "20240005"),
        *("1899", "3024-01-01", "24-03-05", "5/3/2024", "三月五日", "2024-2025", "2024年左右", "近期", ""),
    ],
)
def test_what_is_no_date_or_does_not_exist_is_none(written: str) -> None:
    assert parse_date(written) is None


@given(st.dates(datetime.date(1900, 1, 1), datetime.date(2099, 12, 31)))
@settings(max_examples=60, deadline=None)
def test_every_day_survives_every_way_of_writing_it(day: datetime.date) -> None:
    iso = day.isoformat()
    forms = [f"{day.year}年{day.month}月{day.day}日", f"{day.year}.{day.month}.{day.day}", f"{day:%Y%m%d}"]
    assert {parse_date(form) for form in [iso, *forms]} == {iso}
    for part in (iso[:4], iso[:7], iso):
        assert parse_date(part) == part


@given(st.text("0123456789年月日./- T:号", max_size=14))
@settings(max_examples=200, deadline=None)
def test_a_date_that_was_read_reads_as_itself(text: str) -> None:
    date = parse_date(text)
    assert date is None or parse_date(date) == date


@pytest.mark.parametrize(
    ("written", "place"),
    [
        ("四川省巴中市南江县", ("四川省", "巴中市", "南江县")),
        ("四川省 巴中市 南江县", ("四川省", "巴中市", "南江县")),
        ("四川省/巴中市/南江县", ("四川省", "巴中市", "南江县")),
        ("四川省-巴中市-南江县", ("四川省", "巴中市", "南江县")),
        ("四川省通江县诺江镇", ("四川省", None, "通江县")),
        ("四川省", ("四川省", None, None)),
        ("四川", ("四川省", None, None)),
        ("巴中市", (None, "巴中市", None)),
        ("巴中市巴州区", (None, "巴中市", "巴州区")),
        ("南江县", (None, None, "南江县")),
        ("重庆市渝中区", ("重庆市", "重庆市", "渝中区")),
        ("重庆市重庆市渝中区", ("重庆市", "重庆市", "渝中区")),
        ("上海市市辖区浦东新区", ("上海市", "上海市", "浦东新区")),
        ("北京海淀区", ("北京市", "北京市", "海淀区")),
        ("内蒙古自治区呼和浩特市新城区", ("内蒙古自治区", "呼和浩特市", "新城区")),
        ("内蒙古锡林郭勒盟", ("内蒙古自治区", "锡林郭勒盟", None)),
        ("广西南宁市", ("广西壮族自治区", "南宁市", None)),
        ("广西省南宁市", ("广西壮族自治区", "南宁市", None)),
        ("新疆自治区伊犁哈萨克自治州", ("新疆维吾尔自治区", "伊犁哈萨克自治州", None)),
        ("黑龙江省大兴安岭地区", ("黑龙江省", "大兴安岭地区", None)),
        ("阿坝藏族羌族自治州", (None, "阿坝藏族羌族自治州", None)),
        ("四川省阿坝藏族羌族自治州汶川县", ("四川省", "阿坝藏族羌族自治州", "汶川县")),
        ("贵州省黔西南布依族苗族自治州兴义市", ("贵州省", "黔西南布依族苗族自治州", "兴义市")),
        ("四川省乐山市峨边彝族自治县", ("四川省", "乐山市", "峨边彝族自治县")),
        ("江苏省苏州市昆山市", ("江苏省", "苏州市", "昆山市")),
        ("河北省邯郸市市辖区", ("河北省", "邯郸市", None)),
        ("吉林省吉林市船营区", ("吉林省", "吉林市", "船营区")),
        ("吉林市", ("吉林省", "吉林市", None)),
        ("海南藏族自治州", (None, "海南藏族自治州", None)),
        ("香港特别行政区", ("香港特别行政区", None, None)),
        ("国外", (None, None, None)),
        ("", (None, None, None)),
    ],
)
def test_a_region_is_taken_apart(written: str, place: tuple[str | None, str | None, str | None]) -> None:
    assert parse_region(written) == place


@pytest.mark.parametrize("province", PROVINCES.values())
def test_every_province_is_known_by_its_full_and_its_short_name(province: str) -> None:
    short = next(key for key, name in PROVINCES.items() if name == province)
    assert parse_province(province) == parse_province(short) == parse_province(f" {province}某市") == province
    assert parse_region(province)[0] == province


@given(WRITTEN)
@settings(max_examples=100, deadline=None)
def test_a_region_written_out_in_full_is_read_the_same_again(text: str) -> None:
    province, city, county = parse_region(text)
    if province and city and county:
        assert parse_region(province + city + county) == (province, city, county)


@pytest.mark.parametrize(
    ("written", "names"),
    [
        ("四川大学；西南交通大学", ("四川大学", "西南交通大学")),
        ("四川大学;西南交通大学", ("四川大学", "西南交通大学")),
        ("四川大学、西南交通大学", ("四川大学", "西南交通大学")),
        ("四川大学|西南交通大学\n四川农业大学", ("四川大学", "西南交通大学", "四川农业大学")),
        ("四川大学,西南交通大学", ("四川大学", "西南交通大学")),
        ("四川大学 , 西南交通大学", ("四川大学", "西南交通大学")),
        ("四川大学，西南交通大学", ("四川大学", "西南交通大学")),
        ("四川大学/西南交通大学", ("四川大学", "西南交通大学")),
        ("华川机械（成都）,中北电气(绵阳),四川大学", ("华川机械（成都）", "中北电气(绵阳)", "四川大学")),
        ("Foo Co., Ltd.", ("Foo Co., Ltd.",)),
        ("Foo Co., Ltd.; Bar, Inc.", ("Foo Co., Ltd.", "Bar, Inc.")),
        ("四川大学，Foo Co., Ltd.", ("四川大学", "Foo Co., Ltd.")),
        ("Foo Co., Ltd.,四川大学", ("Foo Co., Ltd.", "四川大学")),
        ("Foo A/S", ("Foo A/S",)),
        ("四川大学；四川大学；", ("四川大学",)),
        (" ；、", ()),
        ("", ()),
    ],
)
def test_names_are_divided_but_not_inside_a_latin_name(written: str, names: tuple[str, ...]) -> None:
    assert parse_names(written) == names


@given(WRITTEN)
@settings(max_examples=150, deadline=None)
def test_lists_and_names_divide_once_and_for_all(text: str) -> None:
    for parse in (parse_list, parse_names):
        items = parse(text)
        assert parse("；".join(items)) == items
        assert len(set(items)) == len(items)
        assert all(item == item.strip() != "" for item in items)


def test_a_list_is_divided_at_every_usual_mark() -> None:
    assert parse_list("银耳；核桃;茶叶、石墨，建材,药材|黄羊\n银耳") == (
        *("银耳", "核桃", "茶叶", "石墨", "建材", "药材", "黄羊"),
    )


@pytest.mark.parametrize(
    "spelling",
    ["四川大学(华西)", "四川大学（华西）", "四川大学 华西", " 四川大学【华西】", "四川大学·华西"],
)
def test_spellings_of_one_name_have_one_key(spelling: str) -> None:
    assert name_key(spelling) == name_key("四川大学华西")


def test_width_and_case_of_latin_names_do_not_matter() -> None:
    assert name_key("ＡＢＢ（中国）有限公司") == name_key("abb(中国)有限公司")
    assert name_key("Foo Co., Ltd.") == name_key("FOO CO.,LTD")
    assert name_key("四川大学") != name_key("四川农业大学")


@given(WRITTEN)
@settings(max_examples=100, deadline=None)
def test_a_name_key_is_its_own_key(text: str) -> None:
    assert name_key(name_key(text)) == name_key(text)
