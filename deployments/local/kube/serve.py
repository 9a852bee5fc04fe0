"""`python -m deployments.local.kube.serve`: the embedded cluster as a process of its own."""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from deployments.local.kube.cluster import LocalCluster
from deployments.local.kube.objects.kinds import BY_KIND
from deployments.local.kube.settings import Image, NodeDef, Settings


def node_of(raw: Mapping[str, Any]) -> NodeDef:
    """A NodeDef of JSON. TypeError on a field that there is not."""
    fields = dict(raw)
    if fields.get("host_root"):
        fields["host_root"] = Path(fields["host_root"])
    if "taints" in fields:
        fields["taints"] = tuple(fields["taints"])
    return NodeDef(**fields)


def make(cluster: LocalCluster, manifests: Path) -> None:
    """Make the objects of a YAML file, as its administrator would. KeyError on a kind that there is
    not."""
    for item in yaml.safe_load_all(manifests.read_text()):
        plural = BY_KIND[item["kind"]].plural
        cluster.store.create(plural, cluster.admit(plural, item, None))


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder for all that it writes")
    parser.add_argument(
        "--config",
        type=Path,
        required=True,
        help="JSON: nodes, images, port, token, manifests, account",
    )
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    config = json.loads(options.config.read_text())
    signals = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)  # before any thread starts
    cluster = LocalCluster(
        options.data,
        [node_of(item) for item in config["nodes"]],
        {name: Image(**item) for name, item in config["images"].items()},
        Settings(port=int(config.get("port") or 0)),
        token=config.get("token", ""),
    )
    with cluster:
        ready = options.data / "ready.json"
        half = ready.with_suffix(".half")
        for path in config.get("manifests", []):
            make(cluster, Path(path))
        facts = {"kubeconfig": str(cluster.kubeconfig), "url": cluster.url, "pid": os.getpid()}
        if "account" in config:
            facts["account"] = str(cluster.kubeconfig_of(*config["account"]))
        facts["notes"] = cluster.notes
        half.write_text(json.dumps(facts))
        half.replace(ready)
        signal.sigwait(signals)
        ready.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
