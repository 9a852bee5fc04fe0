"""`rollout init`: a commented spec for what the cluster has, or with placeholders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from flows.cli.screen import say
from tasks.accelerators.profiles import PROFILES, profile
from tasks.base.errors import OutsideError, SpecError
from tasks.nodes.facts import quantity
from tasks.objects.labels import KIND_LABEL
from tasks.objects.pods import ReadObject
from tasks.outside.kubernetes.client import Cluster
from tasks.release.state import State, states_in
from tasks.spec.file import parse_spec

MODEL = "owner/name"
# what an engine's image may be where nobody said one; of other vendors there is no public one that
# fits every driver
IMAGES = {"nvidia-gpu": "vllm/vllm-openai:v0.11.0"}
IMAGE = "registry.example.com/vllm:choose-one"
STORE = "/var/lib/model-rollout/models"
RUNNER = "model-rollout:0.1.0"


@dataclass(frozen=True)
class Offer:
    """What a cluster has for a rollout. accelerator: the profile of most devices; resource and
    devices (on the node that has most), '' and 0 for none; nodes: that have some. card: the model
    as its labels say it, '' unknown. store, runner: as other rollouts there have it, '' unknown."""

    accelerator: str = ""
    resource: str = ""
    devices: int = 0
    nodes: int = 0
    card: str = ""
    store: str = ""
    runner: str = ""


def offer_of(
    nodes: Sequence[ReadObject], specs: Iterable[Mapping[str, Any]] = (), wanted: str = ""
) -> Offer:
    """What these nodes offer. specs: of other rollouts there, without their defaults. wanted: the
    accelerator that is meant, '' for that of most devices."""
    total: Counter[tuple[str, str]] = Counter()
    most: dict[tuple[str, str], list[int]] = {}
    cards: dict[str, str] = {}
    for node in nodes:
        found = (node.get("status") or {}).get("allocatable") or {}
        for name, amount in found.items():
            row = next((r for r in PROFILES.values() if _whole(r.name, name)), None)
            if row is None or not (count := int(quantity(str(amount)))):
                continue
            total[row.name, name] += count
            most.setdefault((row.name, name), []).append(count)
            labels = node["metadata"].get("labels") or {}
            card = next((labels[key] for key in row.labels.model if key in labels), "")
            cards.setdefault(row.name, card)
    store, runner = _usual(specs, "store", "path"), _usual(specs, "runner", "image")
    best = [key for key, _ in total.most_common() if wanted in ("", key[0])]
    if not best:
        plain = wanted or ("cpu" if nodes else "")
        return Offer(plain, nodes=len(nodes), store=store, runner=runner)
    accelerator, resource = best[0]
    counts = most[best[0]]
    card = cards[accelerator]
    return Offer(accelerator, resource, max(counts), len(counts), card, store, runner)


def _whole(name: str, resource: str) -> bool:
    found = profile(name).resource_kind(resource)
    return found is not None and found.kind in ("whole", "named")


def _usual(specs: Iterable[Mapping[str, Any]], part: str, key: str) -> str:
    given = Counter(str((spec.get(part) or {}).get(key) or "") for spec in specs)
    given.pop("", None)
    return next((value for value, _ in given.most_common(1)), "")


def _scalar(text: str) -> str:
    """As YAML reads it back: `null`, `on` or `1e3` can be names, too."""
    return yaml.safe_dump(text, width=len(text) + 2).removesuffix("...\n").strip()


def starter(name: str, namespace: str, offer: Offer, model: str = "") -> str:
    """The spec's text. offer: what the cluster has; where it has no nodes, it was not asked."""
    accelerator = offer.accelerator or "nvidia-gpu"
    many = profile(accelerator).has_devices
    if not offer.nodes:
        seen = f"no cluster answered: one of {', '.join(PROFILES)}"
    elif offer.resource:
        seen = f"{offer.nodes} node(s) with up to {offer.devices} {offer.resource}"
    else:
        seen = f"{offer.nodes} node(s)"
    card = f"model: {_scalar(offer.card)}" if offer.card else "# model: K100_AI"
    of_all = f"; a node has up to {offer.devices}" if offer.devices else ""
    rows = [
        (f"# A rollout of {name}. `rollout explain FIELD` says what a field means,", ""),
        ("# `rollout validate` checks this file, `rollout plan` asks the cluster.", ""),
        (f"name: {_scalar(name)}", ""),
        (f"namespace: {_scalar(namespace)}", ""),
        ("", ""),
        ("model:", ""),
        (f"  id: {_scalar(model or MODEL)}", "" if model else "on ModelScope: put yours here"),
        ("  revision: master", "a branch, a tag or a commit"),
        ("", ""),
        ("nodes:", ""),
        (f"  accelerator: {accelerator}", seen),
        *([(f"  {card}", "every card must be one; leave it out to take any")] if many else []),
        ("", ""),
        ("store:", ""),
        (f"  path: {_scalar(offer.store or STORE)}", "where weights lie on each node"),
        ("", ""),
        ("serving:", ""),
        (f"  image: {IMAGES.get(accelerator, IMAGE)}", "vLLM for these nodes, best by digest"),
        *([("  tensor_parallel_size: 1", f"cards a replica{of_all}")] if many else []),
        ("  max_model_len: 8192", "tokens of a request and its answer"),
        ("  resources: {cpu: '4', memory: 32Gi}", "of each replica"),
        ("", ""),
        ("runner:", ""),
        (f"  image: {_scalar(offer.runner or RUNNER)}", "this project's, in your registry"),
        ("", ""),
        ("smoke:", ""),
        ("  - prompt: What is the capital of France?", ""),
        ("    contains: [Paris]", ""),
        ("", ""),
        ("benchmark:", ""),
        ("  loads:", ""),
        ("    - {name: single, concurrency: 1}", ""),
        ("    - {name: busy, concurrency: 16}", ""),
        ("", ""),
        ("# what it must meet to serve: these are examples, docs/metrics.md has every name", ""),
        ("targets:", ""),
        ("  - {metric: ttft_p95_ms, limit: 1000, load: single}", ""),
        ("  - {metric: output_throughput_tok_s, limit: 100, load: busy}", ""),
        ("  - {metric: success_rate_percent, limit: 99}", ""),
        ("", ""),
        ("promotion:", ""),
        ("  approval: none", "before-promote: a person decides about what passed"),
        ("  # allow_interruption: true", "where there is no room beside what serves"),
        ("  soak: {duration_s: 300}", "how long it is watched after the switch"),
    ]
    return "".join(f"{line}   # {note}\n" if note else f"{line}\n" for line, note in rows)


def seen_there(kubeconfig: str | None, context: str | None, wanted: str) -> Offer:
    """What the cluster offers; no nodes where it does not answer. Raises SpecError for a kubeconfig
    that was named and cannot be used."""
    try:
        with Cluster.connect(kubeconfig, context, timeout_s=5, patience_s=2) as cluster:
            return offer_of(cluster.list("Node"), list(_specs(cluster)), wanted)
    except OutsideError:
        return Offer(wanted)


def _specs(cluster: Cluster) -> Iterator[Mapping[str, Any]]:
    """Of the rollouts there, as far as this account may read them."""
    with suppress(OutsideError):
        configmaps = cluster.list("ConfigMap", label_selector=f"{KIND_LABEL}=state")
        for _, found in states_in(configmaps):
            if isinstance(found, State):
                yield from (terms.spec for terms in found.terms.values())


def write(
    name: str,
    namespace: str,
    kubeconfig: str | None,
    context: str | None,
    *,
    model: str = "",
    accelerator: str = "",
    file: Path | None = None,
) -> int:
    """Write the spec, and say what is to be done with it. Raises SpecError for a name or a model
    that no spec can have, and for a file that is there; OutsideError where none can be written."""
    if accelerator and accelerator not in PROFILES:
        known = ", ".join(PROFILES)
        raise SpecError([f"--accelerator: no profile '{accelerator}'; there are: {known}"])
    path = file or Path(f"{name}.yaml")
    offer = seen_there(kubeconfig, context, accelerator)
    text = starter(name, namespace, offer, model)
    parse_spec(text, "init")
    try:
        with path.open("x", encoding="utf-8") as opened:
            opened.write(text)
    except FileExistsError as error:
        said = f"{path} is there and is not written over; name another with --file, or move it"
        raise SpecError([said]) from error
    except OSError as error:
        raise OutsideError(f"{path} cannot be written ({error.strerror})") from error
    found = offer.resource or offer.accelerator or "no accelerator"
    where = f"{found} on {offer.nodes} node(s)" if offer.nodes else "no cluster answered"
    say(f"{path}: written ({where}); look through it, then `rollout validate {path}`")
    return 0
