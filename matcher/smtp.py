"""One connection to the mail server, over which mails go one after the other.

smtplib speaks the protocol; what it does in one call with a message is done here in two, as the outbox has to note
the handover between the server's 354 and the first byte.
"""

from __future__ import annotations

import re
import smtplib
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from matcher.errors import MailUnavailable, SettingError
from matcher.refusals import Reply, read_reply, without_addresses
from matcher.settings import Settings

PORTS = {"none": 25, "starttls": 587, "tls": 465}
# Seconds to wait for the server; and for its answer to a message, which it may have to store and look through first
# (RFC 5321, 4.5.3.2.6). Who is less patient than the server gets the mail delivered twice.
TIMEOUT = 60.0
ANSWER_TIMEOUT = 600.0
# Bytes that the system takes from us at once: a mail of usual size is then handed over by one call, and a process
# that is killed has handed over all of it or nothing.
_SEND_BUFFER = 1 << 20
# What follows concerns the sender of all mails, the recipient of this one, or its content.
Stage = Literal["sender", "recipient", "message"]
_DOT = re.compile(rb"^\.", re.M)
_KEPT = "邮件都还在待发队列中，没有丢失。"
_NO_HOST = "没有设置发信服务器，不能发信。请设置 MATCHER_SMTP_HOST（以及 MATCHER_SMTP_USER、MATCHER_SMTP_PASSWORD）。"
_NO_PASSWORD = "设置了 MATCHER_SMTP_USER，但没有设置 MATCHER_SMTP_PASSWORD。请补上登录密码后重试。"
_CERTIFICATE = (
    "发信服务器 {where} 的证书不可信（{reason}），没有发信。" + _KEPT + "请检查 MATCHER_SMTP_HOST 是否与证书上的名称"
    "一致；服务器用自签证书时，请用环境变量 SSL_CERT_FILE 指明它的根证书。"
)
_NOT_TLS = (
    "发信服务器 {where} 在该端口上不用 TLS（{reason}），没有发信。"
    + _KEPT
    + "请检查 MATCHER_SMTP_SECURITY 和 MATCHER_SMTP_PORT 是否相配：tls 通常用 465，starttls 用 587，none 用 25。"
)
_NO_STARTTLS = (
    "发信服务器 {where} 不支持 STARTTLS，没有发信，以免密码和邮件明文传输。" + _KEPT + "请检查 MATCHER_SMTP_PORT；"
    "确实不需要加密时把 MATCHER_SMTP_SECURITY 设为 none，服务器从一开始就加密时设为 tls。"
)
_NO_LOGIN = "发信服务器 {where} 不支持登录（{reason}），没有发信。" + _KEPT + "不需要登录时请去掉 MATCHER_SMTP_USER。"
_LOGIN = (
    "发信服务器 {where} 拒绝登录（{reason}），没有发信。"
    + _KEPT
    + "请检查 MATCHER_SMTP_USER 和 MATCHER_SMTP_PASSWORD；不少邮箱要用单独的“授权码”代替密码。"
)
_TURNED_AWAY = (
    "发信服务器 {where} 拒绝本机连接（{reason}），没有发信。" + _KEPT + "请向服务器管理员确认本机可以用它发信。"
)


class Lost(Exception):  # never leaves the sender
    """The connection could not be made, or is gone: trying again may help.

    :param reason: without any address.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Answer:
    """The server's last word on a mail, and what it was about."""

    stage: Stage
    reply: Reply


class Line:
    """The connection; opened by `open`, closed by `close`.

    :ivar where: HOST:PORT.
    :ivar carried: mails that went over this connection, whatever became of them.
    """

    def __init__(
        self, settings: Settings, domain: str, timeout: float = TIMEOUT, answer_timeout: float = ANSWER_TIMEOUT
    ) -> None:
        """:param domain: of the sender, by which the server is greeted.

        :raises SettingError: if no server is set, or a login without its password.
        """
        if not settings.smtp_host:
            raise SettingError(_NO_HOST)
        if settings.smtp_user and settings.smtp_password is None:
            raise SettingError(_NO_PASSWORD)
        self._settings = settings
        self._host = settings.smtp_host
        self._port = settings.smtp_port or PORTS[settings.smtp_security]
        self._domain = domain
        self._timeout, self._answer_timeout = timeout, answer_timeout
        self._smtp: smtplib.SMTP | None = None
        self.where = f"{self._host}:{self._port}"
        self.carried = 0

    def open(self) -> None:
        """Connect, encrypt and log in as the settings say.

        :raises Lost: if that failed, but may succeed later.
        :raises MailUnavailable: if it will not, as with a wrong password.
        """
        self.drop()
        try:
            self._smtp = self._connect()
            self._log_in(self._smtp)
        except MailUnavailable:
            self.drop()
            raise
        except ssl.SSLCertVerificationError as error:
            self.drop()
            raise self._unavailable(_CERTIFICATE, error.verify_message) from error
        except ssl.SSLError as error:
            self.drop()
            if error.reason == "WRONG_VERSION_NUMBER":
                raise self._unavailable(_NOT_TLS, error.reason) from error
            raise Lost(_said(error)) from error
        except smtplib.SMTPResponseException as error:
            self.drop()
            reply = read_reply(error.smtp_code, error.smtp_error)
            if reply.permanent:
                raise self._unavailable(_TURNED_AWAY, str(reply)) from error
            raise Lost(str(reply)) from error
        except OSError as error:  # smtplib's own errors are such as well
            self.drop()
            raise Lost(_said(error)) from error
        self.carried = 0

    def usable(self) -> bool:
        """Whether a mail may begin: the connection stands, and what went before is forgotten (RSET)."""
        if self._smtp is None:
            return False
        try:
            code, _ = self._smtp.rset()
        except OSError:
            code = 0
        if code != 250:
            self.drop()
        return code == 250

    def transmit(self, sender: str, receiver: str, message: bytes, handing: Callable[[], bool]) -> Answer | None:
        """Send one mail.

        :param sender: as `receiver` an address in ASCII; they are checked already.
        :param message: in seven bits, with CRLF line ends.
        :param handing: is called when the server waits for the message, before the first byte is written.
        :returns: the server's answer; None if `handing` said no, and the message was not written.
        :raises Lost: if the connection ended before an answer came: then the server has not taken the mail.
        """
        self.carried += 1
        if self._smtp is None:
            raise Lost("没有连接")
        options = f" SIZE={len(message)}" if self._smtp.has_extn("size") else ""
        reply = self._asked("MAIL", f"FROM:<{sender}>{options}")
        if not reply.accepted:
            return Answer("sender", reply)
        reply = self._asked("RCPT", f"TO:<{receiver}>")
        if not reply.accepted:
            return Answer("recipient", reply)
        reply = self._asked("DATA", "")
        if reply.code != 354:
            if reply.code // 100 in (4, 5):
                return Answer("message", reply)
            raise self._lost(str(reply))
        try:
            agreed = handing()
        except BaseException:
            self.drop()  # with the connection the server drops the mail
            raise
        if not agreed:
            self.drop()
            return None
        return Answer("message", self._hand_over(self._smtp, message))

    def close(self) -> None:
        """Take leave of the server."""
        if self._smtp is not None:
            with suppress(OSError):
                self._smtp.quit()
        self.drop()

    def drop(self) -> None:
        """Close without a word, in the middle of whatever it was."""
        if self._smtp is not None:
            self._smtp.close()
            self._smtp = None

    def _connect(self) -> smtplib.SMTP:
        host, port, domain, timeout = self._host, self._port, self._domain, self._timeout
        if self._settings.smtp_security == "tls":
            return smtplib.SMTP_SSL(host, port, domain, timeout=timeout, context=ssl.create_default_context())
        return smtplib.SMTP(host, port, domain, timeout=timeout)

    def _log_in(self, smtp: smtplib.SMTP) -> None:
        smtp.ehlo_or_helo_if_needed()
        if self._settings.smtp_security == "starttls":
            if not smtp.has_extn("starttls"):
                raise self._unavailable(_NO_STARTTLS, "")
            smtp.starttls(context=ssl.create_default_context())
            smtp.ehlo_or_helo_if_needed()
        if isinstance(smtp.sock, socket.socket):
            smtp.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        if self._settings.smtp_user:
            password = self._settings.smtp_password
            try:
                smtp.login(self._settings.smtp_user, password.get_secret_value() if password else "")
            except smtplib.SMTPAuthenticationError as error:
                reply = read_reply(error.smtp_code, error.smtp_error)
                if reply.permanent:
                    raise self._unavailable(_LOGIN, str(reply)) from error
                raise
            except smtplib.SMTPNotSupportedError as error:
                raise self._unavailable(_NO_LOGIN, "没有提供 AUTH") from error
            except smtplib.SMTPException as error:
                if type(error) is smtplib.SMTPException:  # none of the server's ways to log in is known
                    raise self._unavailable(_NO_LOGIN, str(error)) from error
                raise
            except UnicodeError as error:  # smtplib sends both in ASCII
                raise self._unavailable(_LOGIN, "登录名或密码含有非 ASCII 字符") from error

    def _asked(self, command: str, arguments: str) -> Reply:
        smtp = self._smtp
        if smtp is None:
            raise Lost("没有连接")
        try:
            code, text = smtp.docmd(command, arguments)
        except OSError as error:
            raise self._lost(_said(error)) from error
        return self._understood(code, text)

    def _hand_over(self, smtp: smtplib.SMTP, message: bytes) -> Reply:
        # One call for all: what a process has written before it dies is delivered, and nothing is left to be written.
        ended = message if message.endswith(b"\r\n") else message + b"\r\n"
        try:
            if smtp.sock is None:
                raise smtplib.SMTPServerDisconnected
            smtp.sock.settimeout(self._answer_timeout)
            smtp.sock.sendall(_DOT.sub(b"..", ended) + b".\r\n")
            code, text = smtp.getreply()
            smtp.sock.settimeout(self._timeout)
        except OSError as error:
            raise self._lost(_said(error)) from error
        return self._understood(code, text)

    def _understood(self, code: int, text: bytes) -> Reply:
        reply = read_reply(code, text)
        # With 421 the server closes the connection, at whatever command; what is no reply of RFC 5321 ends it as well.
        if code == 421 or (code // 100 not in (2, 4, 5) and code != 354):
            raise self._lost(str(reply))
        return reply

    def _lost(self, reason: str) -> Lost:
        self.drop()
        return Lost(reason)

    def _unavailable(self, sentence: str, reason: str) -> MailUnavailable:
        return MailUnavailable(sentence.format(where=self.where, reason=without_addresses(reason)))


def _said(error: OSError) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        return str(read_reply(error.smtp_code, error.smtp_error))
    # smtplib calls it a connection that was closed.
    if isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError):
        return "等候答复超时"
    if isinstance(error, smtplib.SMTPServerDisconnected):
        return "服务器断开了连接"
    return without_addresses(error.strerror or str(error) or type(error).__name__)
