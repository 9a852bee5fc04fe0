"""Credentials with recognisable values go through whole rollouts, and are found nowhere after."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
import yaml

from deployments.local.kube.objects.kinds import BY_PLURAL
from tests.flows.house import NAMESPACE, House, house
from tests.support.cluster.hand import Hand

pytestmark = pytest.mark.timeout(900)
HUB, ENGINE, OURS = "canary-hub/7+x=1", "canary-engine/7+x=2", "canary-modelscope/7+x=3"
S3 = "canary-s3/7+x=4"


def forms(value: str) -> set[bytes]:
    """The value as it may be written: plain, in a URL, as JSON, and inside of anything base64."""
    plain = value.encode()
    # where it begins in a base64 text, its first characters depend on what is before it
    inside = (base64.b64encode(b"x" * n + plain)[4:-4] for n in range(3))
    texts = {value, quote(value), quote(value, safe=""), quote_plus(value), json.dumps(value)[1:-1]}
    return {plain, *(text.encode() for text in texts), *inside}


@dataclass
class Hunt:
    """Looks for what must be nowhere."""

    values: dict[str, str]
    found: list[str] = field(default_factory=list)
    looked: int = 0

    def look(self, where: str, text: bytes) -> None:
        self.looked += 1
        for name, value in self.values.items():
            if any(form in text for form in forms(value)):
                self.found.append(f"{name} in {where}")

    def files(self, folder: Path, *but: Path) -> None:
        """Every file below it."""
        for path in sorted(folder.rglob("*")):
            if path.is_file() and not path.is_symlink() and path not in but:
                with suppress(FileNotFoundError):  # what a server that runs has put away
                    self.look(str(path), path.read_bytes())

    @contextmanager
    def arguments(self) -> Iterator[None]:
        """The arguments of every process of this machine, as long as the block runs."""
        stop, seen = threading.Event(), set[bytes]()

        def watch() -> None:
            while not stop.wait(0.05):
                for path in Path("/proc").glob("[0-9]*/cmdline"):
                    try:
                        seen.add(path.read_bytes())
                    except OSError:
                        continue  # it has ended

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
        assert any(b"bench_child" in line for line in seen)
        for line in seen:
            self.look(f"arguments {line.decode(errors='replace')}", line)


class _Bucket(BaseHTTPRequestHandler):
    """Takes what is put into it, as S3 does."""

    protocol_version = "HTTP/1.1"
    held: dict[str, bytes]

    def do_PUT(self) -> None:
        if self.headers.get("Expect"):
            self.send_response_only(100)
            self.end_headers()
        # as it was sent: the client wraps it in chunks of its own
        self.held[self.path] = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.do_HEAD()

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("ETag", '"0"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def bucket() -> Iterator[tuple[str, dict[str, bytes]]]:
    """Where it is, and what was put into it."""
    held: dict[str, bytes] = {}
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bucket", (_Bucket,), {"held": held}))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", held
    finally:
        server.shutdown()
        server.server_close()


def token_in(kubeconfig: Path) -> str:
    return str(yaml.safe_load(kubeconfig.read_text())["users"][0]["user"]["token"])


def secrets(home: House) -> None:
    """As an operator makes them."""
    with Hand.connect(str(home.cluster.kubeconfig)) as api:
        for name, value in (("hub", HUB), ("engine", ENGINE)):
            meta = {"name": name, "namespace": NAMESPACE}
            body = {"apiVersion": "v1", "kind": "Secret", "metadata": meta}
            api.apply({**body, "data": {"token": base64.b64encode(value.encode()).decode()}})


@pytest.mark.parametrize("pad", ["", "a", "ab"])
def test_the_hunt_finds_what_is_hidden(pad: str) -> None:
    hidden = [
        f"Bearer {HUB}.",
        f"?token={quote(HUB, safe='')}&",
        json.dumps({"a": json.dumps({"b": HUB})}),
        base64.b64encode(f"{pad}:{HUB}:{pad}".encode()).decode(),
    ]
    for text in hidden:
        hunt = Hunt({"it": HUB, "another": ENGINE})
        hunt.look("text", text.encode())
        assert hunt.found == ["it in text"], text


def test_no_credential_is_written_anywhere(
    tmp_path: Path,
    prefect_api: str,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with bucket() as (address, put), house(tmp_path, prefect_api, hub_token=HUB) as home:
        given = {
            "MODELSCOPE_API_TOKEN": OURS,
            "MODEL_ROLLOUT_HUB_TOKEN": HUB,
            "MODEL_ROLLOUT_HUB_TOKEN_FOR": home.hub.url,
            "AWS_ACCESS_KEY_ID": "canary-key-id",
            "AWS_SECRET_ACCESS_KEY": S3,
            "AWS_EC2_METADATA_DISABLED": "true",
            "VLLM_API_KEY": ENGINE,
        }
        for name, value in given.items():
            monkeypatch.setenv(name, value)
        secrets(home)
        home.publish(1)
        hunt = Hunt(
            {
                "the hub's token": HUB,
                "ModelScope's token": OURS,
                "the engine's key": ENGINE,
                "the bucket's key": S3,
                "the account's token": token_in(home.kubeconfig),
            }
        )
        key = {"secretKeyRef": {"name": "engine", "key": "token"}}
        env = [{"name": "VLLM_API_KEY", "valueFrom": key}]
        spec = str(
            home.spec(
                model__endpoint=home.hub.url,
                model__endpoint_token={"name": "hub"},
                serving__pod={
                    "terminationGracePeriodSeconds": 6,
                    "containers": [{"name": "engine", "env": env}],
                },
                records={"bucket": "records", "endpoint": address, "region": "us-east-1"},
            )
        )
        named = ("tiny", "-n", NAMESPACE)

        def give(code: int, *arguments: str) -> None:
            said = home.rollout(*arguments, expect=code)
            hunt.look(f"what {arguments[0]} says", said.encode())

        with hunt.arguments():
            give(0, "plan", spec, "--json")
            give(0, "run", spec)
            # its pod says why it crashes, and so does everybody after it
            give(1, "run", spec, "--set", f"serving.command={['sh', '-c', LOUD]}")
            give(0, "status", *named)
            give(0, "recover", *named)
            give(0, "report", "tiny", "--no-open", "--junit", str(tmp_path / "junit.xml"))
            home.publish(2)
            give(4, "run", spec, "--set", "promotion.approval=before-promote")
            plan = ("--plan", home.state().plan)
            give(5, "reject", *named, "--rollout", "another", *plan, "--yes")
            give(0, "approve", *named, "--rollout", home.state().rollout, *plan)
            give(0, "undo", *named, "--yes")
            # nothing to do, or refused: what is said of it was read of everything all the same
            give(5, "rollback", *named, "--yes")
            give(5, "adopt", *named)
            give(0, "abort", *named, "--yes")
            give(0, "guard", "--once", "-n", NAMESPACE)
            give(0, "store", "gc", spec, "--kubeconfig", str(home.cluster.kubeconfig))
            give(0, "status", *named)  # with its history
        for path, body in put.items():
            hunt.look(f"s3 {path}", body)
        for plural in BY_PLURAL:
            for item in home.cluster.store.list(plural):
                if plural != "secrets":
                    hunt.look(f"{plural} {item['metadata']['name']}", json.dumps(item).encode())
    # what stands in for a node keeps the container's own log as it was written
    pods = set((tmp_path / "cluster" / "kubelet").rglob("*"))
    hunt.files(tmp_path, home.kubeconfig, home.cluster.kubeconfig, *pods)
    prefect = next(tmp_path_factory.getbasetemp().glob("prefect*"))
    hunt.files(prefect)
    assert hunt.found == [] and hunt.looked > 100 and len(put) > 2


# a container that tells what it has
LOUD = "echo key $VLLM_API_KEY >&2; exit 3"
