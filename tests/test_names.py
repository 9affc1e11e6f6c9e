import csv
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matcher.names import Names, company_forms, institution_names, mother_name, split_former
from matcher.values import name_key

UNIVERSITIES = Path(__file__).parent.parent.parent / "shared/data/institutions/universities.csv"
WRITTEN = st.text(
    "四川农业大学成都校区化学工程院系实验室课题组附属医院有限责任股份公司集团（）()原曾用名 ", max_size=30
)


@pytest.mark.parametrize(
    ("written", "mother"),
    [
        ("蜀北农林大学南充校区", "蜀北农林大学"),
        ("蜀北农林大学（南充校区）", "蜀北农林大学"),
        ("蜀北农林大学 校本部", "蜀北农林大学"),
        ("蜀北农林大学园艺学院", "蜀北农林大学"),
        ("蜀北农林大学材料与化学工程学院", "蜀北农林大学"),
        ("蜀北农林大学化学系", "蜀北农林大学"),
        ("蜀北农林大学南充校区动物科技学院", None),
        ("蜀北农林大学南充校区食品科学与工程学院", "蜀北农林大学"),
        ("蜀北农林大学高分子材料国家重点实验室", "蜀北农林大学"),
        ("蜀北农林大学水力学与山区河流实验室", "蜀北农林大学"),
        ("蜀北农林大学生命科学学院", "蜀北农林大学"),
        ("蜀北农林大学化学学院张某课题组", "蜀北农林大学"),
        ("蜀北职业技术学院德阳校区", "蜀北职业技术学院"),
    ],
)
def test_a_campus_and_a_department_belong_to_their_university(written: str, mother: str | None) -> None:
    assert mother_name(written) == mother


@pytest.mark.parametrize(
    "name",
    [
        # Legal persons of their own.
        *("四川大学华西医院", "四川大学华西第二医院", "南通大学附属医院", "四川大学附属中学实验室"),
        *("北京大学深圳研究生院", "东莞中山大学研究院", "四川大学原子核研究所", "浙江大学城市学院"),
        *("安徽农业大学经济技术学院", "贵州大学科技学院", "杭州电子科技大学信息工程学院", "河北经贸大学经济管理学院"),
        *("四川大学锦城学院", "四川大学锦城学院智能制造实验室", "北京师范大学珠海分校", "华北理工大学轻工学院"),
        *("上海交通大学医学院", "四川大学工程设计研究院有限公司", "西安交大团队科技有限公司"),
        # Others in brackets.
        *("中国石油大学（华东）", "哈尔滨工业大学（深圳）", "成都某某（集团）有限公司", "某某机械（成都）有限公司"),
        # No universities.
        *(
            "四川大学",
            "全国大学生创新实验室",
            "中国科学院成都生物研究所",
            "四川省农业科学院土壤肥料研究所",
            "南江县实验室",
            "",
        ),
    ],
)
def test_what_stands_for_itself_stays_apart(name: str) -> None:
    assert mother_name(name) is None
    assert institution_names(name).name == name


def test_the_form_of_a_company_does_not_part_it() -> None:
    assert set(company_forms("巴中云耳菌业有限责任公司")) == {"巴中云耳菌业有限公司", "巴中云耳菌业股份有限公司"}
    assert company_forms("某某机械（成都）有限公司")[0] == "某某机械（成都）有限责任公司"
    assert company_forms("四川大学") == ()


def test_a_listed_company_is_not_the_group_that_holds_it() -> None:
    assert company_forms("某某汽车集团有限公司") == ("某某汽车集团有限责任公司",)
    assert company_forms("某某汽车集团股份有限公司") == company_forms("某某汽车（集团）股份有限公司") == ()


@pytest.mark.parametrize(
    ("written", "names"),
    [
        ("蜀北农林大学（原蜀北农学院）", ("蜀北农林大学", "蜀北农学院")),
        ("蜀北农林大学(曾用名：蜀北农学院)", ("蜀北农林大学", "蜀北农学院")),
        ("云耳菌业（巴中）有限公司（原巴中菌业有限公司）", ("云耳菌业(巴中)有限公司", "巴中菌业有限公司")),
        ("中国石油大学（华东）", ("中国石油大学（华东）", None)),
        ("南江中学（原址）", ("南江中学（原址）", None)),
    ],
)
def test_a_former_name_in_brackets_is_another_name(written: str, names: tuple[str, str | None]) -> None:
    assert split_former(written) == names


def test_all_names_of_one_institution_are_looked_for() -> None:
    assert institution_names("蜀北农林大学（原蜀北农学院）") == Names("蜀北农林大学", ("蜀北农学院",))
    assert institution_names("蜀北农林大学园艺学院（原园艺系）") == Names("蜀北农林大学园艺学院（原园艺系）", ())


@given(WRITTEN)
@settings(max_examples=300, deadline=None)
def test_names_do_not_change_when_looked_at_again(text: str) -> None:
    names = institution_names(text)
    again = institution_names(names.name)
    assert again.name == names.name
    mother = mother_name(text)
    if mother:
        assert mother_name(mother) is None
        assert name_key(text).startswith(name_key(mother))
    for form in company_forms(text):
        assert text in company_forms(form)


@given(st.text(max_size=120))
@settings(max_examples=100, deadline=None)
def test_no_text_breaks_it(text: str) -> None:
    institution_names(text)


@pytest.mark.parametrize("piece", ["材料与", "四川大学", "（", "化学", "川", "有限公司", "(原", "农林大学"])
def test_long_text_costs_no_time(piece: str) -> None:
    started = time.perf_counter()
    for length in (99, 100_000):
        institution_names((piece * length)[:length])
        institution_names("四川大学" + (piece * length)[: length - 5] + "x")
    assert time.perf_counter() - started < 0.5


def test_no_university_of_the_country_is_taken_for_a_part_of_another() -> None:
    if not UNIVERSITIES.exists():
        pytest.skip("needs the list of universities beside the repository")
    with UNIVERSITIES.open(encoding="utf-8", newline="") as file:
        names = [row["name"] for row in csv.DictReader(file)]
    merged = {name for name in names if mother_name(name)}
    assert all(name.endswith("校区)") for name in merged), merged
