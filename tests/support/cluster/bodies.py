"""The objects of the cluster in memory: releases, their Deployments and the Service."""

from __future__ import annotations

from typing import Any

from tasks.objects.labels import INSTANCE_LABEL, KIND_LABEL, MANAGED_LABEL, MANAGER, RELEASE_LABEL
from tasks.release.state import Release
from tasks.render.release import selector

Object = dict[str, Any]
NS, NAME, DRAIN = "models", "m", 30.0


def release(ident: str, replicas: int = 2) -> Release:
    """A release called `ident`."""
    return Release(
        ident, f"m-{ident}", "o/m", "master", f"c-{ident}", "sha256:0", "img", "m", replicas
    )


OLD, NEW, OLDER = release("old"), release("new"), release("older")


def deployment(item: Release, replicas: int) -> Object:
    """Its Deployment, as rendered, asking for one cpu a replica."""
    labels = {**selector(NAME, item.id), MANAGED_LABEL: MANAGER, KIND_LABEL: "engine"}
    engine = {
        "name": "engine",
        "image": "img",
        "ports": [{"name": "http", "containerPort": 8000}],
        "resources": {"requests": {"cpu": "1"}},
    }
    fewer = {"model-rollout/scaled-to": str(replicas)} if 0 < replicas < item.replicas else {}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [engine]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": item.deployment,
            "namespace": NS,
            "labels": labels,
            "annotations": {"model-rollout/replicas": str(item.replicas), **fewer},
        },
        "spec": {"replicas": replicas, "template": template},
    }


def stable_service(item: Release) -> Object:
    """The Service that leads to a release."""
    ours = {
        MANAGED_LABEL: MANAGER,
        INSTANCE_LABEL: NAME,
        KIND_LABEL: "stable",
        RELEASE_LABEL: item.id,
    }
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": NAME, "namespace": NS, "labels": ours},
        "spec": {
            "type": "ClusterIP",
            "selector": selector(NAME, item.id),
            "ports": [{"name": "http", "port": 8000, "targetPort": "http"}],
        },
    }


def ident_of(item: Object) -> str:
    """The release of a Deployment; the name of one that somebody made by hand."""
    return str(item["metadata"]["labels"].get(RELEASE_LABEL, item["metadata"]["name"]))


def labels_of(item: Object) -> Object:
    """What a Deployment's pods are marked with."""
    return dict(item["spec"]["template"]["metadata"]["labels"])
