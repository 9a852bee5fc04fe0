"""hostPath volumes and the translation of paths, which only the embedded cluster needs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from deployments.local.kube.cluster import LocalCluster
from tests.cluster.conftest import Kube

pytestmark = pytest.mark.embedded("a folder of this machine plays the node's root")


def host(name: str, path: str, kind: str = "") -> dict[str, Any]:
    """A hostPath volume."""
    return {"name": name, "hostPath": {"path": path, "type": kind}}


def test_a_job_sees_the_host_beneath_one_root(cluster: LocalCluster, kube: Kube) -> None:
    root = cluster.host_root("one")
    (root / "sys").mkdir(exist_ok=True)
    (root / "sys" / "fact").write_text("from the host")
    if not (root / "proc").is_symlink():
        (root / "proc").symlink_to("/proc")
    program = (
        "import json, os, sys\nroot = sys.argv[1].split('=')[1]\n"
        "print(json.dumps([sorted(os.listdir(root)), open(root + '/sys/fact').read(),\n"
        "    os.path.exists(root + '/proc/version'), sys.argv[2:], os.environ['WHERE']]))"
    )
    container = kube.container(
        program,
        args=["--root=/host", "/dev/null", "--host=0.0.0.0", "/hostile", "/models/a:/models"],
        env=[{"name": "WHERE", "value": "/models/x"}],
        volumeMounts=[
            {"name": "proc", "mountPath": "/host/proc"},
            {"name": "sys", "mountPath": "/host/sys", "readOnly": True},
            {"name": "models", "mountPath": "/models", "subPath": "inner"},
        ],
    )
    volumes = [
        host("proc", "/proc", "Directory"),
        host("sys", "/sys", "Directory"),
        host("models", "/data/models", "DirectoryOrCreate"),
    ]
    kube.pod("look", container, volumes=volumes)
    kube.until(lambda: kube.phase("look") == "Succeeded", "it looks")
    listed, fact, proc, words, where = json.loads(kube.log("look"))
    inner = str(root / "data/models/inner")
    assert listed == ["proc", "sys"] and fact == "from the host" and proc
    address = kube.pods()[0].status.pod_ip
    assert words == ["/dev/null", f"--host={address}", "/hostile", f"{inner}/a:{inner}"]
    assert where == f"{inner}/x" and Path(inner).is_dir()


def test_a_missing_host_path_keeps_the_pod_waiting(cluster: LocalCluster, kube: Kube) -> None:
    mount = [{"name": "weights", "mountPath": "/weights"}]
    container = kube.container("print(open('/weights/w').read())", volumeMounts=mount)
    kube.pod("wait", container, volumes=[host("weights", "/absent", "Directory")])
    kube.until(lambda: kube.said("FailedMount"), "an event")
    assert kube.said("FailedMount")[0] == (
        'MountVolume.SetUp failed for volume "weights" : '
        "hostPath type check failed: /absent is not a directory"
    )
    waiting = kube.pods()[0].status.container_statuses[0].state.waiting
    assert (waiting.reason, kube.phase("wait")) == ("ContainerCreating", "Pending")
    folder = cluster.host_root("one") / "absent"
    folder.mkdir()
    (folder / "w").write_text("here now")
    kube.until(lambda: kube.phase("wait") == "Succeeded", "it runs once the folder is there")
    assert kube.log("wait").strip() == "here now"


def test_secret_volumes_and_a_clean_environment(cluster: LocalCluster, kube: Kube) -> None:
    secret = {"metadata": {"name": "s"}, "stringData": {"key": "hush"}}
    kube.core.create_namespaced_secret(kube.ns, secret)
    program = (
        "import json, os\nprint(open('/etc/secret/key').read(), json.dumps(sorted(os.environ)))"
    )
    mount = [{"name": "s", "mountPath": "/etc/secret"}]
    volumes = [{"name": "s", "secret": {"secretName": "s"}}]
    kube.pod("read", kube.container(program, volumeMounts=mount), volumes=volumes)
    kube.until(lambda: kube.phase("read") == "Succeeded", "it reads")
    word, names = kube.log("read").split(maxsplit=1)
    assert word == "hush"
    rest = set(json.loads(names)) - {"LC_CTYPE"}  # Python's own, without a locale
    assert rest == {"HOME", "HOSTNAME", "IMAGE_SAYS", "IP", "PATH", "TMPDIR"}
