"""What vLLM reads is said once, wherever else it could be said."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.base.errors import SpecError
from tasks.render.release import PodNeeds, deployment, release_of
from tasks.spec.file import build_spec
from tasks.spec.rollout import Rollout
from tasks.spec.voices import SWITCHES
from tests.support.specs import minimal

SERVER = ["python3", "-m", "vllm.entrypoints.openai.api_server"]
SCRIPT = ["bash", "-c"]


def spec(**serving: Any) -> Rollout:
    return build_spec(minimal({"serving": {"image": "i:1", **serving}}), "f")


def pod(**serving: Any) -> dict[str, Any]:
    found = spec(**serving)
    release = release_of(found, "c" * 40, "sha256:" + "d" * 64, PodNeeds())
    body: dict[str, Any] = deployment(found, release, PodNeeds(), ["n"])
    return body["spec"]["template"]["spec"]  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ([*SERVER, "--trust_remote_code"], "model.trust_remote_code"),
        ([*SERVER, "--config", "/mnt/models/evil.yaml"], "serving.extra_args"),
        ([*SERVER, "--seed=1"], "serving.extra_args"),
        (["vllm", "serve", "evil/model"], "model.id"),
        (["/opt/bin/vllm", "serve", "--trust-remote"], "model.trust_remote_code"),
        (["python3", "-m", "vllm.entrypoints.cli.main", "serve", "evil/model"], "model.id"),
        (["wrapper", "--shutdown-timeout=3"], "serving.extra_args"),
        (["torchrun", "x.py", "--max_model_len=3"], "serving.max_model_len"),
        ([*SCRIPT, 'exec vllm serve --trust-remote-code "$@"', "x"], "trust_remote_code"),
        ([*SCRIPT, "exec vllm serve \"$@\" '--trust_remote_code'; true"], "trust_remote_code"),
        ([*SCRIPT, "cd /x && vllm serve evil/model"], "model.id"),
        ([*SCRIPT, "run.sh --config=x 'unended"], "serving.extra_args"),
    ],
)
def test_a_command_says_nothing_to_vllm(command: list[str], reason: str) -> None:
    with pytest.raises(SpecError, match=rf"serving\.command: .*{reason}"):
        spec(command=command)


@pytest.mark.parametrize(
    "command",
    [
        SERVER,
        ["vllm", "serve"],
        ["python3", "-m", "vllm.entrypoints.cli.main", "serve"],
        ["numactl", "--membind=0", "vllm", "serve"],
        ["tini", "--", "vllm", "serve"],
        [*SCRIPT, 'source /x/env.sh && exec vllm serve "$@" 2>&1', "vllm"],
        ["python3", "-c", "import time\ntime.sleep(3)"],
    ],
)
def test_how_vllm_is_started_is_free(command: list[str]) -> None:
    assert pod(command=command)["containers"][0]["command"] == command


@pytest.mark.parametrize(
    "containers",
    [
        [{"name": "engine", "args": ["--trust-remote-code", "--model=/mnt/models"]}],
        [{"name": "engine", "args": None}],
        [{"name": "engine", "command": ["vllm", "serve"]}],
        [{"$patch": "replace"}, {"name": "engine", "image": "i:1"}],
        [{"name": "engine", "$patch": "delete"}, {"name": "other", "args": ["--x"]}],
    ],
)
def test_a_sites_pod_leaves_commands_and_arguments_alone(containers: list[Any]) -> None:
    with pytest.raises(SpecError, match=r"serving\.pod: the engine's \w+ take the place of ours"):
        pod(pod={"containers": containers})


@pytest.mark.parametrize("name", sorted(SWITCHES))
def test_no_variable_says_it_either(name: str) -> None:
    on = "0" if "OFFLINE" in name else "1"
    with pytest.raises(SpecError, match=rf"serving\.env\.{name}"):
        spec(env={name: on})
    from_elsewhere = {"secretKeyRef": {"name": "s", "key": "k"}}
    for item in ({"value": on}, {"valueFrom": from_elsewhere, "value": None}):
        containers = [{"name": "engine", "env": [{"name": name, **item}]}]
        with pytest.raises(SpecError, match=rf"serving\.pod env\.{name}"):
            pod(pod={"containers": containers})
    assert spec(env={name: "1" if on == "0" else "0"})


def test_what_we_set_is_not_taken_out() -> None:
    gone = [{"name": "HF_HUB_OFFLINE", "$patch": "delete"}]
    with pytest.raises(SpecError, match="HF_HUB_OFFLINE"):
        pod(pod={"containers": [{"name": "engine", "env": gone}]})
    # what says nothing of the kind is a site's to set
    more = [{"name": "VLLM_LOGGING_LEVEL", "value": "DEBUG"}]
    assert (
        more[0]
        in pod(pod={"containers": [{"name": "engine", "env": more}]})["containers"][0]["env"]
    )
