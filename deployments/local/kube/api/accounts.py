"""Who asks, and what the roles in the store let him do, as RBAC decides it."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Iterator
from typing import Any

from deployments.local.kube.objects.store import Object, Store

ADMIN = "standin"


class Accounts:
    """Tokens of service accounts. An account may do what its bindings say; the administrator, whose
    token is given, everything. token: None lets everybody in, as the administrator."""

    def __init__(self, store: Store, token: str | None) -> None:
        self._store, self._token = store, token
        self._tokens: dict[str, tuple[str, str]] = {}

    def token_of(self, ns: str, name: str) -> str:
        """A new token of a ServiceAccount, as `kubectl create token` gives. StatusError 404."""
        self._store.must("serviceaccounts", ns, name)
        token = secrets.token_urlsafe(24)
        self._tokens[token] = (ns, name)
        return token

    def who(self, authorization: str) -> str | None:
        """The user of an Authorization header; None for nobody."""
        for token, (ns, name) in self._tokens.items():
            if _given(authorization, token):
                return f"system:serviceaccount:{ns}:{name}"
        return ADMIN if self._token is None or _given(authorization, self._token) else None

    def may(self, user: str, verb: str, group: str, resource: str, ns: str, name: str) -> bool:
        """Whether a role grants it. resource: such as 'pods/log'. ns: '' for all, or for none."""
        return user == ADMIN or any(
            _grants(rule, verb, group, resource, name) for rule in self._rules(user, ns)
        )

    def _rules(self, user: str, ns: str) -> Iterator[Any]:
        bindings = self._store.list("clusterrolebindings")
        bindings += self._store.list("rolebindings", ns) if ns else []
        for binding in bindings:
            if any(_is(subject, user) for subject in binding.get("subjects") or []):
                role = self._role(binding)
                yield from (role or {}).get("rules") or []

    def _role(self, binding: Object) -> Object | None:
        ref = binding["roleRef"]
        if ref["kind"] == "ClusterRole":
            return self._store.get("clusterroles", "", ref["name"])
        return self._store.get("roles", binding["metadata"]["namespace"], ref["name"])


def _given(authorization: str, token: str) -> bool:
    return hmac.compare_digest(authorization.encode(), f"Bearer {token}".encode())


def _is(subject: Any, user: str) -> bool:
    if subject["kind"] == "ServiceAccount":
        return bool(user == f"system:serviceaccount:{subject['namespace']}:{subject['name']}")
    return bool(subject["kind"] == "User" and subject["name"] == user)


def _grants(rule: Any, verb: str, group: str, resource: str, name: str) -> bool:
    named = rule.get("resourceNames") or []
    return (
        bool({verb, "*"} & {*rule["verbs"]})
        and bool({group, "*"} & {*rule.get("apiGroups", [])})
        and bool({resource, "*"} & {*rule.get("resources", [])})
        and (not named or name in named)
    )
