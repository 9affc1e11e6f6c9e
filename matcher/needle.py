"""Whoever is named by a telephone number, a mail address or a name: where a text speaks of that person."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

from matcher.errors import InvalidQuery
from matcher.privacy import personal_data
from matcher.shadow import HAN_DIGITS, Shadow

ERASED: Final = "［已删除］"
_FEWEST_DIGITS: Final = 7
_MAIL_HINT: Final = re.compile("[@＠﹫#＃艾]|[aAａＡ][tTｔＴ]")
_DIGITS_HINT: Final = re.compile(rf"(?:[\d{HAN_DIGITS}][^\d{HAN_DIGITS}]{{0,8}}){{{_FEWEST_DIGITS}}}")
_LATIN_HINT: Final = re.compile("[A-Za-zＡ-Ｚａ-ｚ]")
_SHORTEST_NAME: Final = 2
_GAP: Final = r"[ \t\-.·_/()]{0,3}"
_AT: Final = r"(?: ?@ ?| ?[\[({]at[\])}] ?| at |#|艾特)"
_ENDS_NAME: Final = (
    r"(?=[^\u4e00-\u9fff]|$|电话|手机|联系|邮箱|微信"
    r"|先生|女士|小姐|老师|教授|博士|经理|主任|总|工|所长|院长|处长|部长|厂长)"
)


@dataclass(frozen=True)
class Needle:
    """What names a person, however it is written.

    :param hint: what a text must hold at least, before its form is made: that takes ten times as long.
    :param is_name: a name may be anybody's, so in free text it counts only where it stands for a contact.
    """

    pattern: re.Pattern[str]
    hint: re.Pattern[str]
    is_name: bool

    @classmethod
    def of(cls, text: str) -> Needle:
        """Understand what a person gives as his own.

        :raises InvalidQuery: if it is too little to tell one person from others.
        """
        form = Shadow.of(text).text.strip()
        digits = re.sub(r"\D", "", form)
        if "@" not in form and "." in form:
            form = re.sub(_AT, "@", form, count=1)
        if "@" in form:
            local, _, domain = (part.strip() for part in form.partition("@"))
            if local and "." in domain:
                dots = r" ?[.。] ?".join(map(re.escape, domain.split(".")))
                return cls(
                    re.compile(rf"(?<![a-z0-9_.+\-]){re.escape(local)}{_AT}{dots}(?![a-z0-9\-]|\.[a-z])"),
                    _MAIL_HINT,
                    False,
                )
        elif len(digits) >= _FEWEST_DIGITS and not re.search("[a-z\u4e00-\u9fff]", form):
            own = re.sub("^(?:00)?86(?=1[3-9][0-9]{9}$)", "", digits)
            return cls(re.compile(rf"(?<![0-9])(?:(?:00)?86{_GAP})?{_GAP.join(own)}(?![0-9])"), _DIGITS_HINT, False)
        elif len(form) >= _SHORTEST_NAME and not digits:
            name = r"\s{0,2}".join(re.escape(one) for one in form if not one.isspace())
            edges = (r"(?<![a-z])", r"(?![a-z])") if form.isascii() else ("", _ENDS_NAME)
            hint = _LATIN_HINT if form.isascii() else re.compile(re.escape(form[0]))
            return cls(re.compile(f"{edges[0]}{name}{edges[1]}"), hint, True)
        raise InvalidQuery("联系方式", "请给出完整的手机号、带区号的电话、邮箱或姓名")

    @property
    def anywhere(self) -> Needle:
        """The same for texts that are about persons, where a bare name is one."""
        return replace(self, is_name=False)

    def names(self, contact: str) -> bool:
        """Whether a contact, which is a person's whatever stands in it, is this one's."""
        return self.pattern.search(Shadow.of(contact).text) is not None

    def stands_in(self, text: str) -> bool:
        """Whether a free text speaks of the person."""
        return bool(self._places(text))

    def without(self, text: str) -> str:
        """A free text with a mark in the person's place."""
        pieces: list[str] = []
        end = 0
        for start, stop in self._places(text):
            pieces += (text[end:start], ERASED)
            end = stop
        return "".join(pieces) + text[end:]

    def _places(self, text: str) -> list[tuple[int, int]]:
        if not self.hint.search(text):
            return []
        shadow = Shadow.of(text)
        places = [shadow.place(*one.span()) for one in self.pattern.finditer(shadow.text)]
        if places and self.is_name:
            names = [(span.start, span.stop) for span in personal_data(text) if span.kind == "name"]
            places = [one for one in places if any(start <= one[0] and one[1] <= stop for start, stop in names)]
        return places
