"""What keeps replicas from standing together on a node, whatever is free there: ports of the host,
required anti-affinity, spread over nodes. A scheduler grants no more seats than these allow.

Required pod affinity, and spread over anything but nodes, are not counted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from tasks.nodes.facts import TERMINAL, group_pods
from tasks.objects.pods import Object, ReadObject, ending

HOSTNAME = "kubernetes.io/hostname"
_NODE = ""  # in place of a topology key
Table = tuple[int, ...]  # seats with none of the serving pods there gone, with one, and so on
HostPort = tuple[str, str, int]  # address, protocol, number
_EVERY = ("", "0.0.0.0", "::")  # noqa: S104 - as a pod names all addresses


@dataclass(frozen=True)
class Crowd:
    """A release's pods beside others, and beside each other. apart: its required anti-affinity.
    spread: its constraints over nodes that are not to be scheduled otherwise."""

    namespace: str
    labels: Mapping[str, str]
    ports: frozenset[HostPort] = frozenset()
    apart: tuple[ReadObject, ...] = ()
    spread: tuple[ReadObject, ...] = ()

    @property
    def said(self) -> tuple[str, ...]:
        """What it asks of nodes, one sentence each."""
        numbers = ", ".join(str(port) for _, _, port in sorted(self.ports))
        return (
            *([f"host port {numbers}: one replica a node"] if self.ports else []),
            *(
                f"anti-affinity: one replica a {_short(term)}"
                for term in self.apart
                if self._itself(term)
            ),
            *(f"spread over nodes, maxSkew {term.get('maxSkew', 1)}" for term in self.spread),
        )

    def bars(self, pod: ReadObject) -> set[str]:
        """The kinds of places from which a pod keeps replicas, by topology key: ports, from its
        node."""
        meta, spec = pod["metadata"], pod.get("spec") or {}
        space, labels = str(meta.get("namespace", "")), meta.get("labels") or {}
        ours = [term for term in self.apart if self._chooses(term, space, labels)]
        # anti-affinity holds both ways
        theirs = [
            term
            for term in _apart(spec)
            if _selects(term, self.labels, labels) and _in_space(term, self.namespace, space)
        ]
        kinds = {str(term.get("topologyKey", "")) for term in (*ours, *theirs)}
        return kinds | ({_NODE} if self.ports and _clash(self.ports, host_ports(spec)) else set())

    def one_in(self) -> tuple[str, ...]:
        """The kinds of places that take one replica at most."""
        kinds = [str(term.get("topologyKey", "")) for term in self.apart if self._itself(term)]
        return tuple(dict.fromkeys([*([_NODE] if self.ports else []), *kinds]))

    def _itself(self, term: ReadObject) -> bool:
        return self._chooses(term, self.namespace, self.labels)

    def _chooses(self, term: ReadObject, space: str, labels: Mapping[str, str]) -> bool:
        return _selects(term, labels, self.labels) and _in_space(term, space, self.namespace)

    def counts(self, term: ReadObject, pod: ReadObject) -> bool:
        """Whether a spread constraint counts a pod."""
        meta = pod["metadata"]
        same = meta.get("namespace", "") == self.namespace and not ending(pod)
        return same and _selects(term, meta.get("labels") or {}, self.labels)


def crowd_of(template: ReadObject, namespace: str) -> Crowd:
    """Of a Deployment's pod template."""
    spec, labels = template["spec"], (template.get("metadata") or {}).get("labels") or {}
    spread = tuple(
        item
        for item in spec.get("topologySpreadConstraints") or []
        if item.get("topologyKey") == HOSTNAME
        and item.get("whenUnsatisfiable", "DoNotSchedule") == "DoNotSchedule"
    )
    return Crowd(namespace, labels, host_ports(spec), tuple(_apart(spec)), spread)


def host_ports(spec: ReadObject) -> frozenset[HostPort]:
    """The ports of its node that a pod has. One in the host's network has all that it names."""
    shared = bool(spec.get("hostNetwork"))
    sidecars = [c for c in spec.get("initContainers") or [] if c.get("restartPolicy") == "Always"]
    return frozenset(
        (str(port.get("hostIP") or ""), str(port.get("protocol") or "TCP"), int(number))
        for container in [*(spec.get("containers") or []), *sidecars]
        for port in container.get("ports") or []
        if (number := port.get("hostPort") or (port.get("containerPort") if shared else 0))
    )


def matter(crowd: Crowd, pods: Iterable[Object]) -> tuple[Object, ...]:
    """The pods that keep replicas from places, or are counted as they are spread."""
    return tuple(
        pod
        for pod in pods
        if crowd.bars(pod) or any(crowd.counts(term, pod) for term in crowd.spread)
    )


@dataclass(frozen=True)
class Granted:
    """Seats on a node. table: see Table. instead: with every serving pod gone, elsewhere too."""

    table: Table
    instead: int


def granted(
    crowd: Crowd,
    tables: Mapping[str, Granted],
    nodes: Iterable[ReadObject],
    pods: Iterable[ReadObject],
    goes: Callable[[ReadObject], bool],
    eligible: Iterable[str] | None = None,
) -> dict[str, Granted]:
    """Seats by node, and no more than a scheduler would grant.

    tables: by amounts. pods: of the cluster that stay, or go. goes: of what serves. eligible: nodes
    that its own rules allow, full ones too; default: those that have seats.
    """
    known = {node["metadata"]["name"]: node for node in nodes}
    there = {
        name: [pod for pod in found if (pod.get("status") or {}).get("phase") not in TERMINAL]
        for name, found in group_pods(pods).items()
        if name in known
    }
    barred: dict[tuple[str, str], list[tuple[str, bool]]] = defaultdict(list)
    for name, found in there.items():
        for pod in found:
            for kind in crowd.bars(pod):
                if place := _place(kind, known[name]):
                    barred[kind, place].append((name, goes(pod)))
    kinds = {kind for kind, _ in barred}
    out = {}
    for name, seats in tables.items():
        near = [(kind, _place(kind, known[name])) for kind in kinds]
        out[name] = _capped(name, seats, [pod for one in near for pod in barred.get(one, ())])
    for kind in crowd.one_in():
        out = _one_each(kind, out, known)
    for term in crowd.spread:
        out = _spread(crowd, term, out, there, goes, eligible)
    return out


def _capped(name: str, found: Granted, barring: Sequence[tuple[str, bool]]) -> Granted:
    """While a pod that bars it is there, none. Those of what serves are alike: the last one here
    counts as the first. barring: where each is, and whether it goes."""
    if not barring:
        return found
    if not all(goes for _, goes in barring):
        return Granted((0,) * len(found.table), 0)
    elsewhere = any(where != name for where, _ in barring)
    last = 0 if elsewhere or len(found.table) == 1 else found.table[-1]
    return Granted((*(0 for _ in found.table[:-1]), last), found.instead)


def _one_each(
    kind: str, tables: Mapping[str, Granted], known: Mapping[str, ReadObject]
) -> dict[str, Granted]:
    """One replica in each place of a kind: on the node there that has most room."""
    best: dict[str, str] = {}
    for name in sorted(tables, key=lambda n: (-tables[n].table[0], -tables[n].instead, n)):
        best.setdefault(_place(kind, known[name]) or name, name)
    out = {}
    for name, found in tables.items():
        most = int(name in best.values())
        out[name] = Granted(tuple(min(most, n) for n in found.table), min(most, found.instead))
    return out


def _spread(
    crowd: Crowd,
    term: ReadObject,
    tables: Mapping[str, Granted],
    there: Mapping[str, Sequence[ReadObject]],
    goes: Callable[[ReadObject], bool],
    eligible: Iterable[str] | None,
) -> dict[str, Granted]:
    """As things are; with room made here and there, and what serves counted still; with all of it
    gone."""
    if eligible is None:
        eligible = [name for name, found in tables.items() if found.instead]
    domains, itself = sorted(eligible), _selects(term, crowd.labels, crowd.labels)
    none = Granted((0,), 0)

    def most(seats: Callable[[Granted], int], *, gone: bool = False) -> dict[str, int]:
        counts = {
            name: sum(
                crowd.counts(term, pod) and not (gone and goes(pod)) for pod in there.get(name, ())
            )
            for name in domains
        }
        have = {name: seats(tables.get(name, none)) for name in domains}
        return _even(counts, have, term, itself=itself)

    beside, partly = most(lambda found: found.table[0]), most(lambda found: found.table[-1])
    instead = most(lambda found: found.instead, gone=True)
    out = {}
    for name, found in tables.items():
        later = [min(n, partly.get(name, 0)) for n in found.table[1:]]
        first = min(found.table[0], beside.get(name, 0), *later)
        out[name] = Granted((first, *later), min(found.instead, instead.get(name, 0)))
    return out


def _even(
    counts: Mapping[str, int], seats: Mapping[str, int], term: ReadObject, *, itself: bool
) -> dict[str, int]:
    """How many go where, put one after the other where there are fewest: one that is full holds the
    others back."""
    skew, few = int(term.get("maxSkew", 1)), len(counts) < int(term.get("minDomains") or 1)
    if not itself:  # they do not count themselves
        least = 0 if few else min(counts.values(), default=0)
        return {name: most if counts[name] - least <= skew else 0 for name, most in seats.items()}
    least = 0 if few else min((counts[name] + seats[name] for name in counts), default=0)
    return {name: max(0, min(most, least + skew - counts[name])) for name, most in seats.items()}


def _apart(spec: ReadObject) -> Sequence[ReadObject]:
    rules = (spec.get("affinity") or {}).get("podAntiAffinity") or {}
    return rules.get("requiredDuringSchedulingIgnoredDuringExecution") or []


def _clash(ours: Iterable[HostPort], theirs: Iterable[HostPort]) -> bool:
    return any(
        (one == other or one in _EVERY or other in _EVERY) and (kind, port) == (their, number)
        for one, kind, port in ours
        for other, their, number in theirs
    )


def _place(kind: str, node: ReadObject) -> str:
    """Where a node is; a node without that label is nowhere."""
    meta = node["metadata"]
    own = meta["name"] if kind in (_NODE, HOSTNAME) else ""
    return str((meta.get("labels") or {}).get(kind) or own)


def _short(term: ReadObject) -> str:
    return str(term.get("topologyKey", "")).rpartition("/")[2] or "place"


def _in_space(term: ReadObject, space: str, own: str) -> bool:
    """Which namespaces a selector means is not looked up: it may mean any."""
    named = term.get("namespaces") or []
    if "namespaceSelector" in term and term["namespaceSelector"] is not None:
        return True
    return space in (named or [own])


def _selects(term: ReadObject, labels: Mapping[str, str], asking: Mapping[str, str]) -> bool:
    """Whether a term's selector, of a pod with the labels `asking`, chooses these labels."""
    selector = term.get("labelSelector")
    if selector is None:
        return False
    keys = [key for key in term.get("matchLabelKeys") or [] if labels is not asking]
    if any(key not in asking or labels.get(key) != asking[key] for key in keys):
        return False  # such a key is of one template's pods
    if not (selector.get("matchLabels") or {}).items() <= labels.items():
        return False
    return all(_holds(rule, labels) for rule in selector.get("matchExpressions") or [])


def _holds(rule: ReadObject, labels: Mapping[str, str]) -> bool:
    found, values = labels.get(rule["key"]), rule.get("values") or []
    match rule["operator"]:
        case "In":
            return found in values
        case "NotIn":
            return found not in values
        case "Exists":
            return found is not None
        case _:
            return found is None
