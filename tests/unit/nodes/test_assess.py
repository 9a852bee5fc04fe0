"""API facts, seats, tolerations, tables: the parts of a node's verdict that no record shows."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.accelerators.profiles import profile
from tasks.nodes.assess import (
    NodeVerdict,
    agree_on_resource,
    as_rows,
    exporter_url,
    is_candidate,
    judge_node,
    metrics_reasons,
    preselect,
    unknown_nodes,
    weights_on,
)
from tasks.nodes.document import Cpu, ProbeDoc, StoreFacts
from tasks.nodes.facts import api_facts, fits, group_pods, pod_requests, quantity
from tasks.nodes.reasons import CODES, Reason
from tasks.nodes.rules_api import tolerates
from tasks.nodes.units.size import memory_mib
from tests.support.nodedata import make_spec

DCU = "hygon.com/dcu"
HYGON = profile("hygon-dcu")
GIB = 2**30


def node(**allocatable: str) -> dict[str, Any]:
    amounts = {"pods": "110", **{k.replace("_", "/"): v for k, v in allocatable.items()}}
    return {
        "metadata": {"name": "n1", "labels": {"hygon.com/dcu": "true"}},
        "status": {
            "conditions": [{"type": "Ready", "status": "True"}],
            "capacity": amounts,
            "allocatable": amounts,
        },
    }


def pod(requests: dict[str, str], phase: str = "Running", **labels: str) -> dict[str, Any]:
    return {
        "metadata": {"name": "p", "namespace": "default", "labels": labels},
        "spec": {"nodeName": "n1", "containers": [{"resources": {"requests": requests}}]},
        "status": {"phase": phase},
    }


def mine(requests: dict[str, str], release: str) -> dict[str, Any]:
    labels = {"app.kubernetes.io/instance": "r1", "model-rollout/release": release}
    return pod(requests, **labels)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("2", "2"), ("250m", "0.25"), ("1.5", "1.5"), (".5", "0.5"), ("1e3", "1000")),
        *(("1E3", "1000"), ("12E6", "12000000"), ("1E", "1000000000000000000")),
        *(("65536M", "65536000000"), ("16Gi", "17179869184"), ("1Ki", "1024"), ("3k", "3000")),
        *(("500u", "0.0005"), ("100n", "0.0000001"), ("1Ti", "1099511627776"), ("0", "0")),
    ],
)
def test_quantities(text: str, value: str) -> None:
    assert quantity(text) == Decimal(value)


@pytest.mark.parametrize("text", ["", "1 Gi", "1gi", "x", "1Kim", "--1", "1e"])
def test_no_quantities(text: str) -> None:
    with pytest.raises(ValueError, match="no Kubernetes quantity"):
        quantity(text)


@given(
    st.integers(0, 10**6), st.sampled_from(["", "m", "k", "Ki", "M", "Mi", "G", "Gi", "T", "Ti"])
)
def test_quantities_are_linear(number: int, suffix: str) -> None:
    assert quantity(f"{number}{suffix}") == number * quantity(f"1{suffix}")


def test_requests_as_the_scheduler_counts_them() -> None:
    def container(cpu: str, **more: Any) -> dict[str, Any]:
        return {"resources": {"requests": {"cpu": cpu}}, **more}

    spec = {
        "initContainers": [
            container("4"),  # alone: 4
            container("1", restartPolicy="Always"),  # runs on beside all that follow
            container("5"),  # 1 + 5 = 6: the peak
        ],
        "containers": [container("2"), {"resources": {"limits": {"cpu": "1", DCU: "2"}}}],
        "overhead": {"cpu": "250m"},
    }
    assert pod_requests(spec) == {"cpu": Decimal("6.25"), DCU: Decimal(2)}
    spec["containers"].append(container("7"))  # type: ignore[attr-defined]
    assert pod_requests(spec)["cpu"] == Decimal("11.25")


def test_terminal_pods_hold_nothing_and_releases_are_told_apart() -> None:
    pods = [
        pod({DCU: "1"}),
        pod({DCU: "4"}, phase="Failed"),
        pod({DCU: "4"}, phase="Succeeded"),
        mine({DCU: "2"}, "old"),
        mine({DCU: "1"}, "new"),
    ]
    facts = api_facts(node(**{DCU: "8"}), pods)
    assert facts.free(DCU) == 4
    assert facts.held_here("default", "r1")[DCU] == 3
    assert facts.held_here("default", "r1", "old")[DCU] == 2
    assert facts.held_here("other", "r1") == {}
    assert facts.pods_here("default", "r1") == 2


def test_pods_are_grouped_by_node() -> None:
    pending = {"metadata": {"name": "x"}, "spec": {}}
    assert {k: len(v) for k, v in group_pods([pod({}), pod({}), pending]).items()} == {"n1": 2}


@given(st.integers(0, 16), st.integers(0, 16), st.integers(0, 16), st.integers(1, 8))
def test_seats_count_replicas(total: int, others: int, own: int, tp: int) -> None:
    spec = make_spec(
        {"nodes": {"accelerator": "hygon-dcu"}, "serving": {"tensor_parallel_size": tp}}
    )
    facts = api_facts(
        node(**{DCU: str(total)}), [pod({DCU: str(others)}), mine({DCU: str(own)}, "stable")]
    )
    verdict = judge_node(spec, HYGON, facts, None, stable_release="stable")
    assert verdict.seats == max(0, total - others - own) // tp
    assert verdict.seats_without_stable == max(0, total - others) // tp
    assert verdict.held_by_stable == (own if total else 0)
    # usable exactly when a replica fits, at the latest with our own release scaled down
    assert verdict.usable is (verdict.seats_without_stable > 0)


def test_a_node_out_of_pod_slots_is_busy() -> None:
    facts = api_facts(node(pods="1"), [pod({})])
    verdict = judge_node(make_spec(), profile("cpu"), facts, None)
    assert [r.code for r in verdict.errors] == ["HOST_BUSY"]
    assert verdict.seats == 0


@pytest.mark.parametrize(
    ("asked", "there", "busy", "says"),
    [
        ({"memory": "20Gi"}, {"memory": "16Gi"}, {}, ("16 GiB of memory", "20 GiB of memory")),
        ({"cpu": "8"}, {"cpu": "4"}, {}, ("4 cores", "8 cores")),
        (
            {"memory": "20Gi"},
            {"memory": "24Gi"},
            {"memory": "12Gi"},
            ("12 GiB of memory free of 24", "20 GiB of memory free"),
        ),
        ({"cpu": "3"}, {"cpu": "4"}, {"cpu": "2"}, ("2 cores free of 4", "3 cores free")),
    ],
)
def test_a_refusal_names_what_is_short_what_is_asked_and_what_is_there(
    asked: dict[str, str], there: dict[str, str], busy: dict[str, str], says: tuple[str, str]
) -> None:
    spec = make_spec({"serving": {"resources": asked}})
    facts = api_facts(node(**{"cpu": "64", "memory": "64Gi", **there}), [pod(busy)])
    verdict = judge_node(spec, profile("cpu"), facts, None)
    reason = verdict.errors[0]
    assert says[0] in reason.found and says[1] in reason.expected


def test_what_bounds_the_number_of_replicas_is_told() -> None:
    spec = make_spec({"serving": {"resources": {"memory": "6Gi", "cpu": "1"}}})
    facts = api_facts(node(cpu="8", memory="16Gi"), [mine({"memory": "6Gi", "cpu": "1"}, "s")])
    verdict = judge_node(spec, profile("cpu"), facts, None)
    assert (verdict.seats, verdict.seats_without_stable) == (1, 2)
    assert verdict.lacks == ("6 GiB of memory a replica, 10 free of 16",)
    assert verdict.lacks_without_stable == ("6 GiB of memory a replica, 16 free of 16",)


def test_a_probe_that_failed_says_what_to_do_about_it() -> None:
    facts = api_facts(node(cpu="8", memory="16Gi"), [])
    spec = make_spec()
    told = judge_node(
        spec, profile("cpu"), facts, None, probe_error="no pod", probe_action="label the namespace"
    )
    assert told.errors[0].action == "label the namespace"
    silent = judge_node(spec, profile("cpu"), facts, None, probe_error="no pod")
    assert "runner.image" in silent.errors[0].action


def test_memory_held_by_our_own_release_only_warns() -> None:
    spec = make_spec({"serving": {"resources": {"memory": "6Gi", "cpu": "1"}}})
    facts = api_facts(node(cpu="2", memory="10Gi"), [mine({"memory": "6Gi", "cpu": "1"}, "s")])
    verdict = judge_node(spec, profile("cpu"), facts, None)
    assert verdict.usable and (verdict.seats, verdict.seats_without_stable) == (0, 1)
    assert {r.code for r in verdict.reasons} == {"HOST_BUSY", "NOT_PROBED"}


@pytest.mark.parametrize(
    ("toleration", "taint", "yes"),
    [
        ({"key": "a", "operator": "Exists"}, {"key": "a", "effect": "NoSchedule"}, True),
        ({"key": "a", "value": "x"}, {"key": "a", "value": "x", "effect": "NoExecute"}, True),
        ({"key": "a", "value": "x"}, {"key": "a", "value": "y", "effect": "NoExecute"}, False),
        ({"key": "a"}, {"key": "a", "effect": "NoSchedule"}, True),
        ({"operator": "Exists"}, {"key": "any", "effect": "NoSchedule"}, True),
        ({}, {"key": "any", "effect": "NoSchedule"}, False),
        (
            {"key": "a", "operator": "Exists", "effect": "NoExecute"},
            {"key": "a", "effect": "NoSchedule"},
            False,
        ),
    ],
)
def test_tolerations(toleration: dict[str, str], taint: dict[str, str], yes: bool) -> None:
    assert tolerates(toleration, taint) is yes


def test_taints_are_tolerated_by_the_spec_or_the_sites_pod() -> None:
    tainted = node(**{DCU: "8"})
    tainted["spec"] = {"taints": [{"key": "gpu", "value": "a", "effect": "NoSchedule"}]}
    facts = api_facts(tainted)
    base = {"nodes": {"accelerator": "hygon-dcu"}}
    wants = {"key": "gpu", "operator": "Exists"}
    codes = [
        [r.code for r in preselect(make_spec(base, extra), HYGON, facts)]
        for extra in (
            {},
            {"nodes": {"tolerations": [wants]}},
            {"serving": {"pod": {"tolerations": [wants]}}},
        )
    ]
    assert codes == [["TAINT_NOT_TOLERATED"], [], []]


def test_names_and_selector() -> None:
    spec = make_spec({"nodes": {"names": ["n1", "gone"], "selector": {"zone": "a"}}})
    assert not is_candidate(spec, node())
    assert [r.code for r in unknown_nodes(spec, ["n1"])] == ["NODE_UNKNOWN"]
    elsewhere = make_spec({"nodes": {"names": ["other"], "selector": {"zone": "a"}}})
    reasons = preselect(elsewhere, profile("cpu"), api_facts(node()))
    assert [r.code for r in reasons] == ["SELECTOR_MISMATCH", "SELECTOR_MISMATCH"]


def test_no_probe_a_failed_probe_and_a_strange_one() -> None:
    spec, facts = make_spec(), api_facts(node())
    cpu = profile("cpu")
    unprobed = judge_node(spec, cpu, facts, None)
    failed = judge_node(spec, cpu, facts, None, probe_error="the pod was evicted")
    strange = judge_node(spec, cpu, facts, ProbeDoc(profile="amd-gpu"))
    assert unprobed.usable and [r.code for r in unprobed.reasons] == ["NOT_PROBED"]
    assert not failed.usable and "evicted" in str(failed.errors[0])
    assert [r.code for r in strange.errors] == ["PROBE_FAILED"]


def test_one_resource_for_all_nodes() -> None:
    def verdict(name: str, resource: str, seats: int, usable: bool = True) -> NodeVerdict:
        return NodeVerdict(name, name, usable, (), resource=resource, seats=seats)

    chosen, verdicts = agree_on_resource(
        [
            verdict("a", DCU, 1),
            verdict("b", "hygon.com/hcu", 3),
            verdict("c", DCU, 1),
            verdict("broken", DCU, 9, usable=False),
        ]
    )
    assert chosen == "hygon.com/hcu", "seats count, not nodes"
    assert [v.usable for v in verdicts] == [False, True, False, False]
    assert [r.code for r in verdicts[0].reasons] == ["RESOURCE_RENAMED"]
    assert agree_on_resource([]) == ("", [])
    assert agree_on_resource([verdict("a", "", 1)])[0] == ""


def test_memory_that_the_engines_share_is_taken_of() -> None:
    machine = Cpu(memory_bytes=24 * GIB, numa_bytes=(9 * GIB, 15 * GIB))
    doc, facts, cpu = ProbeDoc(profile="cpu", cpu=machine), api_facts(node()), profile("cpu")
    limit = {"serving": {"resources": {"memory": "6Gi"}}}
    found = [judge_node(make_spec(*s), cpu, facts, doc).engine_memory_bytes for s in ([], [limit])]
    assert found == [9 * GIB, 6 * GIB]
    assert judge_node(make_spec(), cpu, facts, ProbeDoc("cpu")).engine_memory_bytes is None


def test_weights_that_are_there_need_no_fetch() -> None:
    store = StoreFacts(published={"o/m": ("c1",)}, staged={"o--m--c2": 30, "o--m--c3": 999})
    doc = ProbeDoc(profile="cpu", store=store)
    assert weights_on(doc, "o/m", "c1", 100) == (100, 0)
    assert weights_on(doc, "o/m", "c2", 100) == (30, 70)
    assert weights_on(doc, "o/m", "c3", 100) == (100, 0)
    assert weights_on(doc, "o/m", "c4", 100) == (0, 100)


def test_memory_labels() -> None:
    found = [memory_mib(v) for v in ("64G", "192GiB", "81559", "x")]
    assert found == [65536, 196608, 81559, None]


def test_exporter_of_both_generations() -> None:
    old = (
        "# HELP dcu_temp dcu metrics of gauge\n# TYPE dcu_temp gauge\n"
        'dcu_temp{device_id="T8R1380013061601",minor_number="0",name="",node="n"} 46\n'
        'dcu_temp{device_id="T8R1380019021101",minor_number="1",name="",node="n"} 103 1700000000\n'
        'dcu_ue_count{device_id="x",minor_number="2"} 1\n'
        'dcu_ue_count{device_id="y",minor_number="3"} 0\nbroken{ line\n'
    )
    found = [r.found for r in metrics_reasons(old, HYGON)]
    assert found == [
        "card 1: 103 degrees Celsius (exporter)",
        "card 2: 1 uncorrectable memory errors (exporter)",
    ]
    new = 'hcu_health_status{minor_number="4"} 0\nhcu_health_status{minor_number="5"} 1\n'
    assert [r.found for r in metrics_reasons(new, HYGON)] == [
        "card 4: hcu_health_status is 0 (exporter)"
    ]
    assert metrics_reasons(old, profile("cpu")) == []


def test_the_exporter_on_the_node_is_found_when_it_is_ready() -> None:
    exporter = pod({})
    exporter["metadata"]["ownerReferences"] = [{"kind": "DaemonSet", "name": "dcu-exporter"}]
    exporter["status"] |= {"podIP": "10.1.2.3"}
    assert exporter_url(HYGON, api_facts(node(), [exporter])) == ""
    exporter["status"] |= {"conditions": [{"type": "Ready", "status": "True"}]}
    facts = api_facts(node(), [exporter])
    assert exporter_url(HYGON, facts) == "http://10.1.2.3:16080/metrics"
    assert exporter_url(profile("cpu"), facts) == ""


def test_rows_for_a_table() -> None:
    facts = api_facts(node(**{DCU: "8"}), [pod({DCU: "6"})])
    spec = make_spec(
        {"nodes": {"accelerator": "hygon-dcu"}, "serving": {"tensor_parallel_size": 4}}
    )
    (row,) = as_rows([judge_node(spec, HYGON, facts, None)])
    assert (row["node"], row["usable"], row["devices free"]) == ("n1", "no", f"2/8 {DCU}")
    assert row["reasons"].startswith("error RESOURCE_BUSY: 2 hygon.com/dcu free of 8")


def test_codes_are_a_closed_set() -> None:
    with pytest.raises(ValueError, match="unknown reason code"):
        Reason("NODE_SAD", "error", "a", "b", "c")
    assert all(code.isupper() and text for code, text in CODES.items())


def test_fits() -> None:
    assert fits({"a": Decimal(7)}, {"a": Decimal(2), "b": Decimal(0)}) == 3
    assert fits({"a": Decimal(-1)}, {"a": Decimal(2)}) == 0
    assert fits({}, {}) is None
