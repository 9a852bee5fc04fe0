"""The cards of a candidate that has loaded: the vendor's tool is run on its nodes once more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from decimal import Decimal
from functools import partial

from tasks.base.errors import RolloutError, StepFailed
from tasks.base.halt import at_once
from tasks.nodes.assess import ApiFacts, NodeVerdict, api_facts, judge_node
from tasks.nodes.memory import weigh
from tasks.nodes.reasons import Reason
from tasks.nodes.rules_host import read_hardware
from tasks.nodes.tools.loaded import Loaded, Share, judge_loaded
from tasks.objects.pods import Object, ready
from tasks.outside.vllm.engine import SmokeCheck
from tasks.record.parts import CardHeld
from tasks.run.findings import Looked, Planned, Survey, fit
from tasks.run.nodes.probing import read_node
from tasks.run.run import Run

EXPECTED = "every card asked for holds the model's share, and is well"
# what of a node's reasons is about the cards as they are now
_OF_CARDS = ("CARD_UNHEALTHY", "CARD_LOST", "SMI_FAILED")
_MIB = 2**20
ZERO = Decimal(0)


def check_cards(run: Run, planned: Planned, pods: Sequence[Object]) -> list[SmokeCheck]:
    """Look at the cards of every node that these pods are ready on: a check a node, and what each
    card holds on record. [] where there are no cards, or the spec wants no look.

    A look that cannot be taken is told and fails nothing: the engine answers.
    """
    survey = planned.survey
    row, spec = survey.profile, run.spec
    if not (row.has_devices and row.smi and spec.nodes.check_loaded):
        return []
    nodes = Counter(pod["spec"]["nodeName"] for pod in pods if ready(pod))
    looks = [partial(_check, run, survey, node, count) for node, count in nodes.items()]
    found = at_once(looks, spec.nodes.probe_parallelism)
    kept = run.record.smoke
    for node, (_, loaded) in zip(nodes, found, strict=True):
        if kept is not None and loaded is not None:
            kept.cards += [CardHeld(node=node, **asdict(card)) for card in loaded.cards]
    return [check for check, _ in found]


def _check(run: Run, survey: Survey, node: str, count: int) -> tuple[SmokeCheck, Loaded | None]:
    name = f"cards {node}"
    try:
        fact = _facts(run, node)
        doc = read_node(run.cluster, survey, fact, run.rollout)
    except (RolloutError, ValueError) as error:
        run.keep_logs(getattr(error, "logs", {}))
        said = f"not looked at: {str(error).splitlines()[0]}"
        return SmokeCheck(name, True, said, EXPECTED), None
    verdict = judge_node(run.spec, survey.profile, fact, doc, 0)
    sick = [reason for reason in verdict.errors if reason.code in _OF_CARDS]
    was = next((item for item in survey.looked if item.verdict.node == node), None)
    cards = read_hardware(survey.profile, doc).inventory.cards
    loaded = judge_loaded(
        cards, _before(was), _share(survey, fact, verdict, count, was is not None)
    )
    return SmokeCheck(name, not (sick or loaded.wrong), _told(loaded, sick), EXPECTED), loaded


def _told(loaded: Loaded, sick: Sequence[Reason]) -> str:
    return "; ".join([*map(str, sick), *filter(None, [loaded.told()])]) or "no card is listed"


def _facts(run: Run, node: str) -> ApiFacts:
    # our account may list nodes and pods, and get neither
    found = run.cluster.list("Node", field_selector=f"metadata.name={node}")
    if not found:
        raise StepFailed(f"node {node} is gone")
    here = run.cluster.list("Pod", field_selector=f"spec.nodeName={node}")
    return api_facts(found[0], here)


def _before(was: Looked | None) -> Mapping[int, float]:
    held = {card.index: card.used for card in (was.cards if was else ())}
    return {index: mib for index, mib in held.items() if mib is not None}


def _share(survey: Survey, now: ApiFacts, judged: NodeVerdict, pods: int, seen: bool) -> Share:
    spec, release = survey.spec, survey.release
    name = judged.resource
    mine = now.held_here(spec.namespace, spec.name, release.id).get(name, ZERO)
    ranks = judged.ranks_per_unit
    shape = fit(survey)
    devices = max(1, spec.devices * ranks)
    files = weigh({entry.path: entry.size for entry in survey.manifest.files})
    known = survey.shape.weights_bytes if survey.shape else files.bytes
    weights = shape.weights_per_device if shape else (known or 0) / devices
    before = next((fact for fact in survey.facts if fact.name == now.name), None)
    others = now.held.get(name, ZERO) - mine
    held = ZERO if before is None else before.held.get(name, ZERO)
    claims = now.claiming or before is None or before.claiming
    free = before is not None and not held and not before.claiming
    return Share(
        asked=pods * devices,
        mib=weights / _MIB if known else None,
        parts=bool(judged.unit) and ranks == 1,
        others=int(others) * ranks,
        free_before=seen and free,
        same_held=seen and not claims and held == others,
        idle_mib=survey.profile.idle_mib,
    )
