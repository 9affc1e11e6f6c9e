from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matcher.disguise import SOMEBODY, without_names

RED_LIGHT = "四川省巴中市红光食品有限公司"

CASES = [
    # However much of the name is written, and in whatever way.
    (RED_LIGHT, "我公司四川红光食品有限公司成立于2010年", "我公司某企业成立于2010年"),
    (RED_LIGHT, "四川省巴中市红光食品有限责任公司", "某企业"),
    (RED_LIGHT, "红光食品的产品", "某企业的产品"),
    (RED_LIGHT, "红光（巴中）食品有限公司", "某企业"),
    (RED_LIGHT, "红 光 食 品、巴中红光食品厂", "某企业、某企业"),
    (RED_LIGHT, "“红光”牌火腿，红光公司", "“某企业”牌火腿，某企业"),
    ("红光食品（四川）有限公司", "红光食品有限公司；红光食品(四川)", "某企业；某企业"),
    ("BYD汽车有限公司", "ＢＹＤ汽车，byd的电池，abyde", "某企业，某企业的电池，abyde"),
    ("Foo Bar Co., Ltd.", "FOO BAR CO. LTD 的产线", "某企业 的产线"),
    ("南江县米仓山茶业集团有限公司", "米仓山茶业产自米仓山，米仓山集团", "某企业产自米仓山，某企业"),
    ("通威股份有限公司", "通威目前养殖，交通威胁，通威公司", "某企业目前养殖，交通威胁，某企业"),
    ("海底捞餐饮有限公司", "海底捞的火锅", "某企业的火锅"),
    # A brand that is a word of the language is not replaced where it is that word.
    (RED_LIGHT, "用红光照射食品", "用红光照射食品"),
    ("巴中绿色食品有限公司", "绿色食品加工，巴中绿色食品有限公司", "绿色食品加工，某企业"),
    ("现代农业有限公司", "发展现代农业", "发展现代农业"),
    ("四川通江银耳科技有限公司", "银耳烘干的科技含量，通江银耳科技", "银耳烘干的科技含量，某企业"),
    # Nothing that could be a name.
    ("公司", "公司需要烘干设备", "公司需要烘干设备"),
    ("（）", "（）", "（）"),
]


@pytest.mark.parametrize(("name", "text", "shown"), CASES)
def test_an_enterprise_is_not_told_from_its_own_text(name: str, text: str, shown: str) -> None:
    assert without_names(text, [name]) == shown


def test_aliases_are_hidden_too_and_without_names_all_stays() -> None:
    assert without_names("红光食品（原巴山罐头厂）", [RED_LIGHT, "巴山罐头厂"]) == "某企业（原某企业）"
    assert without_names("红光食品", []) == "红光食品"


WORDS = st.lists(
    st.sampled_from(["红", "光", "食品", "四川", "省", "有限公司", "（", " ", "绿色", "牌", SOMEBODY, "的", "a"]),
    max_size=8,
)


@given(WORDS.map("".join) | st.text(max_size=20), WORDS.map("".join) | st.text())
def test_any_name_and_text_are_taken_and_the_full_name_never_stays(name: str, text: str) -> None:
    shown = without_names(text + "，四川红光食品有限公司，" + text, [name, "四川红光食品有限公司"])
    assert "红光食品" not in shown
    assert without_names(shown, [name, "四川红光食品有限公司"]) == shown or SOMEBODY in name


@pytest.mark.parametrize("piece", ["红光", "四川", "红光（", "四川巴中", "红 ", " ", "通威", "(a)"])
def test_a_long_hostile_text_takes_linear_time(piece: str) -> None:
    text = piece * (100_000 // len(piece))
    names = [RED_LIGHT, "通威股份有限公司"]
    without_names("", names)
    start = time.process_time()
    without_names(text, names)
    assert time.process_time() - start < 3
