"""What the engines of a rollout's pods count."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from tasks.base.errors import OutsideError
from tasks.objects.pods import Object
from tasks.outside.kubernetes.access import engine_port, pod_url, rollout_pods
from tasks.outside.kubernetes.client import Cluster
from tasks.outside.vllm.metrics import requests_at
from tasks.release.draining import Count, may_hold

_PORT = 8000  # of an engine whose pod names none
Found = TypeVar("Found")


class Ways:
    """To a pod's engine: its address, or a port-forward.

    Which of the two leads there is found out once; to a pod where it does not, the other is tried.
    """

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self._cluster, self._namespace = cluster, namespace
        self._forward_first = False

    def ask(self, pod: Object, of: Callable[[str], Found]) -> Found:
        """What `of` finds at the engine's address. Raises OutsideError."""
        ways = [self._directly, self._forwarded]
        first, second = reversed(ways) if self._forward_first else ways
        try:
            return first(pod, of)
        except OutsideError as error:
            try:
                found = second(pod, of)
            except OutsideError as again:
                raise OutsideError(f"{error}; {again}") from again
        self._forward_first = not self._forward_first
        return found

    def _directly(self, pod: Object, of: Callable[[str], Found]) -> Found:
        if not (pod.get("status") or {}).get("podIP"):
            raise OutsideError(f"{pod['metadata']['name']} has no address")
        return of(pod_url(pod, engine_port(pod, _PORT)))

    def _forwarded(self, pod: Object, of: Callable[[str], Found]) -> Found:
        name, port = pod["metadata"]["name"], engine_port(pod, _PORT)
        try:
            with self._cluster.port_forward(name, self._namespace, port) as local:
                return of(f"http://127.0.0.1:{local}")
        except OSError as error:
            raise OutsideError(f"port-forward to {name} failed: {error}") from error


class Counter:
    """How many requests the engines of a rollout have that serve no longer.

    It knows no spec: a roll-back has only the cluster.
    """

    def __init__(self, cluster: Cluster, namespace: str, name: str) -> None:
        self._cluster, self._namespace, self._name = cluster, namespace, name
        self._ways = Ways(cluster, namespace)

    def __call__(self, serving: str) -> Count:
        """The requests of all other releases than the one that serves."""
        try:
            pods = may_hold(rollout_pods(self._cluster, self._namespace, self._name), serving)
        except OutsideError as error:
            return Count(unread=str(error))
        requests, answered, unread = 0, 0, ""
        for pod in pods:
            try:
                found = self._ways.ask(pod, requests_at)
                requests, answered = requests + found.open, answered + found.answered
            except OutsideError as error:
                unread = unread or f"{pod['metadata']['name']}: {error}"
        return Count(requests, unread, answered)
