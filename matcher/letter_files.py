"""Mails as files instead of sending them: what `--dry-run` writes."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable
from pathlib import Path

from matcher.errors import FieldError, MatcherError
from matcher.faults import room_for
from matcher.letters import Letter
from matcher.message import Sender, to_message

SUFFIX = ".eml"
# The names of an earlier rehearsal's files: ids of subscribers.
_OURS = re.compile(r"sbr-[0-9a-f]+\.eml")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
_NO_FOLDER = "{folder} 是文件，不是目录。请另给一个目录。"


def write_letters(
    letters: Iterable[tuple[str, Letter]], folder: Path, sender: Sender, moment: datetime.datetime
) -> list[Path]:
    """Write each letter as the message that would be sent. The outbox is not touched.

    :param letters: each with an id, of the mail or of its reader, which names the file; never the address.
    :param folder: made if it is missing. Mails of an earlier rehearsal are removed from it, and nothing else: what is
        there afterwards is what would be sent now. Only this user may read the files.
    :returns: the files, in the order of the letters.
    :raises MatcherError: if it is a file.
    :raises InvalidSubscription: if a letter's address is none.
    :raises DiskFull: if there is no room.
    """
    if folder.exists() and not folder.is_dir():
        raise MatcherError(_NO_FOLDER.format(folder=folder))
    written = []
    with room_for("试运行的邮件", folder, "没有发出任何邮件。"):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in folder.iterdir():
            if _OURS.fullmatch(path.name):
                path.unlink()
        for id_, letter in letters:
            if not _NAME.fullmatch(id_):
                raise FieldError("邮件编号", "只能由字母、数字和短横组成")
            path = folder / f"{id_}{SUFFIX}"
            path.unlink(missing_ok=True)  # a link of this name is not followed, and the file's rights are ours
            path.touch(mode=0o600, exist_ok=False)
            path.write_bytes(to_message(letter, sender, id_, moment).as_bytes())
            written.append(path)
    return written
