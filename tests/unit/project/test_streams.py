"""The client that keeps its connection tells what was cut from what was closed while idle."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.exact_engine.laws import Behaviour
from tests.exact_engine.run import in_thread
from tests.support.streams import Broken, Kept, Seen

ASKED = {"model": "exact", "prompt": "Say something."}
GO_ON = b"HTTP/1.1 100 Continue\r\n\r\n"
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nwell"


class Server:
    """One connection of a scripted server: reads what it is asked, says what it is told to."""

    def __init__(self, connection: socket.socket, taken: list[str]) -> None:
        self.connection, self.lines, self.taken = connection, connection.makefile("rb"), taken
        self.length = 0

    def head(self) -> None:
        while (line := self.lines.readline()) not in (b"\r\n", b""):
            if line.startswith(b"Content-Length: "):
                self.length = int(line.split()[1])

    def take(self) -> None:
        """Read a whole request, as an engine does that begins it."""
        self.head()
        self.say(GO_ON)
        self.taken.append(self.lines.read(self.length).decode())

    def answer(self) -> None:
        self.take()
        self.say(WHOLE)

    def say(self, text: bytes) -> None:
        self.connection.sendall(text)


@contextmanager
def serving(*scripts: Callable[[Server], None]) -> Iterator[tuple[str, list[str]]]:
    """A script a connection; each is closed at its end. Gives the url, and what was taken."""
    taken: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def run() -> None:
            for script in scripts:
                connection, _ = listening.accept()
                with connection:
                    server = Server(connection, taken)
                    with server.lines:
                        script(server)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/tokenize", taken
        thread.join(60)
        assert not thread.is_alive(), "a connection was never made"


def dies_in_flight(server: Server) -> None:
    server.answer()
    server.take()


def dies_half_way(server: Server) -> None:
    server.answer()
    server.take()
    server.say(WHOLE[:-2])


def dies_in_a_header(server: Server) -> None:
    server.answer()
    server.take()
    server.say(WHOLE[:20])


@pytest.mark.parametrize("dies", [dies_in_flight, dies_half_way, dies_in_a_header])
def test_what_was_taken_and_cut_is_broken_and_not_asked_again(dies: Callable[..., None]) -> None:
    seen = Seen()
    kept = Kept(seen)
    with serving(dies, Server.answer) as (url, taken):
        kept.post(url, ASKED)
        with pytest.raises((Broken, OSError)):
            kept.post(url, ASKED)
        assert len(taken) == 2 and seen.reopened == 0
        kept.post(url, ASKED)  # and it goes on, over another one
    kept.close()
    assert len(taken) == 3


def test_a_connection_that_was_closed_idle_is_opened_anew() -> None:
    seen = Seen()
    kept = Kept(seen)
    with serving(Server.answer, Server.answer) as (url, taken):
        kept.post(url, ASKED)
        kept.post(url, ASKED)
    kept.close()
    assert len(taken) == 2 and seen.reopened == 1


def closes_as_it_is_asked(server: Server) -> None:
    server.answer()
    server.head()  # of a request whose body never comes: the close crossed it


def test_a_close_that_crosses_a_request_is_idle_since_nobody_has_taken_it() -> None:
    seen = Seen()
    kept = Kept(seen)
    with serving(closes_as_it_is_asked, Server.answer) as (url, taken):
        kept.post(url, ASKED)
        kept.post(url, ASKED)
    kept.close()
    assert len(taken) == 2 and seen.reopened == 1


def test_a_new_connection_that_is_closed_at_once_is_broken() -> None:
    seen = Seen()
    with serving(Server.head, Server.answer, Server.head) as (url, taken):
        with pytest.raises(Broken, match="new connection ended"):
            Kept(seen).post(url, ASKED)
        kept = Kept(seen)
        kept.post(url, ASKED)
        with pytest.raises(Broken, match="made anew ended as well"):
            kept.post(url, ASKED)
    assert len(taken) == 1


def test_what_is_refused_is_broken() -> None:
    with in_thread(Behaviour()) as (_, url):
        kept = Kept(Seen())
        kept.post(f"{url}/tokenize", ASKED)
        with pytest.raises(Broken, match="HTTP 404"):
            kept.post(f"{url}/nowhere", ASKED)
        kept.post(f"{url}/tokenize", ASKED)
        kept.close()
