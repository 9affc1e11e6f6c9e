"""A letter as a message: what readers see, what programs read, and what no server stumbles over."""

from __future__ import annotations

import datetime
import re
from email import message_from_bytes
from email.header import decode_header, make_header
from email.headerregistry import AddressHeader
from email.message import EmailMessage
from email.policy import default

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matcher.errors import InvalidSubscription, SettingError
from matcher.letters import Letter
from matcher.message import Sender, read_sender, to_message

SENDER = Sender("科技成果匹配平台", "match@sender.example")
MOMENT = datetime.datetime(2026, 11, 23, 1, 2, 3, tzinfo=datetime.UTC)
LINK = "https://match.example.cn/mail/" + "t" * 43 + "/unsubscribe?of=all&x=~"


def made(letter: Letter, sender: Sender = SENDER, id_: str = "mail-1") -> tuple[bytes, EmailMessage]:
    raw = to_message(letter, sender, id_, MOMENT).as_bytes()
    parsed = message_from_bytes(raw, policy=default)
    assert isinstance(parsed, EmailMessage)
    return raw, parsed


def digest(subject: str = "匹配简报", text: str = "正文", html: str = "<p>正文</p>") -> Letter:
    return Letter("reader@receiver.example", subject, text, html, LINK)


def test_what_readers_and_programs_see() -> None:
    subject = "匹配简报：3 条新的强相关成果，含《代料菌袋链孢霉与绿霉侵染的源头阻断和应急处置成套技术》" * 3
    raw, parsed = made(digest(subject))
    assert parsed["Subject"] == subject
    assert str(parsed["From"]) == "科技成果匹配平台 <match@sender.example>"
    assert parsed["To"] == "reader@receiver.example"
    assert parsed["Date"].datetime == MOMENT
    assert parsed["Date"].endswith("+0800")
    assert parsed["Message-ID"] == "<mail-1@sender.example>"
    assert parsed["Content-Language"] == "zh-CN"
    assert parsed["Auto-Submitted"] == "auto-generated"
    assert parsed.get_content_type() == "multipart/alternative"
    plain, html = parsed.iter_parts()
    assert (plain.get_content_type(), plain.get_content().strip()) == ("text/plain", "正文")
    assert (html.get_content_type(), html.get_content().strip()) == ("text/html", "<p>正文</p>")
    assert {part["Content-Transfer-Encoding"] for part in (plain, html)} == {"base64"}
    # As they stand: what programs search for must not be folded or encoded.
    assert f"\r\nList-Unsubscribe: <{LINK}>\r\n".encode() in raw
    assert b"\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" in raw
    assert b"\r\nList-Id: <digest.sender.example>\r\n" in raw
    assert parsed["Precedence"] == "bulk"


def test_a_mail_that_was_just_asked_for_is_no_list_mail() -> None:
    _, parsed = made(Letter("reader@receiver.example", "请确认", "正文", "<p>正文</p>", None))
    assert not [name for name in parsed if name.startswith("List-") or name == "Precedence"]
    assert parsed["Auto-Submitted"] == "auto-generated"


def test_the_same_mail_is_the_same_bytes() -> None:
    assert made(digest())[0] == made(digest())[0]
    assert made(digest(), id_="mail-2")[1]["Message-ID"] == "<mail-2@sender.example>"


def test_encoded_words_are_as_short_as_they_must_be_and_whole() -> None:
    raw, _ = made(digest("甲乙丙丁😀" * 60))
    words = re.findall(rb"=\?utf-8\?[bq]\?[^?]*\?=", raw)
    assert len(words) > 5
    assert all(len(word) <= 75 for word in words)
    for word in words:  # no character is cut in two
        assert "\ufffd" not in str(make_header(decode_header(word.decode())))


@pytest.mark.parametrize("name", ["收件人", "平台\r\nBcc: x@receiver.example", 'a "quoted" <b@c>, d', "点.号;和@"])
def test_no_sender_s_name_is_another_header(name: str) -> None:
    raw, parsed = made(digest(), Sender(name, "match@sender.example"))
    header = parsed["From"]
    assert isinstance(header, AddressHeader)
    assert [one.addr_spec for one in header.addresses] == ["match@sender.example"]
    assert b"\nBcc" not in raw


@pytest.mark.parametrize(
    "address",
    [
        "reader@receiver.example\r\nBcc: other@receiver.example",
        "reader@receiver.example, other@receiver.example",
        "reader@receiver.example> SIZE=1",
        "<reader@receiver.example>",
        "reader",
        "",
        "读者@receiver.example",
        "reader@",
        "@receiver.example",
        "a\0b@receiver.example",
        "reader@[127.0.0.1]",
        "x" * 300 + "@receiver.example",
    ],
)
def test_what_is_no_address_is_refused_without_being_repeated(address: str) -> None:
    with pytest.raises(InvalidSubscription) as caught:
        made(Letter(address, "主题", "正文", "<p>正文</p>", None))
    assert "receiver" not in str(caught.value)


def test_a_chinese_domain_travels_in_its_ascii_form() -> None:
    raw, _ = made(Letter("reader@例子.中国", "主题", "正文", "<p>正文</p>", None))
    assert b"\r\nTo: reader@xn--fsqu00a.xn--fiqs8s\r\n" in raw


@pytest.mark.parametrize("link", ["https://match.example/a\r\nBcc: x@y.example", "javascript:x", "https://例子/", "x>"])
def test_what_is_no_link_is_refused(link: str) -> None:
    with pytest.raises(InvalidSubscription, match="MATCHER_PUBLIC_URL"):
        made(Letter("reader@receiver.example", "主题", "正文", "<p>正文</p>", link))


@settings(max_examples=40, deadline=None)
@given(subject=st.text(max_size=300), text=st.text(max_size=2000), html=st.text(max_size=2000), name=st.text())
def test_whatever_the_words_are_the_message_is_whole(subject: str, text: str, html: str, name: str) -> None:
    raw, parsed = made(digest(subject, text, html), Sender(name, "match@sender.example"))
    assert raw.isascii()
    lines = raw.split(b"\r\n")
    assert all(len(line) < 998 and b"\n" not in line and b"\r" not in line for line in lines)
    names = [name for name in parsed if name not in ("Subject", "From")]
    assert names == [name for name in made(digest())[1] if name not in ("Subject", "From")]
    assert parsed["To"] == "reader@receiver.example"
    assert [part.get_content_type() for part in parsed.iter_parts()] == ["text/plain", "text/html"]
    assert not parsed.defects


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp", "Zs"]), min_size=1, max_size=200))
def test_a_subject_arrives_as_it_was_written(subject: str) -> None:
    raw, _ = made(digest(subject))
    header = re.search(rb"\r\nSubject: (.*?)\r\n(?! )", raw, re.S)
    assert header is not None
    assert str(make_header(decode_header(header[1].decode().replace("\r\n", "")))) == subject


@pytest.mark.parametrize(
    ("value", "name", "address"),
    [
        ("match@sender.example", "", "match@sender.example"),
        ("科技成果匹配平台 <match@sender.example>", "科技成果匹配平台", "match@sender.example"),
        ('"巴中, 科技局" <match@例子.中国>', "巴中, 科技局", "match@xn--fsqu00a.xn--fiqs8s"),
    ],
)
def test_the_sender_that_a_setting_names(value: str, name: str, address: str) -> None:
    sender = read_sender(value)
    assert (sender.name, sender.address) == (name, address)


@pytest.mark.parametrize(
    "value", [None, "", "平台", "a@b.example, c@d.example", "a@b.example\nBcc: c@d.example", "a@b"]
)
def test_a_setting_that_names_none_is_named(value: str | None) -> None:
    with pytest.raises(SettingError, match="MATCHER_MAIL_FROM"):
        read_sender(value)
