"""A mail server for tests: real SMTP over a real socket, with STARTTLS, logins and misbehaviour on demand."""

from __future__ import annotations

import asyncio
import base64
import email
import ssl
import subprocess
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import default
from pathlib import Path


@dataclass
class Mail:
    sender: str
    to: str
    message: EmailMessage
    encrypted: bool
    login: str

    @property
    def text(self) -> str:
        part = self.message.get_body(("plain",))
        assert part is not None
        return part.get_content()

    @property
    def html(self) -> str:
        part = self.message.get_body(("html",))
        assert part is not None
        return part.get_content()


@dataclass
class FakeSmtp:
    """`answers` maps a command to what is answered instead; `cut` closes the connection after the message has come in,
    with (`kept`) or without it; `hang` never answers the message."""

    tls: ssl.SSLContext | None = None
    implicit: bool = False
    users: dict[str, str] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)
    mails: list[Mail] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    cut: int = 0
    kept: bool = True
    hang: bool = False
    port: int = 0

    async def __aenter__(self) -> FakeSmtp:
        context = self.tls if self.implicit else None
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=context)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._converse(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        finally:
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def say(line: str) -> None:
            writer.write(f"{line}\r\n".encode())

        encrypted, login, sender, to = self.implicit, "", "", ""
        say(self.answers.get("CONNECT", "220 fake"))
        while line := (await reader.readline()).decode().rstrip("\r\n"):
            verb, _, rest = line.partition(" ")
            verb = verb.upper()
            self.commands.append(verb)
            if verb in self.answers:
                say(self.answers[verb])
            elif verb == "EHLO":
                offered = ["STARTTLS"] if self.tls and not encrypted else []
                offered += ["AUTH PLAIN"] if self.users else []
                lines = ["fake", *offered, "SMTPUTF8"]
                for index, one in enumerate(lines):
                    say(f"250{'-' if index < len(lines) - 1 else ' '}{one}")
            elif verb == "STARTTLS":
                say("220 go")
                await writer.drain()
                await writer.start_tls(self.tls)
                encrypted = True
            elif verb == "AUTH":
                _, name, password = base64.b64decode(rest.split()[1]).decode().split("\0")
                login = name if self.users.get(name) == password else ""
                say("235 welcome" if login else "535 5.7.8 who are you")
            elif verb == "MAIL":
                sender = rest.partition("<")[2].partition(">")[0]
                say("250 ok")
            elif verb == "RCPT":
                to = rest.partition("<")[2].partition(">")[0]
                say("250 ok")
            elif verb == "DATA":
                say("354 go on")
                raw = (await reader.readuntil(b"\r\n.\r\n")).removesuffix(b".\r\n").replace(b"\r\n..", b"\r\n.")
                message = email.message_from_bytes(raw, policy=default)
                assert isinstance(message, EmailMessage)
                cut, self.cut = self.cut > 0, max(self.cut - 1, 0)
                if not cut or self.kept:
                    self.mails.append(Mail(sender, to, message, encrypted, login))
                if cut:
                    return
                if self.hang:
                    await asyncio.sleep(60)
                say(self.answers.get("MESSAGE", "250 taken"))
            elif verb == "QUIT":
                say("221 bye")
                return
            else:
                say("250 ok")
            await writer.drain()


def certificate(folder: Path, name: str = "localhost") -> tuple[ssl.SSLContext, Path]:
    """A server's side with a certificate of its own making, and the file by which a client may trust it."""
    key, cert = folder / "key.pem", folder / "cert.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
    ]
    command += ["-keyout", key, "-out", cert, "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}"]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert, key)
    return context, cert
