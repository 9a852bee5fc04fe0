"""The steps have one list, and the drawing in the README is that list."""

from __future__ import annotations

import ast
import re
from itertools import takewhile

from tasks.outside.kubernetes.client import Cluster
from tasks.outside.kubernetes.objects import Objects
from tasks.outside.kubernetes.writes import Writer
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
            assert not re.search(r"(?<![\w.])steps\.\w", path.read_text()), path


def test_the_flow_takes_them_in_the_order_of_the_list() -> None:
    """By the line of each one's first call; the optional ones at the list's end are ways out, which
    may be taken from anywhere."""
    ways_out = {step.name for step in takewhile(lambda step: step.optional, reversed(STEPS))}
    assert ways_out == {"hold", "roll_back"}
    taken = re.findall(r"steps\.([a-z_]+)\(", (ROOT / "flows" / "rollout.py").read_text())
    road = [name for name in dict.fromkeys(taken) if name not in ways_out]
    assert road == [step.name for step in STEPS if step.name not in ways_out]


# who writes, and under which fence; `trial` asks only
WRITERS = {
    "flows/cli/demo.py": "unfenced",  # a namespace of the demo's own cluster
    "flows/prepare_cluster.py": "unfenced",  # a vendor's manifests
    "tasks/outside/kubernetes/jobs.py": "fence",
    "tasks/outside/kubernetes/owned.py": "fence",
    "tasks/outside/kubernetes/lease.py": "unfenced",  # the fence itself
    "tasks/run/versions/remember.py": "unfenced",  # memories that nothing hangs on
}
UNFENCED = {
    *(path for path, fence in WRITERS.items() if fence == "unfenced"),
    "tasks/run/nodes/probing.py",  # probe Jobs
    "tasks/run/measuring/remember.py",  # Events of a verification, and a memory of its own
    "tasks/outside/kubernetes/objects.py",  # trials
    "tasks/outside/kubernetes/rest.py",  # what it is
}


def test_who_writes_and_under_which_fence() -> None:
    """A Cluster has no verb that writes; what makes its Writer is known."""
    writers, unfenced = {}, set()
    for path in [*(ROOT / "flows").rglob("*.py"), *(ROOT / "tasks").rglob("*.py")]:
        name, tree = str(path.relative_to(ROOT)), ast.parse(path.read_text())
        for node in ast.walk(tree):
            called = node.func if isinstance(node, ast.Call) else None
            if isinstance(called, ast.Attribute) and called.attr == "writer":
                writers[name] = ast.unparse(node.args[0])
            if "unfenced" in (getattr(node, "id", ""), getattr(node, "name", "")):
                unfenced.add(name)
    assert writers == WRITERS and unfenced == UNFENCED
    verbs = {"apply", "create", "replace", "patch", "delete"}
    assert not verbs & {*dir(Cluster), *dir(Objects)}
    assert verbs <= {*dir(Writer)}
