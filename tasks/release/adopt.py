"""Whether what somebody deployed by hand can become the stable release of a rollout, and as what.

Decided from what is there; the Service's selector is not touched, so that clients notice nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass

from tasks.base.errors import Refused
from tasks.nodes.facts import TERMINAL
from tasks.objects.beside import (
    agreed_of,
    kept_by_hand,
    led_by_hand,
    left_behind,
    named,
    other_ports,
    others_on,
    target_of,
    ways_of,
)
from tasks.objects.labels import (
    ADOPTED,
    INSTANCE_LABEL,
    KIND_LABEL,
    MANAGED_LABEL,
    MANAGER,
    RELEASE_LABEL,
)
from tasks.objects.pods import Object, ReadObject, ending, engine_container
from tasks.objects.reached import (
    Reached,
    adopted_as,
    belongs_to,
    chooses,
    leads_to,
    reached_of,
)
from tasks.objects.replicas import behind, mixed_of
from tasks.release.state import Release, State
from tasks.spec.base import DNS_LABEL
from tasks.spec.rollout import CANDIDATE_SUFFIX, MAX_NAME

UNKNOWN = "unknown"
APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
# labels, annotations and field managers of what writes its objects again and again
KEEPERS = (
    MANAGED_LABEL,
    "meta.helm.sh/release-name",
    "argocd.argoproj.io/instance",
    "argocd.argoproj.io/tracking-id",
    "kustomize.toolkit.fluxcd.io/name",
    "helm.toolkit.fluxcd.io/name",
)
WRITERS = ("helm", "argocd-controller", "kustomize-controller", "helm-controller")


@dataclass(frozen=True)
class Standing:
    """What is there before an adoption: the Service, all Deployments of its namespace, the pods its
    selector chooses, and the state of the rollout that is to have it. services: all of the
    namespace. slices: of the Service. kept: of Services without a selector. around: NetworkPolicies
    and what else is about pods. unseen: which kinds of those could not be listed."""

    service: Object | None
    deployments: Sequence[Object]
    pods: Sequence[Object]
    state: State
    services: Sequence[Object] = ()
    slices: Sequence[Object] = ()
    kept: Sequence[Object] = ()
    around: Sequence[Object] = ()
    unseen: Sequence[str] = ()


@dataclass(frozen=True)
class Adoption:
    """The release that a Deployment becomes. uid: of the Deployment. warnings: for a person.
    leaves: what leads to its pods and to none that follow, by key, and was agreed to."""

    release: Release
    reached: Reached
    uid: str
    warnings: tuple[str, ...] = ()
    leaves: tuple[str, ...] = ()


def decide_adoption(
    name: str,
    namespace: str,
    seen: Standing,
    deployment: str | None = None,
    *,
    force: bool = False,
    leaves: Sequence[str] = (),
) -> Adoption:
    """What Deployment behind Service `name` becomes. deployment: which; None: the only one. force:
    also what something else manages. leaves: other Services, and ports of this one as NAME/PORT,
    that may lead nowhere once another release serves, beside what was agreed to before. Raises
    Refused."""
    _must_be_a_name(name)
    service = _service(name, namespace, seen.service)
    selector: dict[str, str] = service["spec"]["selector"]
    found = _deployment(namespace, service, seen.deployments, deployment)
    kept = [*keepers(service), *keepers(found)]
    if kept and not force:
        raise Refused(
            f"{'; '.join(kept)}: what manages them would write selector and replicas back, and "
            "fight every rollout. Take both out of its hands first (or make it ignore the "
            "Service's spec and the Deployment's replicas) and pass --force"
        )
    where, what = f"Service {namespace}/{name}", f"Deployment {namespace}/{_name(found)}"
    strangers = [
        _name(pod) for pod in seen.pods if _lives(pod) and not belongs_to(pod, _name(found))
    ]
    if strangers:
        raise Refused(
            f"{where} leads to pods that are not {what}'s as well: {', '.join(sorted(strangers))}; "
            "only the pods of one Deployment can be adopted: narrow the Service's selector, or "
            "stop the others"
        )
    if not (found.get("status") or {}).get("availableReplicas"):
        raise Refused(
            f"{what} has no ready replica, so there is nothing to go back to; "
            "mend it first, or roll a version out under another name"
        )
    agreed = _agreed(where, what, service, found, seen, {*leaves, *agreed_of(found)})
    if not behind(found) and (half := mixed_of(found)):
        raise Refused(
            f"{what} is being changed: {half}, and what answers is not what it says. Let that edit "
            f"finish, or take it back with `kubectl rollout undo deployment/{_name(found)}` first"
        )
    ident = adopted_as(selector, found["metadata"]["uid"])
    _must_be_free(name, seen, ident, _name(found))
    ports = [dict(port) for port in service["spec"].get("ports") or []]
    release = _release(found, ident)
    return Adoption(
        release,
        Reached(ident, dict(selector), ports),
        found["metadata"]["uid"],
        (*_warnings(service, found, release, kept), *_beside(name, service, found, seen)),
        agreed,
    )


def _agreed(
    where: str,
    what: str,
    service: ReadObject,
    deploy: ReadObject,
    seen: Standing,
    leaves: Set[str],
) -> tuple[str, ...]:
    """What leads to the pods and to none that follow, by key: all of it is in `leaves`, else
    Refused."""
    name, said = _name(service), dict[str, str]()
    for other in _others(service, deploy, seen):
        if not chooses(other["spec"]["selector"], _comes(name)):
            words = _words(other["spec"]["selector"])
            said[_name(other)] = (
                f"Service {_name(other)} leads to the pods of {what} as well ({words})"
            )
    for kept in led_by_hand(kept_by_hand(seen.services), seen.kept, seen.pods):
        said[kept] = f"Service {kept} names pods of {what} in EndpointSlices of its own"
    for port in other_ports(service):
        text = f"port {named(port)} of {where} leads to {target_of(port)} there"
        said[f"{name}/{named(port)}"] = text
    if open_ := {key: text for key, text in said.items() if key not in leaves}:
        flags = " ".join(f"--leaves {key}" for key in open_)
        raise Refused(
            f"{'; '.join(open_.values())}: no release that comes after is reached by that, and "
            f"once these pods stop nothing answers there. Point its clients to {where}, to the "
            f"port of the engine, or pass {flags}: that is remembered, and each plan tells it"
        )
    return tuple(sorted(said.keys() | agreed_of(deploy)))


def _others(service: ReadObject, deploy: ReadObject, seen: Standing) -> list[Object]:
    pods = [_labels(deploy), *(pod["metadata"].get("labels") or {} for pod in seen.pods)]
    return others_on(seen.services, [_name(service)], pods)


def _comes(name: str) -> dict[str, str]:
    """The labels of every release that comes after."""
    return {
        INSTANCE_LABEL: name,
        MANAGED_LABEL: MANAGER,
        KIND_LABEL: "engine",
        RELEASE_LABEL: "the next one",
    }


def _beside(name: str, service: ReadObject, deploy: ReadObject, seen: Standing) -> Iterable[str]:
    yield from ways_of(service, seen.slices)
    yield from left_behind(seen.around, _name(deploy), _labels(deploy), _comes(name))
    for other in _others(service, deploy, seen):
        if chooses(other["spec"]["selector"], _comes(name)):
            yield (
                f"Service {_name(other)} ({_words(other['spec']['selector'])}) chooses the pods of "
                "every release that comes, too: it loses nothing, and leads to them before their "
                "verdict"
            )
    for kind in seen.unseen:
        yield (
            f"whether a {kind} is about the pods of {_name(deploy)} alone is not known: they could "
            "not be listed (this account may not, or the cluster knows none)"
        )


def keepers(item: ReadObject) -> list[str]:
    """What else writes an object, by the marks it leaves; empty for one that was made by hand."""
    meta = item["metadata"]
    marks = {**(meta.get("labels") or {}), **(meta.get("annotations") or {})}
    said = [
        f"{key} is {marks[key]}"
        for key in KEEPERS
        if key in marks and (key, marks[key]) != (MANAGED_LABEL, MANAGER)
    ]
    writers = {str(entry.get("manager", "")) for entry in meta.get("managedFields") or []}
    said += [f"{who} writes it" for who in sorted(writers) if who.lower() in WRITERS]
    owners = meta.get("ownerReferences") or []
    said += [f"it belongs to {owner['kind']} {owner['name']}" for owner in owners]
    where = f"{item.get('kind')} {meta.get('namespace')}/{meta['name']}"
    return [f"{where}: {', '.join(said)}"] if said else []


def _name(item: ReadObject) -> str:
    return str(item["metadata"]["name"])


def _must_be_a_name(name: str) -> None:
    good = re.fullmatch(DNS_LABEL, name) and len(name) <= MAX_NAME
    if not good or name.endswith(CANDIDATE_SUFFIX):
        raise Refused(
            f"no rollout can be called {name}: a spec's name has at most {MAX_NAME} characters and "
            f"does not end with {CANDIDATE_SUFFIX}; put a Service of another name in front"
        )


def _service(name: str, namespace: str, service: Object | None) -> Object:
    where = f"Service {namespace}/{name}"
    if service is None:
        raise Refused(
            f"{where} does not exist; name the Service your clients ask, which is the name of the "
            "rollout, and its namespace with -n"
        )
    if service["spec"].get("type") == "ExternalName":
        raise Refused(
            f"{where} is of type ExternalName and leads to no pod of this cluster; adopt a Service "
            "with a selector"
        )
    selector = service["spec"].get("selector") or {}
    if not selector:
        raise Refused(
            f"{where} has no selector: somebody keeps its endpoints by hand; give it the selector "
            "of the Deployment's pods first"
        )
    _must_not_be_anothers(where, service, name)
    leads = leads_to(service)
    if _ours(service) and not (leads and leads.startswith(ADOPTED)):
        raise Refused(
            f"{where} is rollout {name}'s already and leads to release {leads}; there is nothing "
            f"to adopt, `rollout status {name} -n {namespace}` shows what there is"
        )
    if chooses(selector, {INSTANCE_LABEL: name, MANAGED_LABEL: MANAGER, KIND_LABEL: "engine"}):
        raise Refused(
            f"the selector of {where} is {_words(selector)}, which would choose the pods of every "
            "candidate as well, before its verdict; give the pods one more label of your own, and "
            "the Service's selector too"
        )
    return service


def _ours(item: ReadObject) -> bool:
    return (item["metadata"].get("labels") or {}).get(MANAGED_LABEL) == MANAGER


def _must_not_be_anothers(where: str, item: ReadObject, name: str) -> None:
    instance = (item["metadata"].get("labels") or {}).get(INSTANCE_LABEL)
    if _ours(item) and instance != name:
        raise Refused(
            f"{where} belongs to rollout {instance} and cannot be rollout {name}'s as well; "
            f"`rollout status {instance}` shows what it does there"
        )


def _deployment(
    namespace: str, service: ReadObject, deployments: Sequence[Object], asked: str | None
) -> Object:
    selector = service["spec"]["selector"]
    where = f"Service {namespace}/{_name(service)}"
    fit = [item for item in deployments if not ending(item) and chooses(selector, _labels(item))]
    names = ", ".join(sorted(_name(item) for item in fit)) or "none"
    chosen = [item for item in fit if asked in (None, _name(item))]
    if len(chosen) != 1:
        there = f"Deployments whose pods {where} chooses ({_words(selector)}): {names}"
        if asked is not None:
            raise Refused(f"Deployment {namespace}/{asked} is not among them. {there}")
        raise Refused(f"{there}; one is needed: name it with --deployment")
    (found,) = chosen
    what = f"Deployment {namespace}/{_name(found)}"
    _must_not_be_anothers(what, found, _name(service))
    if _ours(found) and reached_of(found) is None:
        raise Refused(f"{what} is a release that rollout {_name(service)} made; nothing to adopt")
    return found


def _labels(deploy: ReadObject) -> dict[str, str]:
    return dict(deploy["spec"]["template"].get("metadata", {}).get("labels") or {})


def _lives(pod: ReadObject) -> bool:
    return not ending(pod) and (pod.get("status") or {}).get("phase") not in TERMINAL


def _must_be_free(name: str, seen: Standing, ident: str, deployment: str) -> None:
    """The rollout has no life of its own yet, but for an adoption that was cut short."""
    state = seen.state
    begun = state.stable is None or state.stable.id.startswith(ADOPTED)
    known = [r.deployment for r in (state.stable, state.candidate, state.previous) if r]
    others = [
        _name(item)
        for item in seen.deployments
        if _ours(item)
        and (item["metadata"]["labels"].get(INSTANCE_LABEL) == name)
        and _name(item) != deployment
    ]
    done = state.stable is not None and state.stable.id == ident
    if done and leads_to(seen.service) == ident:
        return
    if state.phase != "idle" or not begun or state.candidate or state.previous or others:
        listed = ", ".join(dict.fromkeys([*known, *others])) or "nothing"
        raise Refused(
            f"rollout {name} has a life of its own already (phase {state.phase}, it knows of "
            f"{listed}); settle it with `rollout recover {name}`, and delete ConfigMap and "
            "Deployments that are not wanted any more"
        )


def _release(deploy: ReadObject, ident: str) -> Release:
    engine = engine_container(deploy["spec"]["template"]["spec"])
    model, served = names_in([*(engine.get("command") or []), *(engine.get("args") or [])])
    return Release(
        id=ident,
        deployment=_name(deploy),
        model=model or UNKNOWN,
        revision="",
        commit=UNKNOWN,
        digest=UNKNOWN,
        image=str(engine.get("image", "")),
        served_name=served,
        replicas=int(deploy["spec"].get("replicas", 1)),
        created=str(deploy["metadata"].get("creationTimestamp", "")),
    )


def names_in(arguments: Sequence[str]) -> tuple[str, str]:
    """Model and served name in vLLM's arguments, also where a shell has them; '' where unknown."""
    words = [word.strip("'\"") for item in arguments for word in str(item).split()]

    def value(flag: str) -> str:
        for word, after in zip(words, [*words[1:], ""], strict=True):
            if word == flag:
                return after
            if word.startswith(f"{flag}="):
                return word.removeprefix(f"{flag}=")
        return ""

    def known(word: str) -> str:
        return "" if word.startswith("-") or "$" in word else word  # not of the environment

    model = known(value("--model") or value("serve"))
    served = value("--served-model-name")
    return model, known(served) if served else model


def _warnings(
    service: ReadObject, deploy: ReadObject, release: Release, kept: Sequence[str]
) -> list[str]:
    out = [f"{said}: it may write back what a rollout changes" for said in kept]
    if APPLIED in (service["metadata"].get("annotations") or {}):
        out.append(
            f"applying the manifest of Service {_name(service)} again would bring its former "
            "selector back beside the one of a rollout, which then chooses no pod"
        )
    if not release.served_name:
        out.append(
            f"the arguments of {_name(deploy)} do not say which model it serves: targets against "
            "what serves cannot be measured on it"
        )
    return out


def _words(selector: dict[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in sorted(selector.items()))
