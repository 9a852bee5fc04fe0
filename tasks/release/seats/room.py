"""Whether a release that stands at zero would find a place, by what the API shows.

The counterpart of plan.py for a release whose spec nobody has at hand: the Deployment's own pod
template says what it needs and which nodes it may use.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from functools import cache, lru_cache

from tasks.accelerators.profiles import PROFILES
from tasks.nodes.facts import (
    TERMINAL,
    Amounts,
    ApiFacts,
    add,
    api_facts,
    fits,
    group_pods,
    pod_requests,
)
from tasks.nodes.queue import QUOTA, queued_by, queueing
from tasks.nodes.rules_api import CLAIMS, CONDITION_TAINTS, tolerates
from tasks.objects.labels import INSTANCE_LABEL, RELEASE_LABEL
from tasks.objects.pods import ReadObject
from tasks.release.course import Room
from tasks.release.seats.crowd import HOSTNAME, Granted, crowd_of, granted
from tasks.release.seats.quota import opens

_GIB = Decimal(2**30)
_ON_NODE = {"", HOSTNAME}  # of what bars a pod: what its node does


def kept_for(owed: Sequence[str]) -> str:
    """What a refusal adds where seats are another rollout's; '' where none is."""
    return f"; {'; '.join(owed)}: such seats are not counted as free" if owed else ""


def room_for(
    deploy: ReadObject,
    nodes: Iterable[ReadObject],
    pods: Iterable[ReadObject],
    serving: str | None,
    owed: tuple[str, ...] = (),
    claims: Mapping[str, int] | None = None,
) -> Room:
    """The room for replicas of a Deployment.

    nodes, pods: of the whole cluster; owed: to whom some of these stand for seats (see owed.py).
    serving: release id whose pods stay, or are counted as gone
    for `instead`. Pods of this rollout's other releases are on their way out, or the Deployment's
    own: their seats are free. claims: by node, how many replicas its devices make, where those are
    asked for by claim; on others, of which nobody knows that, no more are free than such pods hold,
    and each pod of what serves that goes gives one back.
    """
    meta, template = deploy["metadata"], deploy["spec"]["template"]["spec"]
    namespace, instance = meta["namespace"], meta["labels"][INSTANCE_LABEL]

    def passing(pod: ReadObject) -> bool:
        labels = pod["metadata"].get("labels") or {}
        ours = pod["metadata"].get("namespace") == namespace
        ours = ours and labels.get(INSTANCE_LABEL) == instance
        return ours and labels.get(RELEASE_LABEL) not in (None, serving)

    def goes(pod: ReadObject) -> bool:
        labels = pod["metadata"].get("labels") or {}
        ours = pod["metadata"].get("namespace") == namespace
        return ours and (labels.get(INSTANCE_LABEL), labels.get(RELEASE_LABEL)) == (
            instance,
            serving,
        )

    asked = {**pod_requests(template), "pods": Decimal(1)}
    pods, nodes = list(pods), list(nodes)
    staying = [pod for pod in pods if not passing(pod)]
    by_node = group_pods(staying)
    by_claim = bool(template.get("resourceClaims"))
    ours = group_pods(pod for pod in pods if passing(pod))
    tables: dict[str, Granted] = {}
    perhaps: dict[str, Granted] = {}
    meant = []
    for node in nodes:
        facts = api_facts(node, by_node.get(node["metadata"]["name"], ()))
        if _wants(template, facts):
            meant.append(facts.name)
        if not takes(template, facts):
            continue
        need = _counted(asked, facts)
        free = _free(facts, need)
        gone = {
            **facts.held_here(namespace, instance, serving),
            "pods": Decimal(facts.pods_here(namespace, instance, serving)),
        }
        count = int(gone["pods"]) if serving is not None else 0
        whole = {name: value for name, value in gone.items() if name in need}
        # one release's pods are alike
        shares = [{n: v * out / count for n, v in whole.items()} for out in range(1, count + 1)]
        table = tuple(fits(add(free, share), need) or 0 for share in ({}, *shares))
        tables[facts.name] = perhaps[facts.name] = Granted(table, table[-1])
        if by_claim:
            known, here = (claims or {}).get(facts.name), by_node.get(facts.name, ())
            first = _claiming(ours.get(facts.name, ())) if known is None else known - facts.claiming
            gives = sum(map(_has_device, filter(goes, here)))
            table = tuple(
                min(most, max(0, first + min(out, gives))) for out, most in enumerate(table)
            )
            tables[facts.name] = Granted(table, table[-1])
            perhaps[facts.name] = perhaps[facts.name] if known is None else tables[facts.name]
    crowd = crowd_of(deploy["spec"]["template"], namespace)
    seats = granted(crowd, tables, nodes, staying, goes, meant).values()
    beside, instead = sum(item.table[0] for item in seats), sum(item.instead for item in seats)
    more = (0, 0)
    if by_claim:
        most = granted(crowd, perhaps, nodes, staying, goes, meant).values()
        more = (
            max(0, sum(item.table[0] for item in most) - beside),
            max(0, sum(item.instead for item in most) - instead),
        )
        asked = {**asked, CLAIMS: Decimal(1)}
    return Room(
        beside,
        instead,
        "; ".join((_words(asked), *crowd.said)),
        waiting(pods, nodes, asked, (namespace, instance), serving),
        owed,
        tuple(item.table for item in seats),
        more,
    )


def _claiming(pods: Iterable[ReadObject]) -> int:
    return sum(
        bool(pod["spec"].get("resourceClaims"))
        for pod in pods
        if (pod.get("status") or {}).get("phase") not in TERMINAL
    )


def _has_device(pod: ReadObject) -> bool:
    """By claim, or as an amount: an operator's own driver may offer the same cards either way."""
    if (pod.get("status") or {}).get("phase") in TERMINAL:
        return False
    named = (name for name, amount in pod_requests(pod["spec"]).items() if amount)
    return bool(pod["spec"].get("resourceClaims")) or any("/" in name for name in named)


def waiting(
    pods: Iterable[ReadObject],
    nodes: Iterable[ReadObject],
    need: Amounts,
    rollout: tuple[str, str],
    serving: str | None,
) -> tuple[str, ...]:
    """Who else waits for what the serving release of a rollout would free (queueing): whom a seat
    on its nodes, or its part of a quota, would help, and nobody else. Of those that ask for no
    device: who has no place on such a node now, gets one by what is freed there, and leaves less
    than a replica, or what serves on its way home, needs.

    pods: see queueing; need: of a replica; rollout: namespace and name. A node's state excuses
    nobody: it may be Ready, or uncordoned, a moment later. Where no pod of what serves has a node,
    any node counts.
    """
    pods = list(pods)
    mine = [pod for pod in pods if _of(pod, rollout, serving)]
    if any((pod.get("spec") or {}).get("resourceClaims") for pod in mine):
        need = {**need, CLAIMS: Decimal(1)}
    held = {name for pod in mine if (name := (pod.get("spec") or {}).get("nodeName"))}
    there = [node for node in nodes if not held or node["metadata"]["name"] in held]
    # what is queued itself hands its part of the queue on
    by_queue = any(map(queued_by, mine))

    @cache
    def look() -> list[tuple[ApiFacts, Sequence[ReadObject]]]:
        by_node = group_pods(pods)
        found = ((node, by_node.get(node["metadata"]["name"], ())) for node in there)
        return [(api_facts(node, here), here) for node, here in found]

    def helps(pod: ReadObject) -> bool:
        spec, said = pod.get("spec") or {}, str((pod.get("status") or {}).get("message", ""))
        if QUOTA in said:  # a pod that is made counts, whether it is placed or not
            return opens(said, [other["spec"] for other in mine])
        if spec.get("schedulingGates"):
            return by_queue
        asked = pod_requests(spec)
        return any(
            suits(spec, fact) and fits(fact.allocatable, _counted(asked, fact)) != 0
            for fact, _ in look()
        )

    def hinders(pod: ReadObject) -> bool:
        spec, said = pod.get("spec") or {}, str((pod.get("status") or {}).get("message", ""))
        if QUOTA in said:  # what it lacks there is then ours to lack
            return opens(said, [other["spec"] for other in mine])
        if spec.get("schedulingGates") and not by_queue:
            return False
        return any(_starves(pod, *found, need, rollout, serving) for found in look())

    return queueing(pods, need, *rollout, helps, hinders)


def _starves(
    pod: ReadObject,
    node: ApiFacts,
    here: Iterable[ReadObject],
    need: Amounts,
    rollout: tuple[str, str],
    serving: str | None,
) -> bool:
    """Whether a pod that has no place on a node gets one once some of what serves is gone there,
    and leaves too little for that to come home, or for a replica that would have had room."""
    mine, passing, others = [], [], []
    for other in here:
        ident = (other["metadata"].get("labels") or {}).get(RELEASE_LABEL)
        if _of(other, rollout, serving):
            mine.append(other)
        elif ident and _of(other, rollout, ident):
            passing.append(other)  # on its way out, as room_for counts it
        elif (other.get("status") or {}).get("phase") not in TERMINAL:
            others.append(other)
    pod = {**pod, "spec": pod.get("spec") or {}}
    if not (mine or passing) or not suits(pod["spec"], node):
        return False
    crowd = crowd_of(pod, str(pod["metadata"].get("namespace", "")))
    if any(crowd.bars(other) & _ON_NODE for other in others):
        return False
    barred = any(crowd.bars(other) & _ON_NODE for other in mine)
    its = _counted({**pod_requests(pod["spec"]), "pods": Decimal(1)}, node)
    own, out = _counted(_held(mine), node), _held(passing)
    amounts = {name: amount for name, amount in need.items() if name != CLAIMS}
    need = _counted({**amounts, "pods": Decimal(1)}, node)
    now = _free(node, its | own | need)
    if fits(now, its) and not barred:
        return False
    for gone in range(len(mine) if barred else 0, len(mine) + 1):
        home = {name: amount * gone / len(mine) for name, amount in own.items() if gone}
        free = add(add(now, out), home)
        if not fits(free, its):
            continue
        left = add(free, {name: -amount for name, amount in its.items()})
        lost = any(left[name] < amount for name, amount in home.items() if its.get(name))
        if barred or lost or (fits(free, need) and not fits(left, need)):
            return True
    return False


def _held(pods: Sequence[ReadObject]) -> Amounts:
    total: Amounts = {"pods": Decimal(len(pods))}
    for pod in pods:
        total = add(total, pod_requests(pod["spec"]))
    return total


def _of(pod: ReadObject, rollout: tuple[str, str], release: str | None) -> bool:
    meta = pod["metadata"]
    labels = meta.get("labels") or {}
    its = meta.get("namespace"), labels.get(INSTANCE_LABEL), labels.get(RELEASE_LABEL)
    return its == (*rollout, release) and (pod.get("status") or {}).get("phase") not in TERMINAL


def _counted(need: Amounts, facts: ApiFacts) -> Amounts:
    """What the node's own amounts decide: memory and cores of shares of a card, of which a node
    lists the cards alone, are counted by the sharing plugin's scheduler."""
    there = {row for name in need if name in facts.allocatable and (row := _vendor(name))}
    return {
        name: amount
        for name, amount in need.items()
        if name in facts.allocatable or _vendor(name, "dynamic") not in there
    }


@lru_cache(maxsize=1024)
def _vendor(resource: str, kind: str = "") -> str:
    """Whose resource it is, by name, where it is of this kind; '' for none."""
    for row in PROFILES.values():
        found = row.resource_kind(resource)
        if found is not None and kind in ("", found.kind):
            return row.name
    return ""


def _free(facts: ApiFacts, need: Amounts) -> Amounts:
    held: Amounts = {**facts.held, "pods": Decimal(facts.pods)}
    free = {n: facts.allocatable.get(n, Decimal(0)) - held.get(n, Decimal(0)) for n in need}
    if "pods" not in facts.allocatable:
        free["pods"] = Decimal(1 << 20)  # a node that states no pod limit has none
    return free


def _words(need: Amounts) -> str:
    parts = []
    for name, amount in sorted(need.items()):
        if name == "memory":
            parts.append(f"{float(amount / _GIB):.4g} GiB memory")
        elif name == CLAIMS:
            parts.append("a claim of devices")
        elif name != "pods" and amount:
            parts.append(f"{amount.normalize():f} {name}")
    return ", ".join(parts) or "one pod"


def takes(template: ReadObject, node: ApiFacts) -> bool:
    """Whether a node takes such pods at all: its state, its taints, the template's node rules."""
    if node.cordoned or node.conditions.get("Ready") != "True":
        return False
    return suits(template, node)


def suits(template: ReadObject, node: ApiFacts) -> bool:
    """The same, whatever state the node is in."""
    tolerations = template.get("tolerations") or []
    for taint in node.taints:
        # the node's conditions, judged above, put these on it
        if taint.get("key") in CONDITION_TAINTS:
            continue
        if taint.get("effect") in ("NoSchedule", "NoExecute") and not any(
            tolerates(item, taint) for item in tolerations
        ):
            return False
    return _wants(template, node)


def _wants(template: ReadObject, node: ApiFacts) -> bool:
    """The template's own node rules."""
    wanted = template.get("nodeSelector") or {}
    if any(node.labels.get(key) != value for key, value in wanted.items()):
        return False
    affinity = (template.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    terms = (required or {}).get("nodeSelectorTerms") or []
    return required is None or any(_matches(term, node) for term in terms)


def _matches(term: ReadObject, node: ApiFacts) -> bool:
    labels: Sequence[ReadObject] = term.get("matchExpressions") or []
    fields: Sequence[ReadObject] = term.get("matchFields") or []
    if not labels and not fields:
        return False  # Kubernetes: an empty term matches nothing
    return all(_holds(rule, node.labels) for rule in labels) and all(
        _holds(rule, {"metadata.name": node.name}) for rule in fields
    )


def _holds(rule: ReadObject, labels: Mapping[str, str]) -> bool:
    found, values = labels.get(rule["key"]), rule.get("values") or []
    match rule["operator"]:
        case "In":
            return found in values
        case "NotIn":
            return found not in values
        case "Exists":
            return found is not None
        case "DoesNotExist":
            return found is None
        case "Gt" | "Lt" as sign:
            try:
                have, limit = int(found or ""), int(values[0])
            except (ValueError, IndexError):
                return False
            return have > limit if sign == "Gt" else have < limit
    return False
