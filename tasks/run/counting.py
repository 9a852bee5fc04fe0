"""How many requests the engines of a rollout have that serve no longer."""

from __future__ import annotations

from tasks.base.errors import OutsideError
from tasks.measure.engine_view import Held
from tasks.objects.pods import Object
from tasks.outside.kubernetes.access import engine_port, pod_url, rollout_pods
from tasks.outside.kubernetes.client import Cluster
from tasks.outside.vllm.metrics import requests_at
from tasks.release.draining import Count, may_hold

_PORT = 8000  # of an engine whose pod names none


class Counter:
    """Asks pods for their own counters, at their address or through a port-forward.

    It knows no spec: a roll-back has only the cluster. Which of the two ways leads there is found
    out once; to a pod where it does not, the other is tried.
    """

    def __init__(self, cluster: Cluster, namespace: str, name: str) -> None:
        self._cluster, self._namespace, self._name = cluster, namespace, name
        self._ways = [self._directly, self._forwarded]

    def __call__(self, serving: str) -> Count:
        """The requests of all other releases than the one that serves."""
        try:
            pods = may_hold(rollout_pods(self._cluster, self._namespace, self._name), serving)
        except OutsideError as error:
            return Count(unread=str(error))
        requests, answered, unread = 0, 0, ""
        for pod in pods:
            try:
                found = self._of(pod)
                requests, answered = requests + found.open, answered + found.answered
            except OutsideError as error:
                unread = unread or f"{pod['metadata']['name']}: {error}"
        return Count(requests, unread, answered)

    def _of(self, pod: Object) -> Held:
        first, second = self._ways
        try:
            return first(pod)
        except OutsideError as error:
            try:
                found = second(pod)
            except OutsideError as again:
                raise OutsideError(f"{error}; {again}") from again
        self._ways = [second, first]
        return found

    def _directly(self, pod: Object) -> Held:
        return requests_at(pod_url(pod, engine_port(pod, _PORT)))

    def _forwarded(self, pod: Object) -> Held:
        name, port = pod["metadata"]["name"], engine_port(pod, _PORT)
        try:
            with self._cluster.port_forward(name, self._namespace, port) as local:
                return requests_at(f"http://127.0.0.1:{local}")
        except OSError as error:
            raise OutsideError(f"port-forward to {name} failed: {error}") from error
