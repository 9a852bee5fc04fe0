"""The steps as Prefect sees them: task runs, one after the other.

Prefect draws an arrow wherever it finds the result of one task among the arguments of another, and
steps share much; a list or a tuple it knows by its address alone, which another may have later. So
it is told the order itself, and sees neither arguments nor results: its graph is the road.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar
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


class _Call(Generic[T]):
    """A call that Prefect does not look into, and what came of it.

    found: what it gave. ident: of the task run in which it was made.
    """

    found: T
    ident: UUID | None = None

    def __init__(self, call: Callable[[], T]) -> None:
        self._call = call

    def make(self) -> None:
        """Raises what the call raises."""
        context = TaskRunContext.get()
        self.ident = context.task_run.id if context else None
        self.found = self._call()


def _carry_out(call: _Call[Any]) -> None:
    call.make()


def _task(name: str, run_name: str) -> Task[[_Call[Any]], None]:
    # its run's name is a template: a brace in what it names is not one
    plain = run_name.replace("{", "(").replace("}", ")")
    return Task(_carry_out, name=name, task_run_name=plain, **QUIET)


class Road:
    """Task runs in their order; each waits for those before it."""

    def __init__(self) -> None:
        self._last: list[State[Any]] = []

    def walk(self, name: str, run_name: str, call: Callable[[], T]) -> T:
        """One task run after the last ones. Raises what the call raises."""
        made = _Call(call)
        _task(name, run_name)(made, wait_for=self._last)
        self._arrive([made.ident])
        return made.found

    def fan_out(
        self, name: str, calls: Sequence[tuple[str, Callable[[], T]]], *, width: int | None = None
    ) -> list[T]:
        """A task run for each (name of the run, call), side by side after the last ones.

        width: how many run at once; None: all. All of them end before the first error is raised.
        """
        made = [(run_name, _Call(call)) for run_name, call in calls]
        futures = []
        step = width or max(1, len(calls))
        for start in range(0, len(calls), step):
            batch = [
                _task(name, run_name).submit(call, return_state=False, wait_for=self._last)
                for run_name, call in made[start : start + step]
            ]
            for future in batch:
                future.wait()
            futures += batch
        for future in futures:
            future.result()
        self._arrive([call.ident for _, call in made])
        return [call.found for _, call in made]

    def _arrive(self, idents: Sequence[UUID | None]) -> None:
        states: list[State[Any]] = [
            Completed(data=True, state_details=StateDetails(task_run_id=ident))
            for ident in idents
            if ident
        ]
        self._last = states or self._last
