"""A letter as the message that travels: RFC 5322 headers, text and HTML, in seven bits and short lines."""

from __future__ import annotations

import datetime
import re
from binascii import b2a_base64
from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import format_datetime, getaddresses
from typing import Any

from matcher.addresses import check_address
from matcher.errors import InvalidSubscription, SettingError
from matcher.letters import Letter
from matcher.life import CHINA

# RFC 5321 lets a server cut or refuse what is longer; all of ours are below 80 but for the headers as they are.
LINE_LIMIT = 998
# Of UTF-8 in an encoded word: 60 characters of base64, and 12 around them.
_WORD_BYTES = 45
# Control characters, line separators and halves of surrogate pairs: in a header they begin another header, at the
# end of a mistaken server, or nothing at all.
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_LINK = re.compile(r"https?://[!-;=?-~]+")
_NO_SENDER = "没有设置发件人，不能发信。请设置 MATCHER_MAIL_FROM，例如 科技成果匹配平台 <match@example.cn>。"
_BAD_SENDER = (
    "设置 MATCHER_MAIL_FROM 的值“{value}”不是一个邮件地址。"
    "请写成“名称 <地址>”或只写地址，例如 科技成果匹配平台 <match@example.cn>。"
)


@dataclass(frozen=True)
class Sender:
    """Who the mails are from: the name that readers see, and the address that refusals come back to."""

    name: str
    address: str

    @property
    def domain(self) -> str:
        """Behind the @."""
        return self.address.rpartition("@")[2]


class _Policy(EmailPolicy):
    """SMTP's, but the headers of ours are written by other means than the standard library's newer ones.

    Those encode what is long and has no blank, and then no reader finds the link in it; and their encoded words are
    now and then longer than RFC 2047 allows.
    """

    _AS_IS = frozenset({"list-unsubscribe", "list-unsubscribe-post", "message-id", "list-id", "to"})

    def fold(self, name: str, value: Any) -> str:
        if name.lower() in self._AS_IS:
            return f"{name}: {value}{self.linesep}"
        if name.lower() == "subject":
            return f"{name}: {_encoded(str(value))}{self.linesep}"
        if name.lower() == "from":
            mailbox = value.addresses[0]
            shown = f"{_encoded(mailbox.display_name)}{self.linesep} " if mailbox.display_name else ""
            return f"{name}: {shown}<{mailbox.addr_spec}>{self.linesep}"
        folded: str = super().fold(name, value)
        return folded

    def fold_binary(self, name: str, value: Any) -> bytes:
        return self.fold(name, value).encode("ascii")


def _encoded(text: str) -> str:
    """As encoded words of RFC 2047, one a line, none longer than 75 characters and none with part of a character."""
    words, word = [], b""
    for character in text:
        own = character.encode("utf-8")
        if len(word) + len(own) > _WORD_BYTES:
            words.append(word)
            word = b""
        word += own
    return "\r\n ".join(f"=?utf-8?b?{b2a_base64(word, newline=False).decode()}?=" for word in [*words, word] if word)


_POLICY = _Policy(linesep="\r\n")


def read_sender(value: str | None) -> Sender:
    """The sender that the setting MATCHER_MAIL_FROM names.

    :raises SettingError: if there is none, or it is no address.
    """
    if not value:
        raise SettingError(_NO_SENDER)
    found = getaddresses([value]) if not _UNPRINTABLE.search(value) else []
    try:
        if len(found) == 1:
            return Sender(found[0][0], check_address(found[0][1]))
    except InvalidSubscription as error:
        raise SettingError(_BAD_SENDER.format(value=value[:200])) from error
    raise SettingError(_BAD_SENDER.format(value=_UNPRINTABLE.sub(" ", value)[:200]))


def message_id(id_: str, sender: Sender) -> str:
    """The same for a mail however often it is sent, so that whoever gets it twice can tell."""
    return f"<{id_}@{sender.domain}>"


def to_message(letter: Letter, sender: Sender, id_: str, moment: datetime.datetime) -> EmailMessage:
    """The message of a letter.

    All content is base64, so that servers without 8BITMIME take it and no line is long. The same letter with the same
    id and moment gives the same bytes.

    :param id_: of letters, digits and hyphens; the mail's in the outbox.
    :raises InvalidSubscription: if the address, or the link in `letter.unsubscribe`, is none.
    """
    message = EmailMessage(policy=_POLICY)
    message["From"] = Address(_one_line(sender.name), *_parts(sender.address))
    message["To"] = Address("", *_parts(check_address(letter.to)))
    message["Subject"] = _one_line(letter.subject)
    message["Date"] = format_datetime(moment.astimezone(CHINA))
    message["Message-ID"] = message_id(id_, sender)
    # RFC 3834: nobody's out-of-office notice should answer.
    message["Auto-Submitted"] = "auto-generated"
    if letter.unsubscribe is not None:
        if not _LINK.fullmatch(letter.unsubscribe) or len(letter.unsubscribe) > LINE_LIMIT - 100:
            raise InvalidSubscription("退订链接", "不是一个网址；请检查设置 MATCHER_PUBLIC_URL")
        message["List-Id"] = f"<digest.{sender.domain}>"
        message["List-Unsubscribe"] = f"<{letter.unsubscribe}>"
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
        # For the older of the programs that answer by themselves. A mail that was just asked for is no bulk mail.
        message["Precedence"] = "bulk"
    message.set_content(_SURROGATE.sub("\ufffd", letter.text), charset="utf-8", cte="base64")
    message.add_alternative(_SURROGATE.sub("\ufffd", letter.html), subtype="html", charset="utf-8", cte="base64")
    message["Content-Language"] = "zh-CN"  # before there are parts it would become the first one's
    message.set_boundary(f"=_{id_}")  # base64 has no underscore
    return message


def _parts(address: str) -> tuple[str, str]:
    local, _, domain = address.rpartition("@")
    return local, domain


def _one_line(text: str) -> str:
    return " ".join(_UNPRINTABLE.sub(" ", text).split())
