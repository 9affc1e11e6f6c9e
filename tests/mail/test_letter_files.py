"""Mails as files: what a rehearsal leaves behind."""

from __future__ import annotations

import datetime
import stat
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest

from matcher.errors import InvalidSubscription, MatcherError
from matcher.letter_files import write_letters
from matcher.message import Sender
from tests.mail.support import letter

SENDER = Sender("科技成果匹配平台", "match@sender.example")
MOMENT = datetime.datetime(2026, 11, 23, tzinfo=datetime.UTC)


def write(folder: Path, *ids: str, subject: str = "主题") -> list[Path]:
    letters = [(id_, letter(f"{id_}-reader@receiver.example", subject)) for id_ in ids]
    return write_letters(letters, folder, SENDER, MOMENT)


def test_each_mail_is_a_file_that_mail_programs_open(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "rehearsal"
    files = write(folder, "sub-1", "sub-2")
    assert [file.name for file in files] == ["sub-1.eml", "sub-2.eml"], "no address in a name"
    opened = message_from_bytes(files[1].read_bytes(), policy=default)
    assert (opened["To"], opened["Subject"]) == ("sub-2-reader@receiver.example", "主题")
    # There are addresses in them.
    assert [stat.S_IMODE(path.stat().st_mode) for path in (folder, *files)] == [0o700, 0o600, 0o600]


def test_a_second_rehearsal_replaces_the_first_one_s_files(tmp_path: Path) -> None:
    write(tmp_path, "sub-1", "sub-2")
    outside = tmp_path.parent / "outside.txt"
    outside.write_text("mine")
    (tmp_path / "sub-1.eml").unlink()
    (tmp_path / "sub-1.eml").symlink_to(outside)
    (file,) = write(tmp_path, "sub-1", subject="另一个")
    assert message_from_bytes(file.read_bytes(), policy=default)["Subject"] == "另一个"
    assert outside.read_text() == "mine", "a link is replaced, not followed"


def test_a_rehearsal_leaves_what_would_be_sent_now_and_what_is_not_its_own(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    (tmp_path / "letter.eml").touch()
    write(tmp_path, "sbr-1", "sbr-2")
    write(tmp_path, "sbr-2")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["letter.eml", "notes.txt", "sbr-2.eml"]
    with pytest.raises(MatcherError, match="是文件"):
        write(tmp_path / "notes.txt", "sbr-1")


@pytest.mark.parametrize("id_", ["../sub-1", "", "a/b", "sub-1\n", "reader@receiver.example", "-"])
def test_an_id_that_is_no_file_name_is_refused(id_: str, tmp_path: Path) -> None:
    with pytest.raises(MatcherError):
        write_letters([(id_, letter("a@b.example"))], tmp_path / "own", SENDER, MOMENT)
    assert list((tmp_path / "own").iterdir()) == []


def test_a_letter_to_nobody_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidSubscription):
        write_letters([("sub-1", letter("nobody"))], tmp_path, SENDER, MOMENT)
