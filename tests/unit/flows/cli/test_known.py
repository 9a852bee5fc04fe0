"""A name that no rollout has, and what is said of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.cli.known import unknown
from flows.cli.main import main
from tests.support.cluster.actor_world import NAME, NS, World, world

EVERY = [("a", "chat"), ("a", "qwen"), ("b", "other")]


@pytest.mark.parametrize(
    ("name", "space", "every", "said"),
    [
        ("m", "a", EVERY, "no rollout m in namespace a; there are: chat, qwen"),
        ("other", "a", EVERY, "no rollout other in namespace a; there is one in b: pass -n b"),
        ("m", "c", EVERY, "in namespace c, nor any other; there are some in: a, b (`rollout list"),
        ("m", "a", [], "no rollout m in namespace a, nor any other"),
        ("m", "a", [("a", f"r{n:02}") for n in range(15)], "r10, r11 and 3 more"),
    ],
)
def test_the_names_there_are(
    name: str, space: str, every: list[tuple[str, str]], said: str
) -> None:
    assert said in unknown(name, space, every)


@pytest.mark.parametrize("command", ["status", "history", "rollback", "approve", "abort"])
def test_every_command_says_so(
    command: str, reached: list[World], capsys: pytest.CaptureFixture[str]
) -> None:
    reached.append(world())
    assert main([command, "nobodys", "-n", NS]) == 5
    said = capsys.readouterr()
    assert said.err == f"rollout: no rollout nobodys in namespace {NS}; there are: {NAME}\n"
    assert said.out == ""


@pytest.mark.parametrize("name", ["nobodys", "nobodys/20261122T101500-000000"])
def test_a_report_of_none_is_refused(
    name: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is asked of this disk, not of a cluster."""
    assert main(["report", name]) == 5
    said = capsys.readouterr()
    assert said.err.startswith(f"rollout: {home / 'rollouts' / 'nobodys'}") and said.out == ""


def test_one_whose_state_is_lost_is_there(
    reached: list[World], capsys: pytest.CaptureFixture[str]
) -> None:
    found = world()
    del found.objects["ConfigMap", f"rollout-{NAME}"]
    reached.append(found)
    assert main(["status", NAME, "-n", NS]) == 0
    assert "m-old, 2 available" in capsys.readouterr().out
