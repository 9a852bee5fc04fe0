"""Paths of requests: whatever somebody calls a rollout, they lead where they should, or nowhere."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.base.errors import SpecError
from tasks.objects.kinds import KINDS
from tests.support.cluster.cluster_script import Script, answer

WRONG = ("", ".", "..", "../../x", "a/b", "a?b", "a#b", "ünï;rm", "a%2fb", "a\n", "A", "-a", "a..b")
names = st.one_of(
    st.text(),
    st.sampled_from(WRONG),
    st.text("ab./?#%-:", max_size=6),
    st.from_regex(r"[a-z0-9]([-a-z0-9]{0,9}[a-z0-9])?", fullmatch=True),
)


@settings(deadline=None)
@given(name=names, ns=names, kind=st.sampled_from(["ConfigMap", "Node", "ClusterRole"]))
def test_no_name_leads_a_request_elsewhere(name: str, ns: str, kind: str) -> None:
    script = Script([answer({"kind": kind})] * 4)
    api, where = script.api(), ns if KINDS[kind].namespaced else None
    with suppress(SpecError):
        api.get(kind, name, where)
    with suppress(SpecError):
        api.list(kind, where)
    with suppress(SpecError):
        api.writer(lambda: None).delete(kind, name, where)
    for request in script.asked:
        parts = request.path.removeprefix("/").split("/")
        assert not {"", ".", ".."} & set(parts) and not set("?#%;") & set(request.path)
        wanted = [] if where is None else ["namespaces", where]
        root = 2 if parts[0] == "api" else 3
        rest = [*wanted, KINDS[kind].plural]
        assert parts[root:] in (rest, [*rest, name])


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_no_name_is_told_as_it_was_given(wrong: str) -> None:
    with pytest.raises(SpecError, match="configmaps") as caught:
        KINDS["ConfigMap"].path("n", wrong)
    assert repr(wrong) in str(caught.value)
    with pytest.raises(SpecError, match="namespace") as caught:
        KINDS["ConfigMap"].path(wrong)
    assert repr(wrong) in str(caught.value)


def test_names_that_kubernetes_knows_are_taken() -> None:
    assert KINDS["Node"].path(None, "gpu-1.example.com") == "/api/v1/nodes/gpu-1.example.com"
    role = KINDS["ClusterRole"].path(None, "system:node")
    assert role.endswith("/clusterroles/system:node")
    assert KINDS["ConfigMap"].path("n") == "/api/v1/namespaces/n/configmaps"
    assert KINDS["ConfigMap"].path() == "/api/v1/configmaps"
