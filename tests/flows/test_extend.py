"""Who adds a vendor writes a file with a row, and names it; who adds a step writes a file, a row
and a line, and draws it. Tried on a copy of the code, which rolls a model out on a node that is
dressed as the new vendor's.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from deployments.local.kube.settings import NodeDef
from tests.flows.house import NAMESPACE, House, house, record_named
from tests.support import hostroot
from tests.support.cluster.hand import Hand
from tests.support.places import ROOT

ROW = """from tasks.accelerators.types import (
    DeviceFile,
    Labels,
    Profile,
    ResourcePattern,
    Smi,
    ToolkitMinimum,
)

ACME = Profile(
    name="acme-npu",
    resources=(ResourcePattern("whole", r"acme\\.com/npu"),),
    labels=Labels(presence=("acme.com/npu",), model=("acme.com/npu.model",)),
    modules=("acme",),
    pci_vendor="acce",
    pci_classes=("12",),
    devices=(DeviceFile("/dev/acme", "dir", r"card\\d+"),),
    smi=(
        Smi(
            name="acme-smi",
            candidates=("/usr/bin/acme-smi",),
            runs=(("--csv",),),
            parser="nvidia-smi",
        ),
    ),
    toolkit_name="ACE",
    toolkit_example="ACE 2.1",
    toolkit=r"ace-?(\\d+\\.\\d+)",
    minimums=(ToolkitMinimum((2,), "1.5", True, "Acme's release notes"),),
    probe_paths=("/usr/bin",),
)
"""
STEP = '''"""Say hello to the candidate."""

from __future__ import annotations

from tasks.run.findings import Candidate
from tasks.run.run import Run
from tasks.run.step import step


@step
def greet(run: Run, candidate: Candidate) -> None:
    """Greet it."""
    run.say(f"hello, {candidate.release.served_name}")
'''
DRAWN = """\
               greet           a word to the candidate
                  │
"""
SMI = """#!/bin/sh
echo 'index, name, memory.total [MiB], memory.used [MiB], temperature.gpu, driver_version'
echo '0, Acme One, 65536 MiB, 1 MiB, 41, 1.6.2'
echo '1, Acme One, 65536 MiB, 1 MiB, 40, 1.6.2'
"""


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1, (path, old)
    path.write_text(text.replace(old, new))


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """A copy of the code with a vendor and a step more."""
    copy = tmp_path / "code"
    for name in ("flows", "tasks", "tests"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    vendors, steps = copy / "tasks/accelerators", copy / "tasks/steps"
    (vendors / "vendors/acme.py").write_text(ROW)
    first = "from tasks.accelerators.vendors.amd import AMD\n"
    edit(vendors / "rows.py", first, f"from tasks.accelerators.vendors.acme import ACME\n{first}")
    edit(vendors / "rows.py", " CPU)", " ACME, CPU)")
    (steps / "greet.py").write_text(STEP)
    listed = "from tasks.steps.fetch_weights import fetch_weights\n"
    edit(steps / "__init__.py", listed, f"{listed}from tasks.steps.greet import greet\n")
    edit(steps / "__init__.py", "    deploy,\n", "    deploy,\n    greet,\n")
    smoked = "    if why := wrong(steps.smoke(run, candidate)):\n"
    edit(copy / "flows/rollout.py", smoked, f"    steps.greet(run, candidate)\n{smoked}")
    for name in ("README.md", "pyproject.toml"):
        shutil.copy(ROOT / name, copy)
    smoke = "               smoke           right model"
    edit(copy / "README.md", smoke, f"{DRAWN}{smoke}")
    return copy


def dressed(root: Path) -> NodeDef:
    """A node with two cards of the vendor nobody knows yet."""

    put = partial(hostroot.write, root)
    put("proc/modules", "acme 4096 0 - Live 0x0000000000000000\n")
    put("proc/cpuinfo", "processor\t: 0\nmodel name\t: some\nflags\t\t: avx2\n")
    put("proc/meminfo", "MemTotal:       67108864 kB\nMemAvailable:   64000000 kB\n")
    put("proc/sys/kernel/osrelease", "6.6.1\n")
    put("sys/module/acme/version", "1.6.2\n")
    for card in range(2):
        for name, value in (("vendor", "0xacce"), ("device", "0x0001"), ("class", "0x120000")):
            put(f"sys/bus/pci/devices/0000:0{card}:00.0/{name}", value + "\n")
        put(f"dev/acme/card{card}")
    put("usr/bin/acme-smi", SMI, 0o755)
    (root / "var/lib").mkdir(parents=True)
    labels = {"acme.com/npu": "true", "acme.com/npu.model": "Acme-One"}
    capacity = {"cpu": "8", "memory": "64Gi", "acme.com/npu": "2"}
    return NodeDef("node-a", labels=labels, capacity=capacity, host_root=root)


@pytest.fixture
def extended(tmp_path: Path, code: Path, prefect_api: str) -> Iterator[House]:
    node = dressed(tmp_path / "host")
    with house(tmp_path, prefect_api, node=node, code=code) as found:
        yield found


def test_a_row_is_a_vendor_and_a_file_a_row_and_a_line_are_a_step(extended: House) -> None:
    extended.publish(1)
    # its tool says the same before and after the load
    nodes = {"accelerator": "acme-npu", "check_loaded": False}
    spec = str(extended.spec(nodes=nodes, serving__toolkit="ACE 2.1"))
    said = extended.rollout("check-nodes", spec, expect=0)
    assert "acme.com/npu" in said
    said = extended.rollout("run", spec, expect=0)
    assert "[greet] started" in said and "[greet] done: hello, tiny" in said
    record = record_named(said)
    taken = [item["step"] for item in record["steps"]]
    assert taken[taken.index("deploy") : taken.index("smoke")] == ["deploy", "greet"]
    assert record["validate_nodes"]["nodes"][0]["resource"] == "acme.com/npu"
    assert "hello, tiny" in Path(record["report"]).read_text()
    with Hand.connect(str(extended.cluster.kubeconfig)) as api:
        (engine,) = api.list("Deployment", NAMESPACE)
    container = engine["spec"]["template"]["spec"]["containers"][0]
    assert container["resources"]["limits"]["acme.com/npu"] == "1"
    # and a driver older than the row's minimum is refused
    smi = Path(extended.folder) / "host/usr/bin/acme-smi"
    smi.write_text(smi.read_text().replace("1.6.2", "1.4.0"))
    (Path(extended.folder) / "host/sys/module/acme/version").write_text("1.4.0\n")
    assert "DRIVER_TOO_OLD" in extended.rollout("check-nodes", spec, expect=5)


def python(code: Path, *arguments: str) -> str:
    """What the copy's own Python says."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=code,
        env={**os.environ, "PYTHONPATH": str(code)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_that_is_all_there_is_to_a_step(code: Path) -> None:
    """Nothing else lists them: the copy's own tests of steps and record hold as they are."""
    assert "greet" in python(code, "-c", "from tasks.steps import *; print(greet.name)")
    python(code, "-m", "pytest", "-q", "tests/unit/project/test_steps.py", "tests/unit/record")


def test_the_code_itself_knows_neither(home: House) -> None:
    """So that the test above shows what the copy adds."""
    spec = str(home.spec(nodes={"accelerator": "acme-npu"}))
    assert "no accelerator profile 'acme-npu'" in home.rollout("plan", spec, expect=2)
