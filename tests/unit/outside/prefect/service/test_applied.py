"""What bringing a plan onto a server asks of its work pool, and what becomes of what it refuses."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import TypeAdapter

from tasks.base.errors import OutsideError
from tasks.outside.prefect import server
from tasks.outside.prefect.server import Applied, asking
from tasks.service.kept import LIMIT

API = "http://127.0.0.1:4200/api"


class Pools:
    """A server's work pool, by the part of its client that is used."""

    def __init__(self, limit: int | None, **queues: int | None) -> None:
        self.limit, self.queues = limit, dict(queues)

    def read_work_pools(self, **_: object) -> list[Any]:
        return [SimpleNamespace(concurrency_limit=self.limit)]

    def read_work_queues(self, **_: object) -> list[Any]:
        return [
            SimpleNamespace(name=name, id=name, concurrency_limit=limit)
            for name, limit in self.queues.items()
        ]

    def create_work_queue(self, name: str, *, concurrency_limit: int | None, **_: object) -> None:
        self.queues[name] = concurrency_limit

    def update_work_queue(self, name: str, *, concurrency_limit: int) -> None:
        self.queues[name] = concurrency_limit


@pytest.mark.parametrize(
    ("there", "limit", "at_first", "then"),
    [
        ({}, None, LIMIT, LIMIT),
        ({}, None, 50, 50),  # as last time, on a server that is new
        ({}, 2, 50, 2),
        ({"rollouts": 0}, None, 50, 0),  # a person's
        ({"rollouts": 0}, 2, 50, 2),
    ],
)
def test_how_many_rollouts_at_once(
    there: dict[str, int], limit: int | None, at_first: int, then: int
) -> None:
    pools = Pools(None, **there)
    server._pool(pools, "p", limit, at_first, Applied())  # type: ignore[arg-type]
    assert pools.queues == {"rollouts": then, "operations": None}


@pytest.mark.parametrize("limit", [None, 3])
def test_a_limit_of_the_pool_itself_is_found(limit: int | None) -> None:
    done = Applied()
    server._pool(Pools(limit), "p", None, LIMIT, done)  # type: ignore[arg-type]
    assert done.pool_limit == limit


def test_what_the_client_does_not_take_is_told_like_what_the_server_refuses() -> None:
    with (
        pytest.raises(OutsideError, match=r"did not do as asked: (?s:.*)valid integer"),
        asking(API),
    ):
        TypeAdapter(int).validate_python("no number")
