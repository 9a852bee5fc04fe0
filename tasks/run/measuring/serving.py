"""What serves, measured and judged where it serves: by requests of ours, or by its own counters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from tasks.base import clock
from tasks.base.errors import OutsideError, Refused
from tasks.base.progress import Progress
from tasks.measure.harm import Company
from tasks.measure.histograms import of_kinds
from tasks.measure.traffic import between
from tasks.outside.evalscope import bench
from tasks.outside.evalscope.process import LoadGenerator
from tasks.outside.kubernetes.access import reach
from tasks.outside.kubernetes.actor import Actor
from tasks.outside.kubernetes.client import Cluster
from tasks.outside.kubernetes.lease import holder_of
from tasks.outside.prefect import artifacts
from tasks.outside.vllm.metrics import EngineSaid, said_at
from tasks.record.parts import ResolveModel
from tasks.release.plan import bends_figures
from tasks.release.state import Release
from tasks.run.locked import not_held
from tasks.run.measuring.judged import judged, put_on_record
from tasks.run.measuring.neighbours import Engines, GaveWay, Neighbours, nobody
from tasks.run.measuring.rounds import FILES, kept, looking, measured, prompt_lines
from tasks.run.measuring.sitting import Sitting
from tasks.spec.rollout import Rollout
from tasks.verdict.earned import NO_WAY_BACK, Verification, serves_now, verified
from tasks.verdict.from_engine import judge_engine
from tasks.verdict.targets import Decision

VERIFIED = "verified"  # the artifacts of it are called so
AGAIN = "-again"  # behind the folder of a second measurement
ALL_OTHERS = "what was measured are the requests of others, as they came"
LOOK_S = 15.0  # whether somebody began, while engines are only looked at
BENCH_LOOK_S = 1.0


def serving_of(cluster: Cluster, spec: Rollout) -> Release | str:
    """The release that serves and may be measured; or why none may, now. Raises OutsideError,
    Refused for what is another's."""
    actor = Actor(cluster, spec.namespace, spec.name, fence=not_held, epoch=0)
    return serves_now(actor.observe(), holder_of(cluster, spec.namespace, spec.name))


def note_serving(sitting: Sitting, release: Release) -> None:
    """Put on record what is measured."""
    sitting.record.resolve_model = ResolveModel(
        model=release.model,
        revision=release.revision,
        commit=release.commit,
        manifest=release.digest,
        release=release.id,
        deployment=release.deployment,
        image=release.image,
        trust_remote_code=sitting.spec.model.trust_remote_code,
    )


# -- as its spec says


def verify_serving(sitting: Sitting, cluster: Cluster, release: Release) -> Verification:
    """Measure it, and once more where a miss would be acted on, which it is not where it may be
    the doing of others. Raises GaveWay where others come first, OutsideError."""
    verify = sitting.spec.verify
    first, beside = _once(sitting, cluster, release, "")
    found = verified(first, beside=beside)
    if found.word != "missed" or verify.on_miss != "roll-back":
        return found
    if doubt := beside.doubt:
        said = f"{first.reason}; {NO_WAY_BACK}: {doubt}"
        return replace(found, sentence=said)
    clock.sleep(verify.confirm_after_s)
    try:
        second, beside = _once(sitting, cluster, release, AGAIN)
        return verified(first, second, beside)
    except (GaveWay, OutsideError) as error:
        return replace(found, sentence=f"{found.sentence}; not measured a second time: {error}")


def _once(
    sitting: Sitting, cluster: Cluster, release: Release, nth: str
) -> tuple[Decision, Company]:
    """A measurement, and who asked beside it."""
    spec, engines = sitting.spec, Engines(cluster, sitting.spec, release)
    if spec.verify.source == "engine":
        found, company = by_engine(sitting, engines), Company(unknown=ALL_OTHERS)
    else:
        must_be_straight(spec)
        own = spec.benchmark.loads[0].concurrency
        beside = Neighbours(engines, engines.taken, own=own, every_s=spec.verify.interval_s)
        seqs = spec.serving.max_num_seqs
        beside.begin(seqs * release.replicas if seqs else None)
        with reach(cluster, spec, spec.name, release.id) as here:
            target = bench.EngineTarget(here.url, release.served_name)
            found = by_requests(sitting, target, beside, release.replicas, nth)
        company = beside.company
    now = serving_of(cluster, spec)
    if isinstance(now, str) or now.id != release.id:
        other = now if isinstance(now, str) else f"{now.deployment} serves by now"
        raise GaveWay(f"what was measured is not what serves any more: {other}")
    return found, company


# -- how


def must_be_straight(spec: Rollout) -> None:
    """Raises Refused where the way to what serves bends its figures."""
    if reason := bends_figures(spec):
        raise Refused(reason)


def by_requests(
    sitting: Sitting,
    target: bench.EngineTarget,
    beside: Neighbours,
    replicas: int | None,
    nth: str = "",
) -> Decision:
    """By rounds of requests. beside: what ends them. replicas: how many answer. Raises GaveWay,
    OutsideError."""
    spec, files = sitting.spec, f"{FILES}{nth}"
    folder = sitting.folder / files
    with sitting.step("benchmark"), LoadGenerator(folder / bench.LOG, beside) as child:
        rounds = bench.measure(
            target,
            None,
            spec.benchmark,
            decide=looking(spec),
            out_dir=folder,
            on_progress=artifacts.ProgressArtifact(sitting.key("benchmark"), "benchmark").tell,
            lines=prompt_lines(spec),
            generator=child,
        )
        sitting.record.benchmark = kept(
            sitting.folder, spec, rounds, replicas=replicas, files=files, note=beside.note
        )
        sitting.say("; ".join(filter(None, (measured(spec, rounds), beside.note))))
    with sitting.step("judge"):
        found = judged(sitting.record, spec, rounds, None, sitting.folder, sitting.key(VERIFIED))
        sitting.say(f"{found.verdict}: {found.reason}")
    return found


def by_engine(sitting: Sitting, engines: Engines) -> Decision:
    """By what the engines count between two looks. Raises GaveWay, OutsideError."""
    spec, window_s = sitting.spec, sitting.spec.verify.window_s
    told = artifacts.ProgressArtifact(sitting.key("benchmark"), "engine").tell
    with sitting.step("benchmark"):
        before, began = engines(), clock.monotonic()
        while (left := began + window_s - clock.monotonic()) > 0:
            done = round(window_s - left)
            told(Progress("benchmark", "running", "", "looking", done, round(window_s), "s"))
            clock.sleep(min(left, LOOK_S))
            if by := engines.taken():
                raise GaveWay(f"{by} began, and comes first")
        now = engines()
        found = counted(spec, before, now)
        sitting.say(f"looked at {len(now)} engine(s) for {window_s:g} s")
    with sitting.step("judge"):
        put_on_record(sitting.record, found, sitting.key(VERIFIED))
        sitting.say(f"{found.verdict}: {found.reason}")
    return found


def counted(
    spec: Rollout, before: Mapping[str, EngineSaid], now: Mapping[str, EngineSaid]
) -> Decision:
    """The verdict from two looks at the engines, by name."""
    changed = sorted(before.keys() ^ now.keys())
    looks = [(before[n].histograms, now[n].histograms) for n in now if n in before]
    traffic = between(
        {name: item.counters for name, item in before.items()},
        {name: item.counters for name, item in now.items()},
    )
    seen = of_kinds(looks) if not (changed or traffic.again) else None
    if seen is None:
        why = ", ".join(changed or traffic.again) or "one of them"
        return Decision("inconclusive", True, f"engines came, went or began anew: {why}", ())
    return judge_engine(spec.targets, seen, traffic)


# -- by hand


def bench_serving(sitting: Sitting, cluster: Cluster, release: Release) -> Decision:
    """All loads of the spec, until others wait. Raises GaveWay, OutsideError."""
    spec = sitting.spec
    must_be_straight(spec)
    engines = Engines(cluster, spec, release)
    with reach(cluster, spec, spec.name, release.id) as here:
        target = bench.EngineTarget(here.url, release.served_name)
        return _by_hand(sitting, target, engines, engines.taken, release.replicas)


def bench_url(sitting: Sitting, url: str) -> Decision:
    """The same of an engine by its address, without /v1; no cluster is asked."""
    address = url.rstrip("/").removesuffix("/v1")
    target = bench.EngineTarget(address, sitting.spec.served_name)
    return _by_hand(sitting, target, lambda: {address: said_at(address)}, nobody, None)


def _by_hand(
    sitting: Sitting,
    target: bench.EngineTarget,
    look: Callable[[], Mapping[str, EngineSaid]],
    taken: Callable[[], str],
    replicas: int | None,
) -> Decision:
    """A person has asked for these loads, and their own queue is theirs: others' is looked at,
    where anybody can look, and else said to be unknown."""
    loads = [load.concurrency for load in sitting.spec.benchmark.loads]
    own = None if None in loads else max(filter(None, loads))
    beside = Neighbours(look, taken, own=own, every_s=BENCH_LOOK_S, alone=True)
    beside.begin(None, blind=True)
    found = by_requests(sitting, target, beside, replicas)
    return replace(found, reason="; ".join(filter(None, (found.reason, beside.note))))
