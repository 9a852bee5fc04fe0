"""@step: one step of the pipeline, timed, shown, and a Prefect task of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Concatenate, Generic, ParamSpec, TypeVar

from tasks.run.run import Run

P = ParamSpec("P")
R = TypeVar("R")


class Step(Generic[P, R]):
    """A step by its function. name: as the drawing in the README has it.

    each: it makes a task run for each of its nodes itself, by `run.road`. optional: not every
    rollout has it.
    """

    def __init__(
        self, function: Callable[Concatenate[Run, P], R], *, each: bool, optional: bool
    ) -> None:
        self.function, self.each, self.optional = function, each, optional
        self.name = function.__name__
        self.__doc__ = function.__doc__

    def __call__(self, run: Run, *args: P.args, **kwargs: P.kwargs) -> R:
        """Take the step."""

        def call() -> R:
            return self.function(run, *args, **kwargs)

        with run.step(self.name):
            if self.each:
                return call()
            return run.road.walk(self.name, f"{self.name} {run.subject}", call)


def step(function: Callable[Concatenate[Run, P], R]) -> Step[P, R]:
    """A step that is one task run."""
    return Step(function, each=False, optional=False)


def optional_step(function: Callable[Concatenate[Run, P], R]) -> Step[P, R]:
    """A step that not every rollout has."""
    return Step(function, each=False, optional=True)


def step_of_nodes(function: Callable[Concatenate[Run, P], R]) -> Step[P, R]:
    """A step with a task run for each node."""
    return Step(function, each=True, optional=False)
