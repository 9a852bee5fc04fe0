"""The steps have one list, and the drawing in the README is that list."""

from __future__ import annotations

import ast
import re
from itertools import takewhile

from tasks.steps import STEPS
from tests.support.places import ROOT

FOLDER = ROOT / "tasks" / "steps"


def test_the_drawing_in_the_readme_is_the_list() -> None:
    text = (ROOT / "README.md").read_text()
    drawing = text.split("## The pipeline\n```\n")[1].split("```")[0]
    # a step's name stands before its words, two blanks from them; the last line names three
    names = re.findall(r"(?<![\w-])([a-z]+(?:_[a-z]+)*)(?: \(×n\))?(?=  )", drawing)
    assert names == [step.name for step in STEPS]
    each = re.findall(r"([a-z_]+) \(×n\)", drawing)
    assert each == [step.name for step in STEPS if step.each]


def test_a_step_is_one_file_with_one_step() -> None:
    files = {path.stem for path in FOLDER.glob("*.py")} - {"__init__"}
    assert files == {step.name for step in STEPS}
    for name in files:
        tree = ast.parse((FOLDER / f"{name}.py").read_text())
        made = [
            node.name
            for node in tree.body
            if isinstance(node, ast.FunctionDef)
            and any("step" in ast.unparse(item) for item in node.decorator_list)
        ]
        assert made == [name]


def test_every_step_is_taken_by_the_flow_and_by_nobody_else() -> None:
    """The order, and what follows from a verdict, is nowhere else."""
    taken = set(re.findall(r"steps\.([a-z_]+)\(", (ROOT / "flows" / "rollout.py").read_text()))
    assert taken == {step.name for step in STEPS}
    for path in [*(ROOT / "flows").rglob("*.py"), *(ROOT / "tasks").rglob("*.py")]:
        if path.name != "rollout.py":
            assert "steps." not in re.sub(r"tasks\.steps\.|\w+\.steps\b", "", path.read_text()), (
                path
            )


def test_the_flow_takes_them_in_the_order_of_the_list() -> None:
    """By the line of each one's first call; the optional ones at the list's end are ways out, which
    may be taken from anywhere."""
    ways_out = {step.name for step in takewhile(lambda step: step.optional, reversed(STEPS))}
    assert ways_out == {"hold", "roll_back"}
    taken = re.findall(r"steps\.([a-z_]+)\(", (ROOT / "flows" / "rollout.py").read_text())
    road = [name for name in dict.fromkeys(taken) if name not in ways_out]
    assert road == [step.name for step in STEPS if step.name not in ways_out]


def test_steps_write_through_the_lock_alone() -> None:
    """Nothing in a step calls a verb that writes on the cluster itself; what is asked of the API
    server without being done is a dry run, and a probe reads."""
    verbs = {"apply", "create", "replace", "patch", "delete"}
    for path in FOLDER.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            if node.func.attr in verbs and ast.unparse(node.func.value) in ("run.cluster", "api"):
                assert any(word.arg == "dry_run" for word in node.keywords), path
