"""A local port whose connections end in a pod. Over the client's port-forward sockets."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

from tasks.base.errors import OutsideError

_log = logging.getLogger(__name__)
_CHUNK = 65536


@contextmanager
def forwarded(dial: Callable[[], Any], port: int) -> Iterator[int]:
    """Listen on a free port of 127.0.0.1; each connection gets its own `dial()`.

    dial: opens a kubernetes.stream PortForward. Yields the local port. Raises OutsideError at once
    when the pod can't be dialled; a later failure closes the one connection it concerns.
    """
    # A wrong pod or missing right should be heard here, not by the first request.
    dial().close()
    listener = socket.create_server(("127.0.0.1", 0))
    open_ends: set[socket.socket] = set()
    thread = threading.Thread(
        target=_accept, args=(listener, dial, port, open_ends), daemon=True, name="port-forward"
    )
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(timeout=5)
        for end in list(open_ends):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


def _accept(
    listener: socket.socket,
    dial: Callable[[], Any],
    port: int,
    open_ends: set[socket.socket],
) -> None:
    while True:
        try:
            near, _ = listener.accept()
        except OSError:
            return
        open_ends.add(near)
        threading.Thread(
            target=_serve, args=(near, dial, port, open_ends), daemon=True, name="port-forward-one"
        ).start()


def _serve(
    near: socket.socket, dial: Callable[[], Any], port: int, open_ends: set[socket.socket]
) -> None:
    try:
        with near:
            near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            link = dial()
            with closing(link):
                far = link.socket(port)
                back = threading.Thread(target=_pump, args=(far, near), daemon=True)
                back.start()
                _pump(near, far)
                back.join()
                if link.error(port):
                    _log.warning("port-forward to port %s: %s", port, link.error(port))
    except (OSError, OutsideError) as error:
        _log.warning("port-forward to port %s: %s", port, error)
    finally:
        open_ends.discard(near)


def _pump(source: Any, sink: Any) -> None:
    """Copy until the end, then end both sides: port-forward knows no half-closed connection."""
    with suppress(OSError):
        while data := source.recv(_CHUNK):
            sink.sendall(data)
    for end in (sink, source):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
