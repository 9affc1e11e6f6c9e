"""An SMTP server that takes mails and counts them, and misbehaves where a test wants it to.

aiosmtpd would do the first, but has had no release for two years, and answers only what is right.
"""

from __future__ import annotations

import base64
import socket
import socketserver
import ssl
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any


class Drop(Exception):
    """The server closes the connection without a word."""


@dataclass
class Session:
    """A connection.

    :ivar number: of the connection, from 1; `mails` how many it has carried to their end.
    """

    number: int
    mails: int = 0
    sender: str = ""
    recipient: str = ""
    encrypted: bool = False
    user: str = ""


@dataclass(frozen=True)
class Taken:
    """A mail for which the server took the responsibility."""

    sender: str
    recipient: str
    raw: bytes
    encrypted: bool
    user: str

    @property
    def message(self) -> EmailMessage:
        parsed = message_from_bytes(self.raw, policy=default)
        assert isinstance(parsed, EmailMessage)
        return parsed


# Given the connection, the stage (connect, ehlo, starttls, auth, mail, rcpt, data, writing: the message has begun;
# message: it is complete; rset, quit) and the command, the answer; None for the usual one.
Script = Callable[[Session, str, str], str | None]


@dataclass
class Sink:
    """A server on a port of its own.

    :ivar script: may be replaced at any time; `taken` and `seen`, the stages, grow.
    """

    script: Script | None = None
    tls: ssl.SSLContext | None = None
    implicit: bool = False
    extensions: tuple[str, ...] = ("SIZE 1000000",)
    login: tuple[str, str] | None = None
    taken: list[Taken] = field(default_factory=list)
    seen: list[tuple[int, str, str]] = field(default_factory=list)
    connections: int = 0
    port: int = 0

    @property
    def recipients(self) -> Counter[str]:
        return Counter(one.recipient for one in self.taken)

    def stages(self, connection: int | None = None) -> list[str]:
        return [stage for number, stage, _ in self.seen if connection in (None, number)]

    @contextmanager
    def running(self, port: int = 0) -> Iterator[Sink]:
        sink = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                sink.connections += 1
                # A client that speaks TLS to a server without it sends what is no text.
                with suppress(Drop, OSError, UnicodeError):
                    _Talk(sink, self.request, Session(sink.connections)).run()

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                raise AssertionError("the sink itself failed")

        with Server(("127.0.0.1", port), Handler) as server:
            self.port = server.server_address[1]
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
            thread.start()
            yield self
            server.shutdown()
            thread.join()


class _Talk:
    def __init__(self, sink: Sink, connection: socket.socket, session: Session) -> None:
        self.sink, self.session = sink, session
        self.socket = connection
        if sink.implicit:
            self._encrypt()
        self.file = self.socket.makefile("rb")

    def run(self) -> None:
        try:
            self._answer("connect", "", "220 sink.example ready")
            while line := self.file.readline():
                if not self._command(line.decode("utf-8").rstrip("\r\n")):
                    break
        except Drop:
            # With a reset instead of an orderly end, as from a server that dies.
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            raise
        finally:
            self.file.close()
            self.socket.close()

    def _command(self, line: str) -> bool:
        verb, _, rest = line.partition(" ")
        session, sink = self.session, self.sink
        stage = {"helo": "ehlo"}.get(verb.lower(), verb.lower())
        if stage == "ehlo":
            offered = [*sink.extensions]
            if sink.tls and not session.encrypted:
                offered.append("STARTTLS")
            if sink.login:
                offered.append("AUTH PLAIN")
            lines = ["sink.example", *offered]
            usual = "\r\n".join(f"250{' ' if one is lines[-1] else '-'}{one}" for one in lines)
            self._answer(stage, line, usual)
        elif stage == "starttls":
            if self._answer(stage, line, "220 go ahead") == 220:
                self._encrypt()
                self.file = self.socket.makefile("rb")
        elif stage == "auth":
            self._log_in(line, rest)
        elif stage == "mail":
            self._answer(stage, line, "250 ok")
            session.sender = rest[rest.index("<") + 1 : rest.index(">")]
        elif stage == "rcpt":
            self._answer(stage, line, "250 ok")
            session.recipient = rest[rest.index("<") + 1 : rest.index(">")]
        elif stage == "data":
            if self._answer(stage, line, "354 go ahead") == 354:
                self._message()
        elif stage == "quit":
            self._answer(stage, line, "221 bye")
            return False
        else:
            self._answer(stage, line, "250 ok" if stage == "rset" else "502 what?")
        return True

    def _log_in(self, line: str, rest: str) -> None:
        _, user, password = base64.b64decode(rest.partition(" ")[2]).decode().split("\0")
        right = (user, password) == self.sink.login
        self._answer("auth", line, "235 welcome" if right else "535 5.7.8 wrong name or password")
        self.session.user = user if right else ""

    def _message(self) -> None:
        lines, first = [], True
        while (line := self.file.readline()) != b".\r\n":
            if not line.endswith(b"\n"):
                raise Drop  # the client is gone, and its mail with it
            assert line.endswith(b"\r\n")
            assert len(line) <= 1000
            assert line.isascii()
            lines.append(line[1:] if line.startswith(b".") else line)
            if first:
                first = False
                self._tell("writing", "")
        session = self.session
        answer = self._tell("message", "") or "250 taken"
        if answer.startswith("2"):  # from here on it is the server's
            mail = Taken(session.sender, session.recipient, b"".join(lines), session.encrypted, session.user)
            self.sink.taken.append(mail)
        session.mails += 1
        self._write(answer)

    def _encrypt(self) -> None:
        assert self.sink.tls
        self.socket = self.sink.tls.wrap_socket(self.socket, server_side=True)
        self.session.encrypted = True

    def _tell(self, stage: str, line: str) -> str | None:
        self.sink.seen.append((self.session.number, stage, line))
        return self.sink.script(self.session, stage, line) if self.sink.script else None

    def _answer(self, stage: str, line: str, usual: str) -> int:
        answer = self._tell(stage, line) or usual
        self._write(answer)
        return int(answer[:3])

    def _write(self, answer: str) -> None:
        self.socket.sendall(answer.encode("utf-8") + b"\r\n")
        if answer.startswith("421"):
            raise Drop
