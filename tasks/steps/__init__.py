"""The steps of a rollout, one file each. STEPS is the only list of them."""

from __future__ import annotations

from typing import Any

from tasks.run.step import Step
from tasks.steps.benchmark import benchmark
from tasks.steps.deploy import deploy
from tasks.steps.exam import exam
from tasks.steps.fetch_weights import fetch_weights
from tasks.steps.hold import hold
from tasks.steps.judge import judge
from tasks.steps.plan import plan
from tasks.steps.promote import promote
from tasks.steps.resolve_model import resolve_model
from tasks.steps.roll_back import roll_back
from tasks.steps.smoke import smoke
from tasks.steps.validate_nodes import validate_nodes

# In the order of the drawing in the README; flows/rollout.py takes them.
STEPS: tuple[Step[Any, Any], ...] = (
    resolve_model,
    validate_nodes,
    plan,
    fetch_weights,
    deploy,
    smoke,
    exam,
    benchmark,
    judge,
    promote,
    hold,
    roll_back,
)
