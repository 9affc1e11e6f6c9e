from __future__ import annotations

import pytest
from hypothesis import given

from matcher.needle import ERASED, Needle
from tests.test_privacy import BEFORE, BEHIND, mails, mobiles


@given(mobiles(), BEFORE, BEHIND)
def test_a_number_is_found_however_it_was_written_and_is_asked_for(number: str, before: str, behind: str) -> None:
    needle = Needle.of(number)
    for written in (number, f"+86-{number.removeprefix('+86')}"):
        text = f"{before}{written}{behind}"
        assert needle.names(written)
        assert needle.stands_in(text)
        assert not needle.stands_in(needle.without(text))


@given(mails())
def test_an_address_is_found_as_it_was_written(mail: str) -> None:
    needle = Needle.of(mail)
    assert needle.names(mail)
    assert needle.without(f"请发至：{mail}。") == f"请发至：{ERASED}。"


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ("13812345678", "113812345678"),
        ("13812345678", "138123456789"),
        ("0827-5261234", "5261234"),
        ("a@b.cn", "aa@b.cn"),
        ("a@b.cn", "a@b.cn.com.x@y"),
        ("张三", "张三丰的拳"),
        ("张三", "开张三天"),
    ],
)
def test_what_is_longer_or_another_is_not_the_person(asked: str, text: str) -> None:
    assert not Needle.of(asked).stands_in(text)
    assert Needle.of(asked).without(text) == text
