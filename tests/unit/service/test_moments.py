"""What people are told became of a rollout that the guard, or a person, brought to rest."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tasks.release.state import Release, State
from tasks.service.moments import Moment, of_settling


def release(name: str) -> Release:
    return Release(name, f"chat-{name}", "m", "master", "c" * 40, "d", "i", "chat")


OLD, NEW = release("old"), release("new")
TESTED = State("chat", phase="testing", stable=OLD, candidate=NEW, rollout="r")
HELD = replace(TESTED, phase="held")
SOAKING = State("chat", phase="soaking", stable=NEW, previous=OLD, rollout="r")
REST = State("chat", stable=OLD)
SERVES = State("chat", stable=NEW, previous=OLD)
PROMOTED = ({"rollout": "r", "outcome": "promoted"},)
ERROR = ({"rollout": "r", "outcome": "error"},)


@pytest.mark.parametrize(
    ("before", "after", "moment"),
    [
        (TESTED, REST, "rejected"),  # its worker died
        (HELD, REST, "rejected"),  # by a person, or nobody came
        (HELD, HELD, "settled"),
        (HELD, SERVES, "promoted"),  # approved
        (replace(TESTED, phase="promoting"), SERVES, "promoted"),
        (replace(TESTED, phase="promoting"), REST, "rejected"),
        (SOAKING, SERVES, "promoted"),  # what died in its soak was watched to its end
        (replace(SOAKING, history=ERROR), SERVES, "promoted"),
        (SOAKING, REST, "rolled-back"),
        (replace(SOAKING, phase="reverting", stable=OLD), REST, "rolled-back"),
        (SOAKING, replace(SOAKING, phase="unproven"), "needs-approval"),
        (replace(SOAKING, phase="unproven"), SERVES, "promoted"),
        (replace(SOAKING, phase="unproven"), REST, "rolled-back"),
        # its own run has told so
        (replace(SOAKING, phase="proven", history=PROMOTED), SERVES, "settled"),
        (replace(SOAKING, phase="proven"), SERVES, "promoted"),
        (SERVES, REST, "rolled-back"),  # away from what was broken
        (REST, REST, "settled"),
        (State("chat"), REST, "settled"),
        (replace(REST, candidate=NEW), replace(REST, candidate=NEW), "settled"),
    ],
)
def test_what_became_of_it(before: State, after: State, moment: Moment) -> None:
    assert of_settling(before, after) == moment
