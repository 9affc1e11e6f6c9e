"""Sends what waits in the outbox: paced, over one connection, each mail as often as it takes and no more than once.

A mail that is lost with its connection before the server answered goes back and is sent again, with the same
Message-ID: RFC 5321 gives a server the responsibility for a mail with its 250 and not before, so whoever has not
heard it must try again (4.2.5, 6.1). That holds as long as this process lives to know it; docs/mail.md tells of the
other case.
"""

from __future__ import annotations

import datetime
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from matcher.addresses import check_address
from matcher.database import Database
from matcher.errors import Busy, FieldError, MailUnavailable, MatcherError, NotFound
from matcher.letters import Letter
from matcher.message import Sender, read_sender, to_message
from matcher.outbox import Outbox, Waiting
from matcher.refusals import without_addresses
from matcher.settings import Settings
from matcher.smtp import Answer, Line, Lost

# Seconds that a run waits in all for a server that is away and for mails that it put off. Chosen: longer than a
# restart of the server, and short beside a night.
PATIENCE = 120.0
# Seconds before a second attempt, doubled with each, and the most of them.
FIRST_BACKOFF = 2.0
LONGEST_BACKOFF = 3600.0
# After so long a mail that was always put off counts as refused (RFC 5321, 4.5.4.1: four to five days).
GIVE_UP_AFTER = datetime.timedelta(days=5)
# Servers close connections that have carried too much (Postfix, Exim: 100 to 1000).
MAILS_PER_CONNECTION = 100
# Refusals of content or sender, one after the other, that say that the trouble is ours, and none of the readers'.
REFUSED_IN_A_ROW = 10
# Mails read from the outbox at once.
_PAGE = 200
_KEPT = "没有发出的邮件都还在待发队列中。"
_AWAY = (
    "连不上发信服务器 {where}，或连接总是中断（{reason}），已重试 {tries} 次。" + _KEPT + "请检查 MATCHER_SMTP_HOST、"
    "MATCHER_SMTP_PORT、MATCHER_SMTP_SECURITY、网络和该服务器，然后运行 matcher outbox。"
)
_SENDER_REFUSED = (
    "发信服务器 {where} 不接受发件人（{reason}）。" + _KEPT + "请检查 MATCHER_MAIL_FROM 是否属于登录所用的账号、"
    "是否要登录（MATCHER_SMTP_USER），然后运行 matcher outbox。"
)
_ALL_REFUSED = (
    "发信服务器 {where} 接连拒收了 {count} 封邮件，原因都不在收件人（最后一次：{reason}），已停止发信。"
    + _KEPT
    + "请按"
    "该原因检查服务器和 MATCHER_MAIL_FROM；解决后用 matcher outbox --resend 编号 重发这几封。"
)
_ALREADY_SENDING = "另一个进程正在发信。请等它结束后再试。"
_REFUSED = {"sender": "服务器拒收", "recipient": "收件地址被拒收", "message": "邮件内容被拒收"}
_GIVEN_UP = "连续 {days} 天没有发出，已放弃；最后一次：{reason}"

# Given a mail, what it says now; a sentence where there is nothing to say, and why.
Compose = Callable[[Waiting], "Letter | str"]


@dataclass(frozen=True)
class Clock:
    """Time, so that tests need not wait for it."""

    now: Callable[[], datetime.datetime] = lambda: datetime.datetime.now(datetime.UTC)
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True)
class Failure:
    """A mail that will not be taken, and why; without any address."""

    id: str
    message: str


@dataclass(frozen=True)
class SendReport:
    """What a run did.

    :param postponed: tried, and left for a later run.
    :param skipped: reason to number.
    :param unconfirmed: ids of mails at whose handover an earlier run died.
    :param stopped: why the run ended before its time, a sentence; None if it did not.
    """

    sent: int
    postponed: int
    failed: tuple[Failure, ...]
    skipped: Mapping[str, int]
    unconfirmed: tuple[str, ...]
    seconds: float
    stopped: str | None = None

    @property
    def clean(self) -> bool:
        """Whether nobody need look at anything."""
        return not self.failed and not self.unconfirmed and self.stopped is None

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "sent": self.sent,
            "postponed": self.postponed,
            "failed": [{"id": one.id, "message": one.message} for one in self.failed],
            "skipped": dict(self.skipped),
            "unconfirmed": list(self.unconfirmed),
            "seconds": round(self.seconds, 3),
            "stopped": self.stopped,
        }


@dataclass
class _Counts:
    sent: int = 0
    postponed: set[int] = field(default_factory=set)
    failed: list[Failure] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    unconfirmed: list[str] = field(default_factory=list)


@contextmanager
def only_sender(database: Database, home: Path, wait: float = 0) -> Iterator[None]:
    """Hold the lock that one sending process has, on this machine and among those that share a PostgreSQL database.

    :param wait: seconds to wait for another one.
    :raises Busy: if it sends for longer.
    """
    home.mkdir(parents=True, exist_ok=True)
    lock = FileLock(home / "mail.lock", timeout=wait)
    try:
        lock.acquire()
    except Timeout as error:
        raise Busy(_ALREADY_SENDING) from error
    try:
        with database.exclusive("mail", wait, _ALREADY_SENDING):
            yield
    finally:
        lock.release()


def send_waiting(database: Database, settings: Settings, compose: Compose, clock: Clock | None = None) -> SendReport:
    """Send all mails whose time has come; what cannot be sent now waits for the next run.

    :param compose: is called just before a mail is claimed, so that it says what may be said at that moment.
    :raises SettingError: if MATCHER_SMTP_HOST or MATCHER_MAIL_FROM is missing, or wrong.
    :raises Busy: if another process is sending.
    """
    require_settings(settings)
    with only_sender(database, settings.home):
        return send_locked(database, settings, compose, clock)


def require_settings(settings: Settings) -> Sender:
    """Who the mails are from, where the settings suffice for sending any.

    :raises SettingError: if they do not.
    """
    sender = read_sender(settings.mail_from)
    Line(settings, sender.domain)
    return sender


def send_locked(database: Database, settings: Settings, compose: Compose, clock: Clock | None = None) -> SendReport:
    """What `send_waiting` does, for a process that holds the lock of `only_sender` already."""
    sender = read_sender(settings.mail_from)
    line = Line(settings, sender.domain)
    sending = Sending(Outbox(database), line, sender, compose, settings.mail_per_minute, clock or Clock())
    try:
        sending.run()
    except MailUnavailable as error:
        return sending.report(str(error))
    return sending.report()


class Sending:
    """One run, by the process that holds the lock."""

    def __init__(
        self, outbox: Outbox, line: Line, sender: Sender, compose: Compose, per_minute: int, clock: Clock
    ) -> None:
        """:param per_minute: mails at most, evenly spaced."""
        self._outbox = outbox
        self._line = line
        self._sender = sender
        self._compose = compose
        self._clock = clock
        self._interval = 60.0 / per_minute
        self._next = self._began = clock.monotonic()
        self._patience = PATIENCE
        self._counts = _Counts()
        # Connections that failed, and mails refused for reasons of ours, since the last that went well.
        self._lost: list[str] = []
        self._refused = 0

    def run(self) -> None:
        """Send until nothing waits whose time comes soon.

        :raises MailUnavailable: if the server cannot be used; all that was not sent waits.
        """
        self._counts.unconfirmed = self._outbox.recover()
        try:
            while (rows := self._outbox.due(self._clock.now(), _PAGE)) or self._waited():
                for row in rows:
                    self._send(row)
        except BaseException:
            self._line.drop()
            raise
        self._line.close()

    def report(self, stopped: str | None = None) -> SendReport:
        """What was done so far."""
        counts = self._counts
        seconds = self._clock.monotonic() - self._began
        return SendReport(
            counts.sent,
            len(counts.postponed),
            tuple(counts.failed),
            dict(counts.skipped),
            tuple(counts.unconfirmed),
            seconds,
            stopped,
        )

    # ------------------------------------------------------------ one mail

    def _send(self, row: Waiting) -> None:
        self._pace()
        self._connect()
        written = self._written(row)
        if written is None or not self._outbox.claim(row.key):
            return
        receiver, message = written
        try:
            answer = self._transmitted(row, receiver, message)
        except Lost as lost:
            self._lost.append(lost.reason)
            self._postpone(row, lost.reason)
            return
        except MailUnavailable as error:  # the server was left, and does not let us in again
            self._postpone(row, str(error))
            raise
        if answer is not None:
            self._lost.clear()
            self._judge(row, answer)

    def _written(self, row: Waiting) -> tuple[str, bytes] | None:
        """The mail as it is now; None if there is nothing to send, which is noted."""
        try:
            letter = self._compose(row)
            if isinstance(letter, str):
                self._outbox.skipped(row.key, letter)
                self._counts.skipped[letter] += 1
                self._counts.postponed.discard(row.key)
                return None
            message = to_message(letter, self._sender, row.id, self._clock.now())
            return check_address(letter.to), message.as_bytes()
        except (FieldError, NotFound) as error:
            self._fail(row, without_addresses(str(error)))
        except MatcherError:  # of the installation, and so of all mails
            raise
        except Exception as error:  # whatever it is, it stays with the mail that has it
            frame = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{type(error).__name__}，{Path(frame.filename).name}:{frame.lineno}"
            self._fail(row, f"撰写这封邮件时程序出错（{place}）")
        return None

    def _transmitted(self, row: Waiting, receiver: str, message: bytes) -> Answer | None:
        """Over a connection that has carried others a mail gets a second chance: servers end those as they like."""
        handed = False

        def handing() -> bool:
            nonlocal handed
            handed = self._outbox.handed(row.key)
            return handed

        used = self._line.carried > 0
        try:
            return self._line.transmit(self._sender.address, receiver, message, handing)
        except Lost:
            if not used or handed:
                raise
        self._line.open()
        return self._line.transmit(self._sender.address, receiver, message, handing)

    def _judge(self, row: Waiting, answer: Answer) -> None:
        reply = answer.reply
        if reply.accepted:
            self._outbox.sent(row.key)
            self._counts.sent += 1
            self._counts.postponed.discard(row.key)
            self._refused = 0
            return
        reason = f"{_REFUSED[answer.stage]}（{reply}）"
        if not reply.permanent:
            self._postpone(row, reason)
            return
        # 552 to MAIL says that this mail is too large; anything else concerns the sender of all of them.
        if answer.stage == "sender" and reply.code != 552:
            self._postpone(row, reason)
            raise MailUnavailable(_SENDER_REFUSED.format(where=self._line.where, reason=reply))
        of_recipient = answer.stage == "recipient" and reply.of_recipient
        self._fail(row, reason, answer if of_recipient else None)
        self._refused = 0 if of_recipient else self._refused + 1
        if self._refused >= REFUSED_IN_A_ROW:
            where = self._line.where
            raise MailUnavailable(_ALL_REFUSED.format(where=where, count=self._refused, reason=reply))

    def _fail(self, row: Waiting, message: str, bounce: Answer | None = None) -> None:
        self._outbox.failed(row.key, message, bounce.reply if bounce else None)
        self._counts.failed.append(Failure(row.id, message))
        self._counts.postponed.discard(row.key)

    def _postpone(self, row: Waiting, reason: str) -> None:
        now = self._clock.now()
        if now - datetime.datetime.fromisoformat(row.created_at) > GIVE_UP_AFTER:
            self._fail(row, _GIVEN_UP.format(days=GIVE_UP_AFTER.days, reason=reason))
            return
        self._outbox.postpone(row.key, now + datetime.timedelta(seconds=_backoff(row.attempts)), reason)
        self._counts.postponed.add(row.key)

    # ------------------------------------------------------------ time

    def _pace(self) -> None:
        """Wait for the mail's turn."""
        now = self._clock.monotonic()
        if now < self._next:
            self._clock.sleep(self._next - now)
        self._next = max(now, self._next) + self._interval

    def _connect(self) -> None:
        """See to it that a mail can begin, waiting for the server as long as there is patience.

        :raises MailUnavailable: if there is none left, or waiting would not help.
        """
        if self._line.carried >= MAILS_PER_CONNECTION:
            self._line.close()
        elif self._line.usable():
            return
        while True:
            if len(self._lost) > 1:  # one lost connection is nothing: another one is opened at once
                if self._patience <= 0:
                    tries, reason = len(self._lost) - 1, self._lost[-1]
                    raise MailUnavailable(_AWAY.format(where=self._line.where, reason=reason, tries=tries))
                self._wait(min(_backoff(len(self._lost) - 2), self._patience))
            try:
                self._line.open()
                return
            except Lost as lost:
                self._lost.append(lost.reason)

    def _waited(self) -> bool:
        """Wait for the mail whose time comes next; False if that takes too long, or there is none."""
        due = self._outbox.next_due()
        if due is None:
            return False
        seconds = max(0.0, (due - self._clock.now()).total_seconds())
        if seconds > self._patience:
            return False
        self._wait(seconds)
        return True

    def _wait(self, seconds: float) -> None:
        self._patience -= seconds
        self._clock.sleep(seconds)


def _backoff(attempts: int) -> float:
    """Seconds to wait after so many attempts before this one."""
    return min(FIRST_BACKOFF * 2.0 ** min(attempts, 20), LONGEST_BACKOFF)
