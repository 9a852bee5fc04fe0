"""One rollout in the middle of chaos: its commands, its clients, and what must hold of it."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from deployments.local import hub
from deployments.local.model import tiny_model
from tasks.base.errors import Exit
from tasks.objects.labels import INSTANCE_LABEL, RELEASE_LABEL
from tasks.objects.replicas import replicas_of
from tasks.release.state import State, configmap_name, from_configmap
from tests.chaos.draws import Draw, Strategy
from tests.chaos.quick import Forked
from tests.flows.house import NAMESPACE, House, spec_data
from tests.support.streams import Seen, clients, streamed
from tests.support.waiting import until

# A command that fails in trouble is given again, so often at most before all is at rest.
MOST = 12
REST_S, COMMAND_S = 120.0, 900.0
# engines end what they have begun, and streams are much shorter than that
ENDING: dict[str, Any] = {
    "serving__extra_args": ["--shutdown-timeout=12"],
    "serving__pod": {"terminationGracePeriodSeconds": 22},
}
TOKENS = 60
# of a node's 4 cores: beside one replica another fits, beside two none, beside a wide one none
SEATS: dict[Strategy, dict[str, Any]] = {
    "parallel": {},
    "lend": {"replicas": 2, "resources": {"cpu": "2", "memory": "4Gi", "shm_gib": 0}},
    "replace": {"resources": {"cpu": "3", "memory": "4Gi", "shm_gib": 0}},
}
# a first token so late that a machine which is busy with all lanes measures it well enough
LAWS = {"ttft": {"mean": 1.0}, "itl": {"mean": 0.01}}
_publishing = threading.Lock()  # lanes share a hub


@dataclass
class Sum:
    """What came of all rounds of a lane."""

    killed: int = 0
    ended: int = 0  # before they could be killed
    failed: int = 0  # commands of an operator that were given again
    breaches: list[str] = field(default_factory=list)
    settled_s: list[float] = field(default_factory=list)


def _renewed(spec: dict[str, Any]) -> bool:
    """Whether its holder may be alive."""
    ago = datetime.now(UTC) - datetime.fromisoformat(spec["renewTime"])
    return ago.total_seconds() < spec["leaseDurationSeconds"]


class Lane:
    """A rollout of its own name, model and node in a shared house.

    windows: when an interruption was allowed, from the write that announces it to the first answer
    after it (monotonic seconds).
    """

    def __init__(self, home: House, name: str, strategy: Strategy, node: str) -> None:
        self.home, self.name, self.strategy = home, name, strategy
        self.folder = home.folder / name
        self.folder.mkdir()
        self.sum, self.windows = Sum(), list[list[float]]()
        self.typical_s: dict[tuple[str, bool], float] = {}
        self.model, self._told, self._published, self._runs = f"test/{name}", 0, 0, 0
        self.cut = 0  # requests that broke where none may
        self.whole = False
        data = spec_data(
            name=name,
            model={"id": self.model, "endpoint": home.hub.url},
            serving__served_model_name=name,
            nodes={"accelerator": "cpu", "selector": {"kubernetes.io/hostname": node}},
            promotion={
                "soak_s": 1,
                "drain_s": 4,
                "allow_interruption": strategy == "replace",
            },
            **ENDING,
        )
        data["serving"] |= SEATS[strategy]
        data["benchmark"] |= {"requests_per_round": 8, "max_rounds": 3}
        self.questions = self.folder / "questions.jsonl"
        asked = [{"question": f"What is {n} and {n}?", "answer": "token"} for n in range(20)]
        self.questions.write_text("".join(f"{json.dumps(item)}\n" for item in asked))
        self.spec = self.folder / "spec.yaml"
        self.spec.write_text(yaml.safe_dump(data))

    # -- commands -----------------------------------------------------------------------------

    def publish(self) -> str:
        """A new commit of its model."""
        self._published += 1
        note = f"version {self._published}"
        # no two lanes have the same bytes
        seed = self._published * 1000 + sum(self.name.encode())
        source = tiny_model(self.folder / note, size_bytes=1 << 20, shards=2, seed=seed)
        (source / "exact_engine.json").write_text(json.dumps(LAWS))
        with _publishing:
            return hub.publish(self.home.hub_folder, self.model, "master", source, note)

    def arguments(self, what: str) -> list[str]:
        """Of a `rollout` command, as an operator would give them."""
        named = [self.name, "-n", NAMESPACE]
        match what:
            case "run":
                return ["run", str(self.spec), "--yes"]
            case "fails":
                return ["run", str(self.spec), "--yes", "--target", "ttft_mean_ms=1"]
            case "held":
                # as many questions as an exam needs at least, all at once
                exam = {"questions": str(self.questions), "max_tokens": 1, "concurrency": 20}
                exam |= {"minimum_percent": 1, "advisory": True}
                given = ["promotion.approval=before-promote", f"quality={json.dumps(exam)}"]
                return ["run", str(self.spec), "--yes", *(f"--set={item}" for item in given)]
            case "guard":
                return ["guard", "--once", "-n", NAMESPACE]
            case "rollback":
                # nothing is lent on a way back that a person asks for
                wide = ["--allow-interruption"] if self.strategy != "parallel" else []
                return ["rollback", *named, *wide, "--yes"]
            case "promote" | "approve":
                state = self.state()
                held = state.phase == "held"
                meant = ["--rollout", state.rollout, "--plan", state.plan] if held else []
                return [what, *named, *meant, "--yes"]
        return [what, *named, "--yes"]

    def start(self, what: str) -> tuple[subprocess.Popen[bytes] | Forked, Path]:
        """Start one; its output goes to a file."""
        self._runs += 1
        log = self.folder / f"{self._runs:03d}-{what}.log"
        config = ["--kubeconfig", str(self.home.kubeconfig)]
        arguments = [*self.arguments(what), *config]
        log.touch()
        if not self.whole:
            return Forked(arguments, self.home.environment, self.folder, log), log
        with log.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "flows.cli", *arguments],
                stdout=out,
                stderr=subprocess.STDOUT,
                env=self.home.environment,
                cwd=self.folder,
            )
        return process, log

    def give(self, what: str) -> int:
        """Run one to its end; gives its exit status."""
        begun = time.monotonic()
        process, log = self.start(what)
        try:
            code = process.wait(COMMAND_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            self.breach(f"{what} did not end in {COMMAND_S:.0f} s: {log}")
            return -1
        if code == 0:
            self.typical_s[what, self.whole] = time.monotonic() - begun
        state = self.state()
        if state.phase == "idle" and state.stable:
            self.must_answer(f"after {what} ({log.name})")
        return code

    def kill(self, what: str, words: str, share: float) -> bool:
        """Start one and kill it; False where it ended before."""
        begun = time.monotonic()
        process, log = self.start(what)
        typical = self.typical_s.get((what, self.whole), 20.0)
        at = begun + share * typical
        while process.poll() is None:
            if words in log.read_text(errors="replace") if words else time.monotonic() >= at:
                process.kill()
                process.wait()
                self.sum.killed += 1
                return True
            time.sleep(0.05)
        self.sum.ended += 1
        return False

    # -- what is there ------------------------------------------------------------------------

    def state(self) -> State:
        """Read past the API server, which is in trouble."""
        found = self.home.cluster.store.get("configmaps", NAMESPACE, configmap_name(self.name))
        return from_configmap(self.name, found)

    @property
    def address(self) -> str:
        """Of the stable Service."""
        spec = self.home.cluster.store.must("services", NAMESPACE, self.name)["spec"]
        return f"http://{spec['clusterIP']}:{spec['ports'][0]['port']}"

    def hear(self, event: tuple[int, str, str, Any]) -> None:
        """A change in the cluster: an interruption is announced before it happens."""
        _, plural, _, item = event
        meta = item["metadata"]
        if plural != "configmaps" or meta["name"] != configmap_name(self.name):
            return
        state = from_configmap(self.name, item)
        open_now = bool(self.windows) and len(self.windows[-1]) == 1
        if state.strategy == "replace" and state.phase != "idle" and not open_now:
            self.windows.append([time.monotonic()])

    def left_over(self) -> str:
        """What is there that should not be once all is at rest; '' for nothing."""
        state, store = self.state(), self.home.cluster.store
        if state.phase != "idle" or state.candidate or state.stable is None:
            return f"the phase is {state.phase}, candidate {state.candidate}"
        stable, previous = state.stable, state.previous

        def ours(plural: str) -> list[dict[str, Any]]:
            wanted = {INSTANCE_LABEL: self.name}
            return store.list(plural, NAMESPACE, lambda labels: wanted.items() <= labels.items())

        leads = {
            item["metadata"]["name"]: item["spec"]["selector"][RELEASE_LABEL]
            for item in ours("services")
        }
        if leads != {self.name: stable.id}:
            return f"Services lead to {leads}"
        for item in ours("deployments"):
            asked = item["spec"]["replicas"]
            there = int((item.get("status") or {}).get("availableReplicas") or 0)
            named = item["metadata"]["name"]
            if named == stable.deployment:
                if not asked or there < asked:
                    return f"{named} serves with {there} of {asked} replicas"
                if replicas_of(item).stopped:
                    return f"{named} serves with {asked} replicas, and was given nothing back"
            elif previous is None or named != previous.deployment or asked:
                return f"{named} with {asked} replica(s)"
        for pod in ours("pods"):
            phase = (pod.get("status") or {}).get("phase")
            release = pod["metadata"]["labels"].get(RELEASE_LABEL)
            if release != stable.id and phase not in ("Succeeded", "Failed"):
                return f"pod {pod['metadata']['name']} is {phase}"
        lease = store.get("leases", NAMESPACE, configmap_name(self.name))
        # one that a dead process holds runs out: nobody has to do anything about it
        if lease and lease["spec"].get("holderIdentity") and _renewed(lease["spec"]):
            return f"{lease['spec']['holderIdentity']} holds the lease"
        return ""

    # -- what must hold -----------------------------------------------------------------------

    def breach(self, what: str) -> None:
        """Something that must never be."""
        self.sum.breaches.append(what)
        print(f"{self.name}: BREACH: {what}", flush=True)

    def must_answer(self, when: str) -> None:
        """Somebody answers at the Service, which ends an interruption."""
        url = f"{self.address}/v1/chat/completions"
        try:
            until(lambda: streamed(url, self.name, 4) or True, timeout_s=60, forgiving=(Exception,))
        except AssertionError as error:
            self.breach(f"nothing answers {when}: {error}")
        if self.windows and len(self.windows[-1]) == 1:
            self.windows[-1].append(time.monotonic())

    def hear_clients(self, seen: Seen, round_: str) -> int:
        """Judge what broke since it was called last; gives how many are breaches."""
        now, found = time.monotonic(), 0
        while self._told < len(seen.broken):
            begun, ended = seen.spans[self._told]
            windows = ((w[0], w[1] if len(w) > 1 else now) for w in self.windows)
            if not any(begun <= last and ended >= first for first, last in windows):
                self.breach(f"{round_}: {seen.broken[self._told]}")
                found += 1
                self.cut += 1
            self._told += 1
        return found

    # -- rounds -------------------------------------------------------------------------------

    @contextmanager
    def begun(self) -> Iterator[Seen]:
        """Two versions were rolled out, so that there is a way back, and its clients ask."""
        self.home.cluster.store.listen(self.hear)
        for _ in range(2):
            self.publish()
            while code := self.give("run"):
                if self._runs > MOST:
                    raise RuntimeError(f"the first runs end with {code}: {self.folder}")
        with clients(
            self.address, model=self.name, streams=1, tokens=TOKENS, kept_chats=1, every_s=0.3
        ) as seen:
            yield seen

    def round(self, draw: Draw, seen: Seen) -> None:
        """Kill, settle, and look."""
        before, count = self.state(), seen.requests
        assert before.stable is not None
        begun = "run" if draw.begun == "rollback" and before.previous is None else draw.begun
        words = draw.words if begun == draw.begun else ""
        wanted = self.publish() if begun != "rollback" else ""
        self.whole = draw.whole
        round_ = f"round {draw.number} ({draw})"
        if begun == "approve":
            self.give("held")
        killed = self.kill(begun, words, draw.share)
        since = time.monotonic()
        again = draw.again
        then = ["fails" if what == "run" and begun == "fails" else what for what in draw.then]
        for number, step in enumerate(then):
            if number == 0 and again is not None and self.kill(step, "", again):
                since = time.monotonic()
            self._insist(step, round_)
        took = time.monotonic() - since
        self.sum.settled_s.append(took)
        try:
            until(lambda: not self.left_over(), timeout_s=REST_S)
        except AssertionError:
            self.breach(f"{round_}: left over: {self.left_over()}")
        after = self.state().stable
        allowed = {before.stable.commit, wanted if begun in ("run", "held", "approve") else ""}
        if begun == "rollback" and before.previous:
            allowed.add(before.previous.commit)
        if "run" in draw.then and begun == "rollback":
            allowed.add(self.newest())
        if after is None or after.commit not in allowed:
            self.breach(f"{round_}: {after} serves, none of {allowed}")
        broken = self.hear_clients(seen, round_)
        print(
            f"{self.name} {round_}: {'killed' if killed else 'it had ended'}; settled after "
            f"{took:.0f} s; {seen.requests - count} requests, {broken} broken",
            flush=True,
        )

    def newest(self) -> str:
        """The commit that a run would roll out now."""
        found = hub.head(self.home.hub_folder, self.model, "master")
        return str(found)

    def _insist(self, what: str, round_: str) -> None:
        """Give a command, and what follows by its state, until all is at rest."""
        good = (0, 3) if what == "fails" else (0,)
        for _ in range(MOST):
            code = self.give(what)
            phase = self.state().phase
            if code in good and phase == "idle":
                return
            self.sum.failed += 1
            if code == Exit.REFUSED:  # the guard of another lane may be at it
                time.sleep(5)
            # a person decides where nobody could look at what was promoted
            if phase in ("unproven", "held"):
                what, good = "promote", (0,)
            elif what == "promote":
                what = "recover"
        self.breach(f"{round_}: not at rest after {MOST} commands, phase {self.state().phase}")
