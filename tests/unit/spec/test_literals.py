"""A credential written into a spec is refused, without being told."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.base.errors import SpecError
from tasks.spec.file import parse_spec
from tests.support import specs


@pytest.mark.parametrize(
    ("place", "change"),
    [
        ("serving.env.HF_TOKEN", {"serving": {"env": {"HF_TOKEN": "sesame-one"}}}),
        ("serving.env.INNOCENT", {"serving": {"env": {"INNOCENT": "sk-sesame0123456789"}}}),
        (
            "serving.env.HUB",
            {"serving": {"env": {"HUB": "ms-01234567-89ab-cdef-0123-456789abcdef"}}},
        ),
        ("serving.env.PROXY", {"serving": {"env": {"PROXY": "http://me:sesame@p:1"}}}),
        (
            "serving.pod.containers.0.env.DB_PASSWORD",
            {
                "serving": {
                    "pod": {
                        "containers": [
                            {"name": "e", "env": [{"name": "DB_PASSWORD", "value": "sesame"}]}
                        ]
                    }
                }
            },
        ),
        (
            "runner.pod.initContainers.0.args",
            {
                "runner": {
                    "pod": {"initContainers": [{"name": "e", "args": ["--auth-token", "sesame"]}]}
                }
            },
        ),
        ("serving.extra_args", {"serving": {"extra_args": ["--ssl-keyfile-password=sesame"]}}),
        ("serving.extra_args", {"serving": {"extra_args": ["--api-key=sesame"]}}),
        ("serving.command", {"serving": {"command": ["serve", "hf_sesame0123456789"]}}),
        ("serving.env.API_KEY", {"serving": {"env": {"API_KEY": ["sesame"]}}}),
    ],
)
def test_a_literal_is_refused_at_its_place(place: str, change: dict[str, Any]) -> None:
    with pytest.raises(SpecError) as caught:
        parse_spec(specs.text(change), "f.yaml")
    said = str(caught.value)
    assert "sesame" not in said and place in said
    assert "Secret" in said or "***" in said


@pytest.mark.parametrize(
    "env",
    [
        {"VLLM_USE_V1": "1", "HF_HOME": "/x", "TOKENIZERS_PARALLELISM": "false"},
        {"KEY_CACHE": "on", "MAX_TOKENS": "4096", "EOS_TOKEN": "</s>"},
        {
            "HF_TOKEN_PATH": "/run/secrets/hf",
            "IMAGE": "ms-swift:3.1-vllm0.10",
            "URL": "http://a:1/b@c",
        },
    ],
)
def test_what_only_sounds_like_one_is_taken(env: dict[str, str]) -> None:
    assert parse_spec(specs.text({"serving": {"env": env}}), "f.yaml").serving.env == env


def test_a_secret_by_reference_is_taken() -> None:
    item = {"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}
    pod = {"containers": [{"name": "engine", "env": [item]}]}
    assert parse_spec(specs.text({"serving": {"pod": pod}}), "f.yaml").serving.pod == pod
