"""The demo as a newcomer runs it: real vLLM, the real model, the embedded default."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from deployments.local import stack

pytestmark = [pytest.mark.engine, pytest.mark.timeout(2400)]
TOUCHED = ("KUBECONFIG", "MODELSCOPE_", "PREFECT_", "MODEL_ROLLOUT_")


def demo(local: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`rollout demo` with its state in a folder of the test's own."""
    env = {key: value for key, value in os.environ.items() if not key.startswith(TOUCHED)}
    env["MODEL_ROLLOUT_DEMO"] = str(local)
    return subprocess.run(
        [sys.executable, "-m", "flows.cli", "demo", *arguments],
        capture_output=True,
        text=True,
        env=env,
        check=False,
    )


def test_the_demo_promotes_serves_and_fails_honestly(tmp_path: Path) -> None:
    local = tmp_path / "local"
    # the model is built once a checkout; the test borrows what `make demo` has built
    built = stack.ROOT / ".local" / "models"
    if built.is_dir():
        local.mkdir()
        shutil.copytree(built, local / "models", copy_function=os.link)
    try:
        first = demo(local, "--keep")
        assert first.returncode == 0, first.stdout + first.stderr
        assert "promoted" in first.stdout and "ttft_p95_ms" in first.stdout
        up = stack.running(local)
        assert up is not None
        record = json.loads(sorted(local.glob("rollouts/smollm2/*/record.json"))[-1].read_text())
        assert (
            record["judge"]["verdict"] == "pass"
            and record["resolve_model"]["deployment"] in first.stdout
        )
        assert all(target["measured"] > 0 for target in record["judge"]["targets"])
        address = next(
            line.split(" at ")[1].strip()
            for line in first.stdout.splitlines()
            if line.startswith("serving:") and " at " in line
        )
        question = {
            "model": "SmolLM2-135M-Instruct",
            "messages": [{"role": "user", "content": "What is the capital of France?"}],
            "max_tokens": 24,
            "temperature": 0,
        }
        url = f"{address}/v1/chat/completions"
        answer = httpx.post(url, json=question, timeout=120, trust_env=False).json()
        assert "Paris" in answer["choices"][0]["message"]["content"]
        if kubectl := shutil.which("kubectl"):
            got = subprocess.run(
                [
                    kubectl,
                    "--kubeconfig",
                    up.kubeconfig,
                    "-n",
                    "models",
                    "get",
                    "nodes,deploy,rs,pods,svc,cm",
                ],
                capture_output=True,
                text=True,
                check=False,
            )
            assert got.returncode == 0 and "service/smollm2" in got.stdout, got.stderr

        again = demo(local, "--keep")
        assert again.returncode == 0 and "nothing was changed" in again.stdout, again.stdout

        failed = demo(local, "--keep", "--target", "ttft_p95_ms=1")
        assert failed.returncode == 3, failed.stdout + failed.stderr
        asked = next(line for line in failed.stdout.splitlines() if "answered" in line)
        answered, _, of = asked.partition(" answered ")[2].partition(" requests")[0].split()
        assert answered == of and int(of) > 5, asked
        answer = httpx.post(url, json=question, timeout=120, trust_env=False)
        assert answer.status_code == 200
    finally:
        demo(local, "--down")
