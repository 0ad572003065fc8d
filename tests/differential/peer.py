"""A real Prometheus under our control, filled by remote write and asked over HTTP."""

from __future__ import annotations

import os
import re  # noqa: TID251 - reads a version
import shutil
import struct
import subprocess
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from zlib import crc32

from tests.ports import free_port

from .answer import Answer
from .data import STALE, Line
from .query import Question
from .wire import Client

STALE_BITS = struct.pack("<Q", 0x7FF0000000000002)
_LITERAL = 1 << 16
_NUDGE = 1e-13
_NEXT_TO_ZERO = 1e-280  # zeros are moved too, so that they no longer tie


def binary() -> str | None:
    """PROMETHEUS, or the one that is installed."""
    return os.environ.get("PROMETHEUS") or shutil.which("prometheus")


def version_of(path: str) -> tuple[int, int]:
    done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=30, check=True)
    found = re.search(r"version (\d+)\.(\d+)", done.stdout + done.stderr)
    assert found, f"{path} does not tell its version"
    return int(found[1]), int(found[2])


class Peer:
    def __init__(self, path: str) -> None:
        self.path = path
        self.version = version_of(path)
        self.old = self.version < (3, 0)

    def __enter__(self) -> Peer:
        self._folder = Path(tempfile.mkdtemp(prefix="differential-"))
        (self._folder / "prometheus.yml").write_text("global: {evaluation_interval: 1m}\n")
        port = free_port()
        self._client = Client(port)
        # An older one's windows are closed on the left: one millisecond less is the same.
        lookback = "299999ms" if self.old else "5m"
        features = [] if self.old else ["--enable-feature=promql-experimental-functions"]
        self._process = subprocess.Popen(
            [
                self.path,
                f"--config.file={self._folder}/prometheus.yml",
                f"--storage.tsdb.path={self._folder}/data",
                f"--web.listen-address=127.0.0.1:{port}",
                "--web.enable-remote-write-receiver",
                f"--query.lookback-delta={lookback}",
                "--log.level=error",
                *features,
            ],
            stdout=subprocess.DEVNULL,
            stderr=(self._folder / "log").open("wb"),
        )
        self._wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _wait(self) -> None:
        for _ in range(600):
            assert self._process.poll() is None, (self._folder / "log").read_text()
            try:
                if self._client.request("GET", "/-/ready")[0] == 200:
                    return
            except OSError:
                pass
            time.sleep(0.05)
        raise AssertionError("prometheus does not become ready")

    def fill(self, lines: Iterable[Line], moved: int = 0) -> None:
        """`moved` numbers a way to move every sample in its 13th digit."""
        body = b"".join(_field(1, _series(line, moved, number)) for number, line in enumerate(lines))
        headers = {
            "Content-Type": "application/x-protobuf",
            "Content-Encoding": "snappy",
            "X-Prometheus-Remote-Write-Version": "0.1.0",
        }
        status, text = self._client.request("POST", "/api/v1/write", snappy(body), headers)
        assert status in {200, 204}, text

    def ask(self, question: Question) -> Answer:
        return self._client.ask(question.query.text(old=self.old), question)


# Remote write: two messages of protobuf in one block of snappy --------------------------------------------------------


def _series(line: Line, moved: int, number: int) -> bytes:
    labels = b"".join(
        _field(1, _field(1, name.encode()) + _field(2, value.encode())) for name, value in sorted(line.labels.items())
    )
    samples = b"".join(
        _field(2, b"\x09" + _bits(value, moved, f"{number} {at}") + b"\x10" + varint(at)) for at, value in line.points
    )
    return labels + samples


def _bits(value: float | str, moved: int, place: str) -> bytes:
    if value == STALE:
        return STALE_BITS
    assert isinstance(value, float)
    if not moved:
        return struct.pack("<d", value)  # and nothing added to it, so that a negative zero stays one
    share = _NUDGE * (crc32(f"{moved} {place}".encode()) / (1 << 31) - 1)
    return struct.pack("<d", value * (1 + share) + share * _NEXT_TO_ZERO)


def _field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def snappy(content: bytes) -> bytes:
    """As literals only: valid, and nobody needs it small."""
    out = bytearray(varint(len(content)))
    for begin in range(0, len(content), _LITERAL):
        piece = content[begin : begin + _LITERAL]
        out += b"\xf4" + (len(piece) - 1).to_bytes(2, "little") + piece
    return bytes(out)
