"""What a container may hold: /dev/shm, volumes in memory, and its memory limit."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client, config

from deployments.local.kube.cluster import LocalCluster
from deployments.local.kube.node import limits, rooms
from deployments.local.kube.settings import Image, NodeDef, Settings
from tests.cluster.conftest import LOCAL_IMAGE, Kube
from tests.support.cluster.servers import first

MIB = 1 << 20
# what an engine looks at: /dev/shm's size and the limit of its cgroup, version 2 or 1
LOOK = """
import json, os
found = os.statvfs('/dev/shm')
limit = None
for path in ('memory.max', 'memory/memory.limit_in_bytes'):
    if os.path.exists('/sys/fs/cgroup/' + path):
        text = open('/sys/fs/cgroup/' + path).read().strip()
        limit = int(text) if text.isdigit() else text
        break
try:
    with open('/dev/shm/block', 'wb') as file:
        for _ in range({blocks}): file.write(bytes(1 << 20))
    full = False
except OSError as error:
    full = error.strerror
print(json.dumps([found.f_blocks * found.f_frsize, limit, full]))
"""
FULL = "No space left on device"


def shm(**source: Any) -> dict[str, Any]:
    """A volume in memory."""
    return {"name": "shm", "emptyDir": {"medium": "Memory", **source}}


MOUNT = [{"name": "shm", "mountPath": "/dev/shm"}]


@pytest.fixture(autouse=True)
def enforced(request: pytest.FixtureRequest) -> None:
    """Where the embedded cluster cannot hold these, it says so itself."""
    if not request.config.getoption("--kubeconfig") and (why := rooms.why_not()):
        pytest.skip(f"this machine gives no mounts of a pod's own: {why}")


def looked(kube: Kube, name: str, blocks: int, container: Any = None, **pod: Any) -> list[Any]:
    """[bytes of /dev/shm, memory limit read, why so many MiB of it could not be written]."""
    program = LOOK.replace("{blocks}", str(blocks))
    kube.pod(name, kube.container(program, **(container or {})), **pod)
    kube.until(lambda: kube.phase(name) == "Succeeded", "it looks")
    return list(json.loads(kube.log(name)))


def test_a_container_has_64_mib_of_shared_memory(kube: Kube) -> None:
    size, _, full = looked(kube, "plain", 65)
    assert (size, full) == (64 * MIB, FULL)


def test_a_volume_gives_as_much_as_its_size_limit(kube: Kube) -> None:
    mounted = {"volumeMounts": MOUNT}
    size, _, full = looked(kube, "more", 96, mounted, volumes=[shm(sizeLimit="128Mi")])
    assert (size, full) == (128 * MIB, False)


def test_a_volume_without_a_size_gives_the_memory_limit_and_both_can_be_read(kube: Kube) -> None:
    resources = {"limits": {"memory": "160Mi"}, "requests": {"memory": "160Mi"}}
    mounted = {"volumeMounts": MOUNT, "resources": resources}
    size, limit, full = looked(kube, "half", 40, mounted, volumes=[shm()])
    assert (size, limit, full) == (160 * MIB, 160 * MIB, False)


def test_shared_memory_is_charged_to_the_limit(request: pytest.FixtureRequest, kube: Kube) -> None:
    if not request.config.getoption("--kubeconfig") and not limits.Cgroups().held:
        pytest.skip("this machine lets us make no cgroups: the kernel holds no limit here")
    program = (
        "import time\n"
        "with open('/dev/shm/block', 'wb') as file:\n"
        "    for _ in range(160): file.write(bytes(1 << 20))\n"
        "time.sleep(300)"
    )
    resources = {"limits": {"memory": "64Mi"}, "requests": {"memory": "64Mi"}}
    greedy = kube.container(program, volumeMounts=MOUNT, resources=resources)
    # one container without a limit, so that the pod has none that would make the volume small
    side = {**kube.container("import time; time.sleep(300)"), "name": "side"}
    pair(kube, "pair", greedy, side, shm(sizeLimit="1Gi"), "Never")

    def ended() -> Any:
        found = kube.core.read_namespaced_pod("pair", kube.ns).status.container_statuses or []
        return next((s.state.terminated for s in found if s.name == "main"), None)

    end = kube.until(ended, "it ends")
    assert (end.exit_code, end.reason) == (137, "OOMKilled")


def pair(kube: Kube, name: str, main: Any, side: Any, volume: dict[str, Any], policy: str) -> None:
    """A pod of two containers and one volume."""
    body = {
        "restartPolicy": policy,
        "terminationGracePeriodSeconds": 1,
        "volumes": [volume],
        "containers": [main, side],
    }
    kube.core.create_namespaced_pod(kube.ns, {"metadata": {"name": name}, "spec": body})


def test_a_volume_in_memory_is_the_pods_and_outlives_a_container(kube: Kube) -> None:
    writer = (
        "import os, sys, time\n"
        "if os.path.exists('/dev/shm/mark'): print('second', flush=True); time.sleep(300)\n"
        "open('/dev/shm/mark', 'w').write('kept'); sys.exit(1)"
    )
    reader = (
        "import os, time\n"
        "def told(): return os.path.exists('/memory/mark') and open('/memory/mark').read()\n"
        "while not told(): time.sleep(0.05)\n"  # a file is there before what is in it
        "print(told(), flush=True); time.sleep(300)"
    )
    side = {
        **kube.container(reader, volumeMounts=[{"name": "shm", "mountPath": "/memory"}]),
        "name": "side",
    }
    main = kube.container(writer, volumeMounts=MOUNT)
    pair(kube, "two", main, side, shm(sizeLimit="8Mi"), "Always")
    kube.until(lambda: kube.phase("two") == "Running", "it runs")
    kube.until(lambda: "second" in kube.log("two", container="main"), "the second life")
    kube.until(lambda: "kept" in kube.log("two", container="side"), "the other container")


def test_a_probe_runs_where_its_container_does(kube: Kube) -> None:
    seen = "import os, sys; sys.exit(not os.path.exists('/dev/shm/mark'))"
    program = "import time; open('/dev/shm/mark', 'w').close(); time.sleep(300)"
    probe = {"exec": {"command": ["python", "-c", seen]}, "periodSeconds": 1, "timeoutSeconds": 5}
    kube.pod("probed", kube.container(program, readinessProbe=probe))
    kube.until(lambda: (found := first(kube, "probed")) and found.ready, "it is ready")


# -- the embedded cluster on machines that give less ------------------------------------------


def local(
    folder: Path, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> Iterator[tuple[LocalCluster, Kube]]:
    """A cluster of one node where no cgroup can be made."""
    monkeypatch.setattr(limits, "home", lambda: None)
    image = Image(str(Path(sys.executable).parent))
    node = NodeDef("one", capacity={"cpu": "4", "memory": "8Gi"})
    with LocalCluster(folder, [node], {LOCAL_IMAGE: image}, settings) as cluster:
        api = config.new_client_from_config(str(cluster.kubeconfig))
        core, apps, batch = client.CoreV1Api(api), client.AppsV1Api(api), client.BatchV1Api(api)
        yield cluster, Kube(core, apps, batch, "default", LOCAL_IMAGE)
        api.close()


GREEDY = "import time\nkept = bytearray(200 << 20)\ntime.sleep(300)"
SMALL = {"resources": {"limits": {"memory": "64Mi"}, "requests": {"memory": "64Mi"}}}
within = contextmanager(local)


def test_without_cgroups_the_limit_is_shown_and_held_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with within(tmp_path, monkeypatch, Settings(memory_poll_s=0.1)) as (cluster, kube):
        assert cluster.notes == []
        assert looked(kube, "shown", 1, SMALL)[1] == 64 * MIB
        program = (
            "import time\nkept = bytearray(20 << 20)\n"
            "while True:\n"
            "    with open('/sys/fs/cgroup/memory.current') as file: held = int(file.read())\n"
            "    if held > 20 << 20: break\n"
            "    time.sleep(0.05)"
        )
        kube.pod("holds", kube.container(program, **SMALL))
        kube.until(lambda: kube.phase("holds") == "Succeeded", "its use is shown")
        kube.pod("greedy", kube.container(GREEDY, **SMALL))
        kube.until(lambda: kube.phase("greedy") == "Failed", "it is killed")
        end = first(kube, "greedy").state.terminated
        assert (end.exit_code, end.reason) == (137, "OOMKilled")


def test_without_mounts_of_their_own_pods_run_and_the_cluster_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with within(tmp_path, monkeypatch, Settings(rooms=False, memory_poll_s=0.1)) as (cluster, kube):
        assert "containers see this machine's own /dev/shm and memory" in cluster.notes[0]
        program = "import os; found = os.statvfs('/dev/shm'); print(found.f_blocks)"
        kube.pod("open", kube.container(program))
        kube.until(lambda: kube.phase("open") == "Succeeded", "it runs")
        assert int(kube.log("open")) == os.statvfs("/dev/shm").f_blocks
        kube.pod("greedy", kube.container(GREEDY, **SMALL))
        kube.until(lambda: kube.phase("greedy") == "Failed", "it is killed")
        assert first(kube, "greedy").state.terminated.reason == "OOMKilled"


def test_a_user_without_the_right_to_mount_gets_rooms_by_a_user_namespace() -> None:
    def without_the_right() -> None:
        set_bounds, may_mount = 24, 21
        ctypes.CDLL(None).prctl(set_bounds, may_mount, 0, 0, 0)

    code = "from deployments.local.kube.node import rooms; print(rooms.why_not())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        preexec_fn=without_the_right,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == ""


# -- sizes ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "size", "expected"),
    [
        ((None,), None, 1024),
        ((None,), "300Mi", 300),
        (("200Mi",), None, 200),
        (("200Mi",), "300Mi", 200),
        (("200Mi",), "100Mi", 100),
        (("200Mi", "50Mi"), None, 250),
        (("200Mi", None), None, 1024),
        (("200Mi", None), "300Mi", 300),
        ((None,), "4Gi", 1024),
    ],
)
def test_a_volume_in_memory_is_as_large_as_the_kubelet_makes_it(
    limits: tuple[str | None, ...], size: str | None, expected: int
) -> None:
    containers = [{"resources": {"limits": {"memory": limit} if limit else {}}} for limit in limits]
    source = {"medium": "Memory", **({"sizeLimit": size} if size else {})}
    found = rooms.volume_bytes({"containers": containers}, source, Decimal(1024 * MIB))
    assert found == expected * MIB


def tree(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_where_cgroups_can_be_made(tmp_path: Path) -> None:
    one = tree(tmp_path / "one", {"memory/user/cgroup.procs": ""})
    own = "5:cpu,cpuacct:/x\n4:memory:/user\n0::/\n"
    assert limits.home(one, own) == (one / "memory/user", False)
    assert limits.home(tmp_path / "none", own) is None
    # version 2: beside our own, where the parent hands the memory controller on
    files = {"app/cgroup.procs": "", "app/cgroup.subtree_control": "cpu memory pids"}
    two = tree(tmp_path / "two", files)
    assert limits.home(two, "0::/app/shell.scope\n") == (two / "app", True)
    (two / "app/cgroup.subtree_control").write_text("cpu pids")
    assert limits.home(two, "0::/app/shell.scope\n") is None
    assert limits.home(two, "0::/\n") is None


def test_a_cgroup_tells_that_the_kernel_killed_in_it(tmp_path: Path) -> None:
    for unified, name in ((True, "memory.events"), (False, "memory.oom_control")):
        group = limits.Group(tmp_path, tmp_path, unified)
        assert not group.overrun()
        (tmp_path / name).write_text("low 0\noom 3\noom_kill 0\n")
        assert not group.overrun()
        (tmp_path / name).write_text("low 0\noom 3\noom_kill 1\n")
        assert group.overrun()
