"""The embedded cluster as a daemon: it comes up, ends cleanly, and cleans up after a crash."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from kubernetes import client, config

from deployments.local.daemons import start_time
from tests.support.waiting import until

# also for an API server that does not answer yet
wait = partial(until, timeout_s=120, every_s=0.05, forgiving=(client.ApiException, OSError))
PROGRAM = (
    "import subprocess, sys, time\n"
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(300)'])\n"
    "import os; print(os.getpid(), child.pid, flush=True)\ntime.sleep(300)"
)


class ClusterDaemon:
    """A cluster's process over a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ready = folder / "ready.json"
        image = {"path_prepend": str(Path(sys.executable).parent)}
        node = {"name": "laptop", "capacity": {"cpu": "4", "memory": "8Gi"}}
        setup = {"nodes": [node], "images": {"python:test": image}, "port": 0}
        (folder / "config.json").write_text(json.dumps(setup))
        command = [sys.executable, "-m", "deployments.local.kube.serve"]
        arguments = ["--data", str(folder / "data"), "--config", str(folder / "config.json")]
        self.process = subprocess.Popen([*command, *arguments], stderr=subprocess.DEVNULL)
        self.ready = folder / "data" / "ready.json"

    def pids(self) -> list[int]:
        """Run a pod with a child of its own; their pids."""
        facts = wait(lambda: self.ready.exists() and json.loads(self.ready.read_text()))
        assert facts["pid"] == self.process.pid
        core = client.CoreV1Api(config.new_client_from_config(facts["kubeconfig"]))
        main = {"name": "c", "image": "python:test", "command": ["python", "-c", PROGRAM]}
        body = {"metadata": {"name": "p"}, "spec": {"containers": [main]}}
        core.create_namespaced_pod("default", body)
        # a pod on no node yet has no log at all
        text = wait(lambda: str(core.read_namespaced_pod_log("p", "default") or "").split())
        return [int(word) for word in text]

    def end(self, number: int) -> None:
        """Signal the daemon and wait for its end."""
        self.process.send_signal(number)
        self.process.wait(120)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[], ClusterDaemon]]:
    """Start daemons over one folder; those left are killed."""
    made: list[ClusterDaemon] = []

    def one() -> ClusterDaemon:
        made.append(ClusterDaemon(tmp_path))
        return made[-1]

    yield one
    for served in made:
        if served.process.poll() is None:
            served.end(signal.SIGTERM)


def test_sigterm_ends_it_and_all_it_runs(start: Callable[[], ClusterDaemon]) -> None:
    served = start()
    pids = served.pids()
    assert all(start_time(pid) for pid in pids)
    served.end(signal.SIGTERM)
    assert served.process.returncode == 0 and not served.ready.exists()
    assert not any(start_time(pid) for pid in pids)


def test_a_crash_leaves_nothing_after_the_next_start(start: Callable[[], ClusterDaemon]) -> None:
    served = start()
    parent, child = served.pids()
    served.end(signal.SIGKILL)
    wait(lambda: not start_time(parent))  # the kernel kills it with its kubelet
    try:
        assert start_time(child)
        served.ready.unlink()
        again = start()
        wait(again.ready.exists)
        assert not start_time(child)
    finally:
        if start_time(child):
            os.kill(child, signal.SIGKILL)
