"""Does a Prefect server of a pinned set do its work? A server can start, answer, and start no run.

`make lock` asks this of a new set before it replaces the old one: the set is installed apart, its
server runs for a minute with a deployment on a schedule, and its log and its runs are judged.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

WATCH_S = 60
START_S = 90
_ERROR = re.compile(r"^\S+ \| (?:ERROR|CRITICAL) +\| (.*)$", re.MULTILINE)


def faults(log: str, runs: int) -> list[str]:
    """What is wrong with a server, by its log and by how many runs its scheduler planned. PURE."""
    said = [re.sub(r"\s+", " ", text).strip()[:300] for text in _ERROR.findall(log)]
    found = [f"its log: {text}" for text in dict.fromkeys(said)]
    if not runs:
        found.append("its scheduler planned no run of a deployment with an active schedule")
    return found


def try_set(pinned: Path) -> list[str]:
    """Install a pinned file apart, watch its server for WATCH_S; gives what is wrong with it."""
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or "uv"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run([sys.executable, "-m", "venv", str(folder / "env")], check=True)
        python = folder / "env" / "bin" / "python"
        install = [uv, "pip", "install", "--quiet", "--require-hashes", "-r", str(pinned)]
        subprocess.run([*install, "--python", str(python)], check=True)
        return _watch(folder, python.with_name("prefect"))


def _watch(folder: Path, prefect: Path) -> list[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    env = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")}
    env |= {
        "PREFECT_HOME": str(folder / "home"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "NO_COLOR": "1",
    }
    command = [str(prefect), "server", "start", "--host", "127.0.0.1", "--port", port]
    log = folder / "server.log"
    with (
        log.open("wb") as out,
        subprocess.Popen(command, env=env, cwd=folder, stdout=out, stderr=out) as server,
    ):
        try:
            runs = _runs_planned(f"http://127.0.0.1:{port}/api", server)
            said = log.read_text()  # before its end, which is not what is tried
        except OSError as error:
            return [f"it does not answer ({error}): {log.read_text()[-600:]}"]
        finally:
            server.terminate()
            server.wait(60)
    return faults(said, runs)


def _runs_planned(api: str, server: subprocess.Popen[bytes]) -> int:
    """Make a scheduled deployment, wait WATCH_S, count its runs. Raises OSError."""
    end = time.monotonic() + START_S
    while True:
        try:
            flow = _call(f"{api}/flows/", {"name": "tried"})
            break
        except OSError:
            if time.monotonic() > end or server.poll() is not None:
                raise
            time.sleep(1)
    schedule = {"active": True, "schedule": {"interval": 60}}
    body = {"name": "tried", "flow_id": flow["id"], "schedules": [schedule]}
    made = _call(f"{api}/deployments/", body)
    # what was planned by the call that made it says nothing of the services
    asked = {"deployments": {"id": {"any_": [made["id"]]}}}
    _call(f"{api}/deployments/{made['id']}/pause_deployment", {})
    _call(f"{api}/deployments/{made['id']}/resume_deployment", {})
    time.sleep(WATCH_S)
    return int(_call(f"{api}/flow_runs/count", asked))


def _call(url: str, body: dict[str, Any]) -> Any:
    data = json.dumps(body).encode()
    request = urllib.request.Request(  # noqa: S310 - loopback
        url, data, {"Content-Type": "application/json"}, method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            text = answer.read()
    except urllib.error.HTTPError as error:
        raise OSError(f"{url}: {error.code} {error.read()[:300]!r}") from error
    return json.loads(text) if text else None
