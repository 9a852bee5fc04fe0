"""A Kubernetes API that answers from a script: each request is recorded, each answer planned."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import urllib3

from tasks.outside.kubernetes.rest import Rest
from tests.support.cluster.hand import HandObjects


@dataclass
class Request:
    """What was asked."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


class Stream(io.RawIOBase):
    """A body that arrives in pieces and may break off with an error."""

    def __init__(self, pieces: list[bytes | Exception]) -> None:
        self.pieces = pieces

    def read1(self, amount: int = -1) -> bytes:
        if not self.pieces:
            return b""
        piece = self.pieces.pop(0)
        if isinstance(piece, Exception):
            raise piece
        return piece

    def read(self, amount: int | None = -1) -> bytes:
        return self.read1()


def answer(
    body: Any = None, status: int = 200, headers: dict[str, str] | None = None
) -> urllib3.HTTPResponse:
    """A whole answer; dicts become JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body or {}).encode()
    return urllib3.HTTPResponse(
        io.BytesIO(data), headers=headers or {}, status=status, preload_content=False
    )


def status(code: int, reason: str = "", message: str = "", **headers: str) -> urllib3.HTTPResponse:
    """A refusal as the API words it."""
    body = {"kind": "Status", "code": code, "reason": reason, "message": message}
    return answer(body, code, {k.replace("_", "-"): v for k, v in headers.items()})


def stream(*pieces: bytes | Exception | dict[str, Any]) -> urllib3.HTTPResponse:
    """An answer that comes piece by piece; dicts are lines of JSON."""
    raw: list[bytes | Exception] = [
        json.dumps(p).encode() + b"\n" if isinstance(p, dict) else p for p in pieces
    ]
    return urllib3.HTTPResponse(Stream(raw), status=200, preload_content=False)


Answer = urllib3.HTTPResponse | Exception | Callable[[Request], urllib3.HTTPResponse]


@dataclass
class Script:
    """Answers in order; the last one stays when `forever`."""

    answers: list[Answer]
    asked: list[Request] = field(default_factory=list)
    forever: bool = False

    def send(
        self, method: str, url: str, headers: dict[str, str], body: bytes | None, read_s: float
    ) -> urllib3.HTTPResponse:
        parts = urlsplit(url)
        data = json.loads(body) if body else None
        request = Request(method, parts.path, dict(parse_qsl(parts.query)), headers, data)
        self.asked.append(request)
        assert self.answers, f"nothing planned for {method} {url}"
        keep = self.forever and len(self.answers) == 1
        planned = self.answers[0] if keep else self.answers.pop(0)
        if isinstance(planned, Exception):
            raise planned
        return planned(request) if callable(planned) else planned

    def api(self, patience_s: float = 60) -> HandObjects:
        """Objects over this script."""
        return HandObjects(Rest(self.send, "https://api:6443", patience_s=patience_s))
