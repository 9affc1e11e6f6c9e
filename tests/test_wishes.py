from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from matcher import queries
from matcher.addresses import ADDRESS_LIMIT, check_address, same_address
from matcher.errors import InvalidSubscription
from matcher.records import ABSTRACT_LIMIT, PROGRAMME_CODES, TITLE_LIMIT
from matcher.regions import name_of
from matcher.wishes import FOLLOWS, MAILED_KINDS, REGION_LIMIT, Wish, region_prefix

TEXT = Wish(follows="text", text="银耳烘干")


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("Zhang.San@Example.COM", "Zhang.San@example.com"),
        (" reader+news@mail.example\n", "reader+news@mail.example"),
        ("ｒｅａｄｅｒ＠ｅｘａｍｐｌｅ．ｃｎ", "reader@example.cn"),
        ("reader@例子.中国", "reader@xn--fsqu00a.xn--fiqs8s"),
        ("138_00-1@qq.example", "138_00-1@qq.example"),
    ],
)
def test_an_address_is_kept_as_it_was_typed_with_its_domain_in_one_form(typed: str, kept: str) -> None:
    assert check_address(typed) == kept


@pytest.mark.parametrize(
    "typed",
    [
        *("", "reader", "@example.cn", "reader@", "reader@localhost", "reader@example", "a b@example.cn"),
        *("张三@example.cn", '"a b"@example.cn', "reader@[127.0.0.1]", "Reader <reader@example.cn>"),
        *("a@b.example,c@d.example", "a@b..example", "a@b.example\r\nBcc: c@d.example", "a" * 65 + "@b.example"),
        *("\0@b.example", "a@\ud800.example", "a@b.invalid", "a" * 60 + "@" + "long-label." * 18 + "example"),
    ],
)
def test_what_is_no_address_is_refused(typed: str) -> None:
    with pytest.raises(InvalidSubscription) as told:
        check_address(typed)
    # The sentence goes into answers and logs, the address does not.
    assert str(told.value) == "邮箱：不是可用的邮箱地址；应形如 name@example.cn，只用英文字母、数字和常见符号"


@settings(deadline=None)
@given(st.one_of(st.emails(), st.text(max_size=40), st.from_regex(r"\A[^@]{1,9}@[^@]{1,9}\.[a-z]{2,4}\Z")))
@example("a@xn--a.example")
@example("a@b.example\u2028")
def test_whatever_is_typed_becomes_a_plain_address_or_is_refused(typed: str) -> None:
    try:
        kept = check_address(typed)
    except InvalidSubscription:
        return
    assert kept.isascii()
    assert kept.isprintable()
    assert not set(' <>,;:"()[]') & set(kept)
    assert kept.count("@") == 1
    assert len(kept) <= ADDRESS_LIMIT
    local, _, domain = kept.partition("@")
    assert domain == domain.lower()
    assert check_address(kept) == kept
    assert same_address(check_address(f"{local.upper()}@{domain}")) == same_address(kept)


@pytest.mark.parametrize(
    ("written", "prefix"),
    [
        *(("四川省", "51"), ("川", "51"), ("510000", "51"), ("巴中市", "5119"), ("511900", "5119"), ("5119", "5119")),
        *(
            ("南江县", "511922"),
            ("四川省巴中市南江县", "511922"),
            ("济源市", "419001"),
            ("北京", "11"),
            ("郫县", "510117"),
        ),
    ],
)
def test_a_place_is_kept_as_the_digits_that_all_within_it_share(written: str, prefix: str) -> None:
    assert region_prefix(written) == prefix
    assert name_of(prefix)


@pytest.mark.parametrize(
    "written", ["", "朝阳区", "鼓楼区", "99", "999999", "5", "51192", "四川省不知道县", "火星", "\0"]
)
def test_a_place_that_is_none_or_several_is_refused(written: str) -> None:
    with pytest.raises(InvalidSubscription, match="地区"):
        region_prefix(written)


@settings(deadline=None)
@given(st.text(max_size=12) | st.integers(0, 999999).map(str) | st.sampled_from(["四川", "巴中", "县", "市辖区"]))
def test_whatever_is_written_is_a_place_or_refused(written: str) -> None:
    try:
        prefix = region_prefix(written)
    except InvalidSubscription:
        return
    assert name_of(prefix)
    assert region_prefix(prefix) == prefix


WISHES = st.builds(
    lambda **values: Wish(follows="text", **values),
    text=st.text("银耳烘干 \n\0\u200b", max_size=20).map(lambda text: f"求{text}"),
    title=st.text("热泵\n ", max_size=10),
    kinds=st.lists(st.sampled_from(MAILED_KINDS)).map(tuple),
    programmes=st.lists(st.sampled_from(PROGRAMME_CODES)).map(tuple),
    regions=st.lists(st.sampled_from(["四川省", "51", "巴中市", "511922", "重庆市", "陕西"]), max_size=9).map(tuple),
    min_level=st.integers(2, 4),
    frequency=st.sampled_from(["daily", "weekly"]),
)


@settings(deadline=None)
@given(WISHES)
def test_a_wish_is_the_same_however_often_it_is_made(wish: Wish) -> None:
    assert Wish(**vars(wish)) == wish
    lists: dict[str, Any] = {name: getattr(wish, name)[::-1] * 2 for name in ("kinds", "programmes", "regions")}
    assert dataclasses.replace(wish, **lists) == wish
    assert not any(one != other and one.startswith(other) for one in wish.regions for other in wish.regions)
    assert wish.kinds
    assert "\0" not in wish.text


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"text": ""}, "文字"),
        ({"text": " \n\u200b"}, "文字"),
        ({"text": "银" * (ABSTRACT_LIMIT + 1)}, "文字"),
        ({"title": "银" * (TITLE_LIMIT + 1)}, "标题"),
        ({"kinds": ("institution",)}, "类型"),
        ({"programmes": ("aerospace",)}, "专项"),
        ({"regions": ("火星",)}, "地区"),
        ({"regions": ("四川",) * (REGION_LIMIT + 1)}, "地区"),
        ({"min_level": 1}, "最低关联度"),
        ({"min_level": 5}, "最低关联度"),
        ({"frequency": "hourly"}, "频率"),
        ({"follows": "everything"}, "订阅方式"),
        ({"subject": "need-1"}, "编号"),
        ({"follows": "record", "text": ""}, "编号"),
        ({"follows": "institution", "subject": "org-1"}, "文字"),
        ({"follows": "own", "text": "", "kinds": ("need",)}, "类型"),
        ({"follows": "own", "text": "", "subject": "need-1"}, "编号"),
    ],
)
def test_what_cannot_be_wished_for_is_named(values: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidSubscription) as told:
        dataclasses.replace(TEXT, **values)
    assert told.value.field == field


def test_all_that_may_be_asked_may_be_followed() -> None:
    assert (ABSTRACT_LIMIT, TITLE_LIMIT) == (queries.TEXT_LIMIT, queries.TITLE_LIMIT)
    assert set(FOLLOWS) == {"text", "record", "institution", "own"}
