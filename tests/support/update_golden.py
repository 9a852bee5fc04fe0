"""Renew golden files and generated tables: `python -m tests.support.update_golden`.

Look at the difference before committing it: it is what every cluster will get.
"""

from __future__ import annotations

from typing import Any

import yaml

from flows.cli.commands.app import build
from tasks.accelerators.profiles import profile
from tasks.nodes.reasons import CODES
from tasks.render.devices import pod_needs, probe_mounts, probe_root
from tasks.render.jobs import fetch_job, probe_job
from tasks.render.release import deployment, release_of
from tasks.render.services import service
from tasks.spec.file import read_spec
from tasks.spec.rollout import Rollout
from tests.support.docs.reference import pages
from tests.support.places import GOLDEN, ROOT

MODELS = ROOT / "deployments" / "models"
DOCS = ROOT / "docs" / "nodes.md"
BEGIN, END = "<!-- reason codes: generated -->", "<!-- end of reason codes -->"
CLI = ROOT / "docs" / "cli.md"
CLI_BEGIN, CLI_END = "<!-- commands: generated -->", "<!-- end of commands -->"
COMMIT, DIGEST = "c" * 40, "sha256:" + "d" * 64
DEEPSEEK = "deepseek-r1-distill-qwen-32b-k100ai.yaml"
# what the nodes of each profile offer
RESOURCES = {
    "hygon-dcu": "hygon.com/dcu",
    "nvidia-gpu": "nvidia.com/gpu",
    "amd-gpu": "amd.com/gpu",
    "ascend-npu": "huawei.com/Ascend910",
    "metax-gpu": "metax-tech.com/gpu",
    "mthreads-gpu": "mthreads.com/gpu",
    "cambricon-mlu": "cambricon.com/mlu",
    "iluvatar-gpu": "iluvatar.com/gpu",
    "kunlunxin-xpu": "kunlunxin.com/xpu",
    "enflame-gcu": "enflame.com/gcu",
    "thead-ppu": "alibabacloud.com/ppu",
    "cpu": "",
}


def specs() -> dict[str, Rollout]:
    """Every example spec by file name."""
    return {path.name: read_spec(path) for path in sorted(MODELS.glob("*.yaml"))}


def rendered(spec: Rollout, resource: str | None = None) -> dict[str, dict[str, Any]]:
    """Every object a rollout of this spec makes on one node."""
    row = profile(spec.nodes.accelerator)
    needs = pod_needs(row, RESOURCES[row.name] if resource is None else resource)
    release = release_of(spec, COMMIT, DIGEST, needs)
    volumes, mounts = probe_mounts(row, spec.store.path)
    shown = (volumes, mounts, [], row.probe_env, probe_root(row), row.runtime_class)
    return {
        "deployment": deployment(spec, release, needs, ["node-a"]),
        "stable": service(spec, release, candidate=False),
        "candidate": service(spec, release, candidate=True),
        "fetch": fetch_job(spec, "node-a", COMMIT, DIGEST),
        "probe": probe_job(spec, "node-a", "run", *shown),
    }


def golden() -> dict[str, str]:
    """Golden file name -> what it should hold."""
    objects = rendered(specs()[DEEPSEEK])
    return {
        DEEPSEEK: yaml.safe_dump(objects["deployment"], sort_keys=False),
        f"probe-{DEEPSEEK}": yaml.safe_dump(objects["probe"], sort_keys=False),
    }


def reason_table() -> str:
    """Every reason code and its meaning, as Markdown."""
    rows = [f"| `{code}` | {meaning} |" for code, meaning in CODES.items()]
    return "\n".join(["| code | meaning |", "| --- | --- |", *rows])


def with_reasons(text: str) -> str:
    """docs/nodes.md with the table between its two marks renewed."""
    return between(text, BEGIN, reason_table(), END)


def with_commands(text: str) -> str:
    """docs/cli.md with what the command says of itself renewed."""
    told = build().generate_docs(output_format="markdown", heading_level=2)
    # its anchors, as GitHub and the site make them
    told = told.replace("(#rollout-install-completion)", "(#rollout---install-completion)")
    return between(text, CLI_BEGIN, told.strip(), CLI_END)


def between(text: str, begin: str, told: str, end: str) -> str:
    """The text with what stands between two marks of it replaced."""
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(end)
    return f"{before}{begin}\n{told}\n{end}{after}"


def main() -> None:
    """Write them."""
    DOCS.write_text(with_reasons(DOCS.read_text()))
    print(DOCS)
    CLI.write_text(with_commands(CLI.read_text()))
    print(CLI)
    for path, text in pages().items():
        path.write_text(text)
        print(path)
    GOLDEN.mkdir(exist_ok=True)
    for name, text in golden().items():
        (GOLDEN / name).write_text(text)
        print(GOLDEN / name)


if __name__ == "__main__":
    main()
