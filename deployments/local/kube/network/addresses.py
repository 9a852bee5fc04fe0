"""Loopback addresses for nodes, pods and Services."""

from __future__ import annotations

import itertools
import os
import random
import socket
import threading

NODES, PODS, SERVICES = (127, 16), (127, 64), (127, 128)
NODE_PORTS = range(30000, 32768)
SPAN = 1 << 20  # addresses of each kind, before the first is used again


class Addresses:
    """Hands out addresses one after another from a random start, so that an address comes
    again only after all others, and two clusters on one machine hardly meet."""

    def __init__(self, base: tuple[int, int]) -> None:
        seed = random.Random(os.urandom(8)).randrange(SPAN // 256) * 256
        self._base = (base[0] << 24) + (base[1] << 16)
        self._next = itertools.count(seed)
        self._taken: set[str] = set()
        self._lock = threading.Lock()

    def take(self) -> str:
        """An address nobody has."""
        with self._lock:
            for number in self._next:
                value = self._base + number % SPAN
                if value & 255 in (0, 255):
                    continue
                address = ".".join(str(value >> shift & 255) for shift in (24, 16, 8, 0))
                if address not in self._taken:
                    self._taken.add(address)
                    return address
        raise AssertionError("unreachable")

    def claim(self, address: str) -> None:
        """Note an address that was asked for by name."""
        with self._lock:
            self._taken.add(address)

    def give(self, address: str) -> None:
        """Give one back."""
        with self._lock:
            self._taken.discard(address)


def free_node_port(taken: set[int], address: str) -> int:
    """A node port in 30000-32767 that is free here."""
    ports = list(NODE_PORTS)
    random.Random(os.urandom(8)).shuffle(ports)
    for port in ports:
        if port in taken:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError:
                continue
            return port
    raise OSError("no free node port in 30000-32767")
