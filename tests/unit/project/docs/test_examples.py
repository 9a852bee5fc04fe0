"""No example of the documentation is one that could not work, as far as it shows without a cluster.

Shell is read by bash, and each command of ours is parsed with its options; those that need no
cluster are run, a block's in their order (`ALONE`). What needs one is not run here, nor is another
program. A spec is validated, a manifest read as YAML, Python compiled, JSON read.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from flows.cli.commands.app import build
from flows.cli.main import main
from tasks.spec.rollout import Rollout
from tests.support.docs.examples import Block, blocks, commands, whole
from tests.support.places import ROOT

ALONE = ("--version", "explain", "init", "validate")
BLOCKS = [block for block in blocks() if not block.unchecked]
TARGETS = re.findall(r"(?m)^([a-z-]+):", (ROOT / "Makefile").read_text())


def of(*languages: str) -> list[Block]:
    return [block for block in BLOCKS if block.language in languages]


def test_each_block_can_be_checked() -> None:
    """A language that nobody checks is an error: say `<!-- unchecked: why -->` before it."""
    known = {"sh", "yaml", "python", "json"}
    assert [str(block) for block in BLOCKS if block.language not in known] == []
    assert len(of("sh")) > 30 and len(of("yaml")) > 15


@pytest.mark.parametrize("block", of("yaml"), ids=str)
def test_yaml_is_a_spec_or_a_manifest(block: Block) -> None:
    for found in yaml.safe_load_all(block.text):
        if "apiVersion" in found:
            assert found["kind"]
        else:
            Rollout.model_validate(whole(found))


def test_a_wrong_part_of_a_spec_is_found() -> None:
    with pytest.raises(ValueError, match="minutes"):
        Rollout.model_validate(whole({"promotion": {"soak": {"minutes": 5}}}))


def test_python_compiles_and_json_is_read() -> None:
    for block in of("python"):
        compile(block.text, str(block), "exec")
    for block in of("json"):
        json.loads(block.text)


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder, and no cluster."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("block", of("sh"), ids=str)
def test_commands_are_understood(block: Block) -> None:
    subprocess.run(["bash", "-n"], input=block.text, text=True, check=True)
    for words in commands(block.text):
        understood(words)


def understood(words: list[str]) -> None:
    """A command of ours is one that there is, with what it takes; its files are there."""
    if "rollout" in (words[0], words[0].rpartition("/")[2]) or words[:2] == [
        "kubectl",
        "rollout-model",
    ]:
        line = words[2 if words[0] == "kubectl" else 1 :]
        if line[0] != "--install-completion":  # goes to a shell's own files
            build().parse_args(line, exit_on_error=False, print_error=False)
        if line[0] in ALONE:
            assert main(line) == 0, words
    if words[0] == "make":
        goals = [word for word in words[1:] if "=" not in word]
        assert set(goals) <= set(TARGETS), words
    if words[:2] == ["python", "-c"]:
        compile(words[2], " ".join(words), "exec")
    for word in words:
        if word.startswith("deployments/"):
            assert (ROOT / word).exists(), words


@pytest.mark.parametrize(
    "line",
    [
        "rollout status m --nonsense",
        "rollout nonsense",
        "make nonsense",
        "rollout explain nonsense",
        "rollout validate nonsense.yaml",
    ],
)
@pytest.mark.usefixtures("alone")
def test_a_wrong_command_is_found(line: str) -> None:
    with pytest.raises(Exception):  # noqa: B017
        understood(line.split())


def test_what_a_shell_reads_in_a_line() -> None:
    text = "a 'b c' && d | e  # f\n(g \\\n  h)\n"
    assert commands(text) == [["a", "b c"], ["d"], ["e"], ["g", "h"]]


def test_few_are_left_out() -> None:
    assert len([block for block in blocks() if block.unchecked]) <= 8


def test_those_that_need_no_cluster_are_there_to_be_run() -> None:
    given = [words[1] for block in of("sh") for words in commands(block.text) if words[1:]]
    assert set(ALONE) <= set(given)
