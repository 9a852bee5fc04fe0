"""A hand at the cluster: it writes without a lock, as a person with kubectl does."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from tasks.outside.kubernetes.client import Cluster
from tasks.outside.kubernetes.objects import Objects
from tasks.outside.kubernetes.rest import Fence, unfenced
from tasks.outside.kubernetes.writes import Writer

Object = dict[str, Any]


class HandObjects(Objects):
    """Objects with the verbs of their writer."""

    def _by(self, fence: Fence, dry_run: bool) -> Writer:
        return self.trial() if dry_run else self.writer(fence)

    def apply(
        self, obj: Object, *, force: bool = True, fence: Fence = unfenced, dry_run: bool = False
    ) -> Object:
        return self._by(fence, dry_run).apply(obj, force=force)

    def create(self, obj: Object, *, fence: Fence = unfenced, dry_run: bool = False) -> Object:
        return self._by(fence, dry_run).create(obj)

    def replace(self, obj: Object, *, fence: Fence = unfenced, dry_run: bool = False) -> Object:
        return self._by(fence, dry_run).replace(obj)

    def patch(
        self,
        kind: str,
        name: str,
        ns: str | None,
        body: Object,
        *,
        sub: str = "",
        fence: Fence = unfenced,
        dry_run: bool = False,
    ) -> Object:
        return self._by(fence, dry_run).patch(kind, name, ns, body, sub)

    def delete(
        self,
        kind: str,
        name: str,
        ns: str | None = None,
        *,
        fence: Fence = unfenced,
        dry_run: bool = False,
        **options: Any,
    ) -> bool:
        return self._by(fence, dry_run).delete(kind, name, ns, **options)


class Hand(HandObjects, Cluster):
    """A Cluster with the verbs of its writer."""


class FakeWriter:
    """What a fake's `writer` and `trial` give: its own writing methods under a fence."""

    def __init__(self, fake: Any, **given: Any) -> None:
        self._fake, self._given = fake, given

    def __getattr__(self, verb: str) -> Callable[..., Any]:
        return partial(getattr(self._fake, verb), **self._given)


class FakeWrites:
    """A fake whose writing methods take a fence, and for a trial dry_run."""

    def writer(self, fence: Fence) -> Any:
        return FakeWriter(self, fence=fence)

    def trial(self) -> Any:
        return FakeWriter(self, fence=unfenced, dry_run=True)
