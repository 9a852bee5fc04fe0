"""A forwarded port carries bytes both ways, one link a connection, and ends with its block."""

from __future__ import annotations

import socket
import threading

import pytest

from tasks.base.errors import OutsideError
from tasks.outside.kubernetes.forward import forwarded


class Link:
    """What the client library's PortForward offers, over a socket pair with an echo behind it."""

    def __init__(self) -> None:
        self.near, self.far = socket.socketpair()
        threading.Thread(target=self._echo, daemon=True).start()

    def _echo(self) -> None:
        while data := self.far.recv(65536):
            self.far.sendall(data.upper())
        self.far.close()

    def socket(self, port: int) -> socket.socket:
        assert port == 8000
        return self.near

    def error(self, port: int) -> str | None:
        return None

    def close(self) -> None:
        self.near.close()


def talk(port: int, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as end:
        end.sendall(data)
        got = b""
        while len(got) < len(data):
            got += end.recv(65536)
        return got


def test_bytes_go_both_ways_on_several_connections() -> None:
    links: list[Link] = []

    def dial() -> Link:
        links.append(Link())
        return links[-1]

    with forwarded(dial, 8000) as port:
        big = b"x" * 300_000
        assert talk(port, b"hello") == b"HELLO"
        assert talk(port, big) == big.upper()
        assert len(links) == 3  # one to try the way, one for each connection
        with socket.create_connection(("127.0.0.1", port), timeout=10) as open_end:
            open_end.sendall(b"a")
            assert open_end.recv(10) == b"A"
            left = open_end.dup()
    with left:
        left.settimeout(10)
        assert left.recv(10) == b""
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", port), timeout=1)


def test_a_pod_that_cannot_be_dialled_is_heard_at_once() -> None:
    def dial() -> Link:
        raise OutsideError("no such pod")

    with pytest.raises(OutsideError, match="no such pod"), forwarded(dial, 8000):
        pass


def test_a_later_failure_ends_the_one_connection() -> None:
    answers = [Link()]

    def dial() -> Link:
        if not answers:
            raise OutsideError("the pod went away")
        return answers.pop()

    with forwarded(dial, 8000) as port:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as end:
            assert end.recv(10) == b""
        answers.append(Link())
        assert talk(port, b"again") == b"AGAIN"
