import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matcher.values import harmless, name_key, parse_list, parse_names

# What names and places are written with.
WRITTEN = st.text("四川省巴中市南江县大学研究院有限公司ABCabc01 ()（）·.,，;；、|/\n", max_size=30)


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
        ("米仓山医院（东院、西院）、四川大学", ("米仓山医院（东院、西院）", "四川大学")),
        ("中国科学院、水利部米仓河泥沙研究所", ("中国科学院、水利部米仓河泥沙研究所",)),
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


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@A1", "\t=1", "\r=1", "\n=1", "  =1", "＝1", "　＋1"])
def test_what_a_spreadsheet_takes_for_a_formula_is_marked_as_text(text: str) -> None:
    assert harmless(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "银耳", "1=1", "（=）", "~"])
def test_other_cells_stay_as_they_are(text: str) -> None:
    assert harmless(text) == text
