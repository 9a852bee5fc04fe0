"""The product and the stand-in read amounts apart from each other, and agree."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.local.kube.admit.canonical import canonical
from deployments.local.kube.objects import amounts
from tasks.nodes import facts
from tasks.release.written.meaning import same_amount

SUFFIXES = ["", "m", "k", "M", "G", "T", "Ki", "Mi", "Gi", "Ti", "e3", "E2"]
QUANTITIES = st.builds(
    lambda whole, part, suffix: f"{whole}{part}{suffix}",
    st.integers(0, 10**6),
    st.sampled_from(["", ".5", ".25", "."]),
    st.sampled_from(SUFFIXES),
)
RESOURCES = st.dictionaries(st.sampled_from(["cpu", "memory", "hygon.com/dcu"]), QUANTITIES)
CONTAINERS = st.fixed_dictionaries(
    {"resources": st.fixed_dictionaries({"requests": RESOURCES, "limits": RESOURCES})},
    optional={"restartPolicy": st.just("Always")},
)
PODS = st.fixed_dictionaries(
    {"containers": st.lists(CONTAINERS, min_size=1, max_size=3)},
    optional={"initContainers": st.lists(CONTAINERS, max_size=3), "overhead": RESOURCES},
)


@given(QUANTITIES)
def test_quantities(text: str) -> None:
    assert amounts.quantity(text) == facts.quantity(text)


@given(QUANTITIES)
def test_an_amount_is_the_same_as_it_is_written_down(text: str) -> None:
    assert same_amount(text, canonical(text)) and same_amount(text, canonical(text, listed=True))


@pytest.mark.parametrize("text", ["", "x", "1x", "1 Gi", "Gi", "1e", "--1", "1.2.3", "1KiB"])
def test_what_is_no_quantity(text: str) -> None:
    for read in (amounts.quantity, facts.quantity):
        with pytest.raises(ValueError):
            read(text)


@given(PODS)
def test_pods(pod: dict[str, Any]) -> None:
    ours, theirs = facts.pod_requests(pod), amounts.pod_requests(pod)
    zero = Decimal(0)
    for name in ours | theirs:
        assert ours.get(name, zero) == theirs.get(name, zero), name
