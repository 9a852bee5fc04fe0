"""`rollout demo`: the pipeline on this machine, with an embedded cluster and a real model.

The parts around the flow are stand-ins and say so; the flow, vLLM, evalscope, Great Expectations,
Prefect and the model are the real ones.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from deployments.local import stack
from deployments.local.errors import StandInError
from deployments.local.model import ensure_model
from flows.cli.run import read, run_spec
from tasks.base.errors import OutsideError
from tasks.outside.kubernetes.client import Cluster
from tasks.outside.kubernetes.rest import unfenced
from tasks.outside.prefect.living import end
from tasks.outside.vllm.engine import Engine
from tasks.release.state import State, configmap_name, from_configmap
from tasks.spec.file import read_spec
from tasks.spec.rollout import Rollout

# where the demo keeps its state; tests give it a folder of their own
LOCAL = Path(os.environ.get("MODEL_ROLLOUT_DEMO") or stack.ROOT / ".local")
SPEC = stack.ROOT / "deployments" / "models" / "smollm2-135m-cpu.yaml"
# of `rollout up --demo`: its cluster and hub, its Prefect server and worker
GROUND, SERVICE = LOCAL / "up", LOCAL / "service"
ASK_EVERY_S = 0.5


@dataclass
class ClientView:
    """What a client of the stable Service saw while the rollout ran."""

    asked: int = 0
    answered: int = 0


@contextmanager
def asking(address: str | None) -> Iterator[ClientView]:
    """Keep asking the stable Service for its models, as a client would."""
    seen, stop = ClientView(), threading.Event()

    def ask() -> None:
        while not stop.is_set():
            seen.asked += 1
            try:
                # a new connection each time: that is what a moved Service must survive
                with Engine(str(address), timeout_s=30) as engine:
                    engine.models()
                seen.answered += 1
            except OutsideError:
                pass
            stop.wait(ASK_EVERY_S)

    thread = threading.Thread(target=ask, daemon=True)
    if address is not None:
        thread.start()
    try:
        yield seen
    finally:
        stop.set()
        if address is not None:
            thread.join(timeout=35)


def down(console: Console) -> int:
    """End what `--keep`, or `rollout up --demo`, left running."""
    ended = [*end(SERVICE), *ground_down(), *stack.down(LOCAL)]
    console.print(f"ended: {', '.join(ended)}" if ended else "nothing was running")
    return 0


def _state(kubeconfig: str, spec: Rollout) -> tuple[State, str | None]:
    """The rollout's state and the stable Service's address, None where there is no Service."""
    with Cluster.connect(kubeconfig) as cluster:
        found = cluster.get("ConfigMap", configmap_name(spec.name), spec.namespace)
        service = cluster.get("Service", spec.name, spec.namespace)
    address = None
    if service is not None:
        port = service["spec"]["ports"][0]["port"]
        address = f"http://{service['spec']['clusterIP']}:{port}"
    return from_configmap(spec.name, found), address


def _namespace(kubeconfig: str, name: str) -> None:
    with Cluster.connect(kubeconfig) as cluster:
        space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        cluster.writer(unfenced).apply(space)


@contextmanager
def _as_ours() -> Iterator[None]:
    try:
        yield
    except StandInError as error:
        raise OutsideError(str(error)) from error


def ground(console: Console, *, new_version: bool) -> dict[str, str]:
    """A cluster and a hub for `rollout up --demo`, with what a process needs to use them.
    new_version: publish a new commit on the hub. Raises OutsideError."""
    with _as_ours():
        weights = ensure_model(stack.engine_python(), LOCAL / "models", console.print)
        found = stack.up(GROUND, console.print, model=weights, prefect=False)
        _namespace(found.kubeconfig, read_spec(SPEC).namespace)
        if new_version:
            _new_version(console, GROUND)
    for label, value in (("kubeconfig", found.kubeconfig), ("hub", found.hub_url)):
        console.print(f"{label + ':':<12}{value}", soft_wrap=True)
    return found.environment()


def ground_down() -> list[str]:
    """End that cluster and hub; gives their names."""
    return stack.down(GROUND)


def _new_version(console: Console, local: Path = LOCAL) -> None:
    note = f"another version, {time.strftime('%Y-%m-%d %H:%M:%S')}"
    weights = ensure_model(stack.engine_python(), LOCAL / "models")
    commit = stack.publish_model(local / "hub", weights, note)
    console.print(f"published a new commit on the embedded hub: {commit[:12]}")


def _roll(console: Console, spec: Rollout, up: stack.Stack) -> int:
    """One rollout under watch; the exit status."""
    _, address = _state(up.kubeconfig, spec)
    with asking(address) as seen:
        code, _ = run_spec(spec, console, kubeconfig=up.account, context=None, why="rollout demo")
    if address is not None:
        console.print(
            f"the stable Service {address} answered {seen.answered} of {seen.asked} requests "
            "asked before, during and after",
        )
    return code


def _addresses(console: Console, spec: Rollout, up: stack.Stack, *, kept: bool) -> None:
    state, address = _state(up.kubeconfig, spec)
    rows = [
        ("kubeconfig", up.kubeconfig),
        ("cluster", up.cluster_url),
        ("hub", up.hub_url),
        ("Prefect UI", up.prefect_url),
        ("serving", f"{state.stable.deployment} at {address}" if state.stable else "nothing"),
    ]
    for label, value in rows:
        console.print(f"{label + ':':<12}{value}", soft_wrap=True)
    if kept:
        console.print(
            f"try: kubectl --kubeconfig {up.kubeconfig} -n {spec.namespace} "
            "get nodes,deploy,rs,pods,svc,cm",
            soft_wrap=True,
        )
        if state.stable:
            body = (
                f'{{"model": "{state.stable.served_name}", "messages": '
                '[{"role": "user", "content": "What is the capital of France?"}]}'
            )
            console.print(
                f"try: curl {address}/v1/chat/completions -H 'Content-Type: application/json' "
                f"-d '{body}'",
                soft_wrap=True,
            )
        console.print("end it with: rollout demo --down")


@dataclass(frozen=True)
class Story:
    """What is shown. sets, targets: changes of the example spec. new_version: publish one first."""

    sets: Sequence[str] = ()
    targets: Sequence[str] = ()
    new_version: bool = False

    @property
    def spec(self) -> Rollout:
        """What is rolled out."""
        found: Rollout = read(SPEC, self.sets, self.targets)
        return found

    @property
    def plain(self) -> Rollout:
        """The same with the example's own targets."""
        found: Rollout = read(SPEC, self.sets)
        return found


def demo(console: Console, story: Story, *, keep: bool) -> int:
    """Start the embedded parts, roll the example out, show where everything is.

    keep: leave everything running. Raises OutsideError when one of the parts cannot be started.
    """
    with _as_ours():
        return _demo(console, story, keep=keep)


def _demo(console: Console, story: Story, *, keep: bool) -> int:
    spec, _ = story.spec, story.plain  # what is wrong with them is said before anything starts
    console.print(
        "The cluster and the hub of this demo are small stand-ins on this machine; vLLM, the "
        "model, evalscope, Great Expectations and Prefect are real."
    )
    up = stack.up(LOCAL, console.print)
    try:
        os.environ.update(up.environment())
        _addresses(console, spec, up, kept=False)
        _namespace(up.kubeconfig, spec.namespace)
        code = _told(console, story, up)
        _addresses(console, spec, up, kept=keep)
        return code
    finally:
        if not keep:
            from tasks.outside.prefect.told import flush

            flush()
            stack.down(LOCAL)


def _told(console: Console, story: Story, up: stack.Stack) -> int:
    """Usually one rollout. Other targets need something that serves and something new to judge."""
    if story.targets:
        state, _ = _state(up.kubeconfig, story.spec)
        if state.stable is None:
            console.print("first a stable release, with the spec's own targets")
            code = _roll(console, story.plain, up)
            if code:
                return code
        _new_version(console)
    elif story.new_version:
        _new_version(console)
    return _roll(console, story.spec, up)
