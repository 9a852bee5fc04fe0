"""The steps as Prefect sees them: task runs, one after the other.

Prefect draws an arrow wherever it finds the result of one task among the arguments of another, and
steps share much. So it is told the order itself, and sees no arguments: its graph is the road.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from uuid import UUID

from prefect import Task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, StateDetails
from prefect.context import TaskRunContext
from prefect.states import Completed

T = TypeVar("T")
# Results stay in memory: a side effect must never be replayed from a cache. Nothing retries here:
# what acts knows what is safe to repeat.
QUIET: dict[str, Any] = {"cache_policy": NO_CACHE, "persist_result": False}


class _Call:
    """A call that Prefect does not look into."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self.call = call


def _carry_out(call: _Call) -> tuple[UUID | None, Any]:
    context = TaskRunContext.get()
    found = call.call()
    return (context.task_run.id if context else None), found


def _task(name: str, run_name: str) -> Task[[_Call], tuple[UUID | None, Any]]:
    # its run's name is a template: a brace in what it names is not one
    plain = run_name.replace("{", "(").replace("}", ")")
    return Task(_carry_out, name=name, task_run_name=plain, **QUIET)


class Road:
    """Task runs in their order; each waits for those before it."""

    def __init__(self) -> None:
        self._last: list[State[Any]] = []

    def walk(self, name: str, run_name: str, call: Callable[[], T]) -> T:
        """One task run after the last ones. Raises what the call raises."""
        ident, found = _task(name, run_name)(_Call(call), wait_for=self._last)
        self._arrive([ident])
        result: T = found
        return result

    def fan_out(
        self, name: str, calls: Sequence[tuple[str, Callable[[], T]]], *, width: int | None = None
    ) -> list[T]:
        """A task run for each (name of the run, call), side by side after the last ones.

        width: how many run at once; None: all. All of them end before the first error is raised.
        """
        futures = []
        step = width or max(1, len(calls))
        for start in range(0, len(calls), step):
            batch = [
                _task(name, run_name).submit(_Call(call), return_state=False, wait_for=self._last)
                for run_name, call in calls[start : start + step]
            ]
            for future in batch:
                future.wait()
            futures += batch
        ended = [future.result() for future in futures]
        self._arrive([ident for ident, _ in ended])
        return [found for _, found in ended]

    def _arrive(self, idents: Sequence[UUID | None]) -> None:
        states: list[State[Any]] = [
            Completed(data=True, state_details=StateDetails(task_run_id=ident))
            for ident in idents
            if ident
        ]
        self._last = states or self._last
