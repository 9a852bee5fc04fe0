"""The service under load: hundreds of tracked models, and many rollouts at once, on one server.

`python -m tests.bench.service [--database FILE] [--models 500] [--rollouts 50] [--limit 50]`. Most
models serve what the hub has; `--rollouts` of them have a version that does not serve, which one
look of the watcher finds, and whose events start as many rollouts with the exact engine.
`--database`: a file with the address of a PostgreSQL database, empty; else SQLite.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import yaml

from deployments.local import hub, stack
from deployments.local.kube.settings import NodeDef
from flows.watch_models import EVENT
from tasks.outside.modelscope.hub import Hub
from tasks.outside.prefect import keeping, living
from tasks.release.state import Release, State, to_configmap
from tests.flows.house import NAMESPACE, House, house, spec_data
from tests.support.cluster.hand import Hand
from tests.support.served import FINAL

_HZ = os.sysconf("SC_CLK_TCK")
LONGEST_S = 7200.0
_ERROR = re.compile(r"\| ERROR|Traceback")


def models_of(home: House, count: int, new: int) -> Path:
    """Publish `count` models with a spec each; all but the first `new` serve. Gives the folder of
    the specs."""
    folder = home.folder / "specs"
    folder.mkdir()
    source = home.folder / "source"
    with Hand.connect(str(home.cluster.kubeconfig)) as api:
        for number in range(count):
            name, model = f"m{number:03d}", f"test/m{number:03d}"
            files = _files(source, number)
            commit = hub.publish(home.hub_folder, model, "master", files)
            spec = spec_data(name=name, model__id=model, serving__served_model_name=name)
            (folder / f"{name}.yaml").write_text(yaml.safe_dump(spec))
            if number >= new:
                found = Hub(home.hub.url).resolve(model, "master", ())
                digest, image = found.digest, spec["serving"]["image"]
                one = Release("r" * 10, name, model, "master", commit, digest, image, name)
                api.apply(to_configmap(State(name, stable=one), NAMESPACE))
    return folder


def _files(source: Path, number: int) -> dict[str, Path | bytes]:
    from deployments.local.model import tiny_model

    if not source.exists():
        tiny_model(source, size_bytes=1 << 16, shards=1, seed=1)
        (source / "exact_engine.json").write_text('{"ttft": {"mean": 0.25}, "itl": {"mean": 0.01}}')
    files: dict[str, Path | bytes] = {
        str(path.relative_to(source)): path for path in source.rglob("*") if path.is_file()
    }
    return {**files, "README.md": f"model {number}".encode()}


@dataclass
class Usage:
    """Of a process and all below it. cpu_s: by what lives. memory: most at once, in KiB, what is
    shared counted once."""

    cpu_s: float = 0.0
    memory: int = 0


@dataclass
class Watch:
    """Samples of server and worker, and of how fast the server answers (seconds)."""

    usage: dict[str, Usage] = field(default_factory=dict)
    answers: list[float] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)


def _processes() -> dict[int, tuple[int, float]]:
    """Parent, and CPU seconds (own and of children that ended), by pid."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            rest = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        cpu = sum(map(int, rest[11:15])) / _HZ
        found[int(path.parent.name)] = (int(rest[1]), cpu)
    return found


def _memory(pid: int) -> int:
    """KiB, each page divided by those who share it."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def _below(pid: int, every: dict[int, tuple[int, float]]) -> list[int]:
    found, new = [pid], [pid]
    while new:
        new = [one for one, (parent, _) in every.items() if parent in new]
        found += new
    return [one for one in found if one in every]


@contextmanager
def watching(roots: dict[str, int], api: str) -> Iterator[Watch]:
    """Sample while a `with` block runs. roots: pids by name."""
    seen, stop = Watch(), threading.Event()
    first = _processes()
    begun = {name: sum(first[one][1] for one in _below(pid, first)) for name, pid in roots.items()}

    def sample() -> None:
        while not stop.wait(2.0):
            every = _processes()
            for name, pid in roots.items():
                whole = _below(pid, every)
                usage = seen.usage.setdefault(name, Usage())
                usage.cpu_s = max(usage.cpu_s, sum(every[one][1] for one in whole) - begun[name])
                usage.memory = max(usage.memory, sum(map(_memory, whole)))
            began = time.monotonic()
            try:
                answer = httpx.post(f"{api}/deployments/filter", json={"limit": 20}, timeout=60)
                if answer.status_code != 200:
                    seen.refused[str(answer.status_code)] += 1
            except httpx.HTTPError as error:
                seen.refused[type(error).__name__] += 1
            seen.answers.append(time.monotonic() - began)

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join(70)


@dataclass
class Service:
    """A server and a worker of `rollout up`, for a house."""

    home: House
    state: Path
    api: str
    specs: Path
    arguments: Sequence[str]

    def up(self) -> float:
        """`rollout up`; gives its seconds."""
        return self._timed("up", "--specs", str(self.specs), *self.arguments)

    def down(self) -> None:
        self._timed("down", "--yes")

    def _timed(self, *arguments: str) -> float:
        command = [sys.executable, "-m", "flows.cli", *arguments, "--state", str(self.state)]
        began = time.monotonic()
        env = {**self.home.environment, "PREFECT_API_URL": self.api}
        done = subprocess.run(command, env=env, cwd=self.specs, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(done.stdout + done.stderr)
        return time.monotonic() - began

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Ask the server; again where it is busy."""
        while True:
            try:
                answer = httpx.request(method, f"{self.api}{path}", json=body, timeout=120)
            except httpx.TimeoutException:
                continue
            if answer.status_code != 503:
                answer.raise_for_status()
                return answer.json() if answer.content else None
            time.sleep(2)

    def every(self, path: str, body: dict[str, Any]) -> list[dict[str, Any]]:
        """All pages."""
        found: list[dict[str, Any]] = []
        while page := self.call("POST", path, {**body, "limit": 200, "offset": len(found)}):
            found += page
        return found

    def look(self) -> dict[str, Any]:
        """One run of the watcher, once it has ended."""
        body = {"deployments": {"name": {"any_": ["watch-models"]}}}
        (found,) = self.call("POST", "/deployments/filter", body)
        path = f"/deployments/{found['id']}/create_flow_run"
        ident = self.call("POST", path, {"state": {"type": "SCHEDULED"}})["id"]
        return until(
            lambda: next(
                (
                    run
                    for run in [self.call("GET", f"/flow_runs/{ident}")]
                    if run["state_type"] in FINAL
                ),
                None,
            )
        )

    def told(self) -> dict[str, float]:
        """When each model's new version was told (Unix seconds), by name."""
        page = self.call("POST", "/events/filter", {"filter": {"event": {"name": [EVENT]}}})
        events = page["events"]
        while page["next_page"]:
            page = self.call("GET", page["next_page"].removeprefix(self.api))
            events += page["events"]
        return {item["resource"]["prefect.resource.name"]: _at(item["occurred"]) for item in events}

    def rollouts(self) -> list[dict[str, Any]]:
        """All flow runs of rollouts."""
        return self.every("/flow_runs/filter", {"flows": {"name": {"any_": ["rollout"]}}})


def until(look: Callable[[], Any]) -> Any:
    """What `look` gives once it gives something. Raises TimeoutError after LONGEST_S."""
    deadline = time.monotonic() + LONGEST_S
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(3)
    raise TimeoutError(f"nothing came in {LONGEST_S:g} s")


def spread(values: Sequence[float]) -> str:
    """Median, 95th percentile and the largest, in seconds."""
    if not values:
        return "none"
    ordered = sorted(values)
    high = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
    return f"{statistics.median(ordered):.2f} / {high:.2f} / {ordered[-1]:.2f} s"


def _at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def measure(service: Service, rollouts: int) -> None:
    """Deploy, look, and let everything that is new be rolled out; prints figures."""
    print(f"rollout up, first      {service.up():.0f} s", flush=True)
    print(f"rollout up, again      {service.up():.0f} s", flush=True)
    every = service.every("/deployments/filter", {})
    for item in every:  # only what this bench starts
        for schedule in item["schedules"]:
            place = f"/deployments/{item['id']}/schedules/{schedule['id']}"
            service.call("PATCH", place, {"active": False})
    print(f"deployments            {len(every)}", flush=True)
    roots = {name: living.pid_of(service.state, name) or 0 for name in ("server", "worker")}
    began = time.monotonic()
    with watching(roots, service.api) as seen:
        run = service.look()
        print(f"a look at all models   {run['total_run_time']:.0f} s, {run['state_name']}")
        until(lambda: sum(run["state_type"] in FINAL for run in service.rollouts()) >= rollouts)
    spent = time.monotonic() - began
    runs = service.rollouts()
    told = service.told()
    names = {
        run["id"]: run["parameters"].get("spec_file", "").removesuffix(".yaml") for run in runs
    }
    seen_at = [_at(run["created"]) - told[names[run["id"]]] for run in runs]
    begun = [_at(run["start_time"]) - told[names[run["id"]]] for run in runs if run["start_time"]]
    print(f"event to flow run      {spread(seen_at)}   (median / p95 / longest)")
    print(f"event to its start     {spread(begun)}")
    print(f"a rollout              {spread([run['total_run_time'] for run in runs])}")
    print(f"all ended after        {spent:.0f} s: {dict(Counter(r['state_name'] for r in runs))}")
    print(f"the API's answers      {spread(seen.answers)}, not: {dict(seen.refused)}")
    for name, usage in seen.usage.items():
        print(f"{name:<22} {usage.cpu_s:.0f} s of CPU, at most {usage.memory / 1024:,.0f} MiB")
    log = keeping.log_of(service.state, "server").read_text(errors="replace")
    print(f"errors in its log      {len(_ERROR.findall(log))}", flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Run it once; 0."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.service")
    parser.add_argument("--database", help="file with a PostgreSQL address; default: SQLite")
    parser.add_argument("--models", type=int, default=500)
    parser.add_argument("--rollouts", type=int, default=50)
    parser.add_argument("--limit", type=int, default=50, help="rollouts at once")
    asked = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="service-") as made:
        folder, port = Path(made), stack.free_port()
        api = f"http://{keeping.HOST}:{port}/api"
        root = stack.make_host_root(folder / "node")
        node = NodeDef(
            "node-a", capacity={"cpu": "64", "memory": "1Ti", "pods": "500"}, host_root=root
        )
        with house(folder, api, node=node) as home:
            specs = models_of(home, asked.models, asked.rollouts)
            more = ["--port", str(port), "--limit", str(asked.limit)]
            more += ["--database-file", asked.database] if asked.database else []
            service = Service(home, folder / "state", api, specs, more)
            try:
                measure(service, asked.rollouts)
            finally:
                service.down()
    return 0


if __name__ == "__main__":
    sys.exit(main())
