"""The benchmark: rounds of load against a candidate, as plain rows.

evalscope does the load (bench_child, in its own process); tasks.measure.protocol says what, how
much and what is believed; the judge says when it is enough.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tasks.base import clock, progress
from tasks.base.progress import Progress
from tasks.measure.engine_view import cross_check, view
from tasks.measure.protocol import (
    WARMUP_BATCH,
    WARMUP_BATCHES,
    Decide,
    Spent,
    client_health,
    early_ends,
    ramp,
    requests_of_round,
    row_problems,
    stagger,
    steady,
)
from tasks.measure.round import RequestRow, Round
from tasks.measure.workload import Prompt, TokenRates, derive_seed, make_prompts
from tasks.outside.evalscope.bench_child import MEASURED, REQUEST_ID_KEY
from tasks.outside.evalscope.orders import Advanced, LoadOrder
from tasks.outside.evalscope.process import (
    EngineTarget,
    LoadGenerator,
    RunFiles,
    duration,
    request_timeout,
)
from tasks.outside.evalscope.rates import measure_rates
from tasks.outside.evalscope.rows import RowsRead, peak_in_flight, read_rows, steady_window
from tasks.spec.measure import Benchmark, LoadPoint, Workload

__all__ = ["EngineTarget", "LoadGenerator", "measure", "run_round"]

OnProgress = Callable[[Progress], None]
ROUND_TIMEOUT_S = 3600.0
LEAST_TIMEOUT_S = 400.0  # finds a hanging engine; the budget is kept by the number of rounds
LOG = "evalscope.log"


@dataclass(frozen=True)
class BenchSettings:
    """Whom to ask what in a round, and where its files go.

    index: of the round. base_seed: of the whole measurement. timeout_s: for each run of the load
    generator. rates: tokens of the engine's tokenizer. lines: the prompt file's, for profile
    'file'.
    """

    target: EngineTarget
    load: LoadPoint
    workload: Workload
    release: str
    index: int
    base_seed: int
    out_dir: Path
    timeout_s: float = ROUND_TIMEOUT_S
    on_progress: OnProgress = progress.emit
    rates: TokenRates = field(default_factory=TokenRates)
    lines: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """Of this round's files."""
        return self.out_dir / f"r{self.index:03d}-{self.load.name}-{self.release}"

    def prompts(self, purpose: str, count: int) -> list[Prompt]:
        """Prompts of one purpose in this round; no other purpose or round has them."""
        seed = derive_seed(self.base_seed, self.index, self.load.name, purpose)
        return make_prompts(self.workload, seed, count, rates=self.rates, lines=self.lines)


def run_round(
    child: LoadGenerator,
    settings: BenchSettings,
    *,
    requests: int,
    warmup_requests: int | None,
) -> Round:
    """Measure one round at one load point.

    requests: measured ones, at least (four times the concurrency, for a steady part).
    warmup_requests: sent and forgotten before the round; None: until two batches agree. In closed
    loop a ramp of one request a slot precedes the measured ones in any case. Whatever goes wrong
    with engine or client is in the round's problems; raises OutsideError only where no load
    generator can be started.
    """
    problems = _warm_up(child, settings, warmup_requests)
    return _measured(child, settings, requests_of_round(requests, settings.load), problems)


def _warm_up(child: LoadGenerator, settings: BenchSettings, asked: int | None) -> list[str]:
    """Send warm-up requests; asked None: until two successive batches agree, bounded."""
    if asked is not None:
        if asked:
            _run(child, settings, "warm-up", [], settings.prompts("warm-up", asked))
        return []
    size = max(WARMUP_BATCH, settings.load.concurrency or 0)
    before: Sequence[RequestRow] = ()
    for batch in range(WARMUP_BATCHES):
        purpose = f"warm-up-{batch}"
        read, _, _ = _run(child, settings, purpose, [], settings.prompts(purpose, size))
        if batch and steady(before, read.rows):
            return []
        if not any(row.ok for row in read.rows):
            return []  # the round itself will say so, with its reasons
        before = read.rows
    return [f"the engine was not steady after {WARMUP_BATCHES} warm-up batches of {size} requests"]


def _measured(
    child: LoadGenerator, settings: BenchSettings, requests: int, problems: list[str]
) -> Round:
    ramping = stagger(settings.prompts("ramp", ramp(settings.load)))
    prompts = settings.prompts("measured", requests)
    with settings.target.watch() if settings.target.watch else nullcontext([]) as samples:
        read, files, lengths = _run(child, settings, "measured", ramping, prompts)
    window = steady_window(read.rows, settings.load.concurrency)
    seen, span = view(samples, window)
    health = client_health(read.rows, window, files.lags, files.cpu, settings.load.rate)
    found = [*problems, *read.problems, *row_problems(read.rows)]
    if files.error:
        found.append(files.error)
    if settings.workload.ignore_eos:
        found += early_ends(read.rows, lengths)
    found += cross_check(seen, span, read.rows)
    if settings.load.concurrency and 0 < peak_in_flight(read.rows) < settings.load.concurrency:
        found.append(
            f"only {peak_in_flight(read.rows)} of {settings.load.concurrency} requests were in "
            "flight at once, so the load point was not reached"
        )
    return Round(
        index=settings.index,
        load=settings.load.name,
        release=settings.release,
        seed=derive_seed(settings.base_seed, settings.index, settings.load.name, "measured"),
        rows=read.rows,
        window=window,
        client=health,
        server=seen,
        problems=tuple(found),
    )


def _run(
    child: LoadGenerator,
    settings: BenchSettings,
    purpose: str,
    ramping: list[Prompt],
    prompts: list[Prompt],
) -> tuple[RowsRead, RunFiles, list[int]]:
    """One run of evalscope; also the output length asked of each row."""
    folder = settings.folder / purpose
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "benchmark_data.db").unlink(missing_ok=True)  # evalscope refuses to write over one
    tail = f"{purpose}-r{settings.index}-{settings.load.name}-{settings.release}"
    named = {f"w{i:05d}-{tail}": prompt for i, prompt in enumerate(ramping)}
    named |= {f"{MEASURED}{i:05d}-{tail}": prompt for i, prompt in enumerate(prompts)}
    bodies = (json.dumps(_body(name, p, settings.workload)) for name, p in named.items())
    file = folder / "prompts.jsonl"
    file.write_text("\n".join(bodies) + "\n", encoding="utf-8")
    order = LoadOrder(
        url=f"{settings.target.url.rstrip('/')}/v1/chat/completions",
        model=settings.target.model,
        api_key_env=settings.target.api_key_env,
        prompts=str(file),
        number=len(prompts),
        warmup=len(ramping),
        concurrency=settings.load.concurrency,
        rate=settings.load.rate,
        temperature=settings.workload.temperature,
        seed=derive_seed(
            settings.base_seed, settings.index, settings.load.name, f"{purpose} arrivals"
        ),
        break_after=max(16, 2 * (settings.load.concurrency or 0)),
        break_after_timeouts=max(2, settings.load.concurrency or 8),
        out_dir=str(folder),
        request_timeout_s=request_timeout(settings.timeout_s),
        duration_s=duration(settings.timeout_s),
    )
    doing = "measuring" if purpose == "measured" else "warming up"
    told = Progress(
        "benchmark",
        "running",
        settings.load.name,
        f"{doing} {settings.release}, round {settings.index + 1}",
        0,
        len(prompts),
        "requests",
    )
    settings.on_progress(told)

    def on_event(event: Advanced) -> None:
        settings.on_progress(replace(told, done=event.done, figures=event.figures))

    files = child.run(order, timeout_s=settings.timeout_s, on_event=on_event)
    unsent = frozenset(name for name in files.unsent if name.startswith(MEASURED))
    sent = len(prompts) if files.sent is None else files.sent + len(unsent)
    read = read_rows(files.database, errors=files.errors, unsent=unsent, expected=sent)
    settings.on_progress(replace(told, done=len(read.rows)))
    lengths = [named[name].output_tokens if name in named else 0 for name in read.ids]
    return read, files, lengths


def _body(name: str, prompt: Prompt, workload: Workload) -> dict[str, Any]:
    """A request body; evalscope fills in the rest (model, stream, usage)."""
    forced = {"min_tokens": prompt.output_tokens, "ignore_eos": True} if workload.ignore_eos else {}
    return {
        "messages": [{"role": "user", "content": prompt.text}],
        "max_tokens": prompt.output_tokens,
        **forced,
        "temperature": workload.temperature,
        REQUEST_ID_KEY: name,
    }


def measure(
    candidate: EngineTarget,
    stable: EngineTarget | None,
    bench: Benchmark,
    *,
    decide: Decide,
    out_dir: Path,
    on_progress: OnProgress = progress.emit,
    check: Callable[[], list[str]] | None = None,
    lines: Iterable[str] = (),
    generator: LoadGenerator | None = None,
) -> tuple[Round, ...]:
    """Rounds at every load point until `decide` says stop, the budget or max_rounds is reached.

    With a stable target both releases answer the same prompts in random order within each round.
    decide: called with all rounds after each full one; heeded from min_rounds on. check: health
    problems of the candidate (restarts, throttling) since the round began; they become problems
    of its rounds. lines: the prompt file's lines for profile 'file'. generator: an open one to
    use. A round in which the candidate answered nothing at all is the last.
    Raises OutsideError only where no load generator can be started.
    """
    base_seed = bench.seed if bench.seed is not None else clock.rng().getrandbits(63)
    rng = clock.rng()
    targets = [("candidate", candidate)] + ([("stable", stable)] if stable else [])
    rates = {release: measure_rates(target, bench.workload) for release, target in targets}
    kept = tuple(lines)
    began, rounds = clock.monotonic(), list[Round]()
    requests = tokens = 0
    with ExitStack() as stack:
        child = generator or stack.enter_context(LoadGenerator(out_dir / LOG))
        for index in range(bench.max_rounds):
            started = clock.monotonic()
            fresh: list[Round] = []
            for load in bench.loads:
                for release, target in rng.sample(targets, len(targets)):
                    left = bench.budget.seconds - (clock.monotonic() - began)
                    fresh.append(
                        run_round(
                            child,
                            BenchSettings(
                                target,
                                load,
                                bench.workload,
                                release,
                                index,
                                base_seed,
                                out_dir,
                                min(ROUND_TIMEOUT_S, max(LEAST_TIMEOUT_S, left)),
                                on_progress,
                                rates[release],
                                kept,
                            ),
                            requests=bench.requests_per_round,
                            warmup_requests=0 if index else bench.warmup_requests,
                        )
                    )
            rounds += _checked(fresh, check() if check else [])
            requests += sum(len(r.rows) + ramp(_load(bench, r.load)) for r in fresh)
            tokens += sum(x.prompt_tokens + x.completion_tokens for r in fresh for x in r.rows)
            now = clock.monotonic()
            # the time one more round will take counts as spent: a budget is not to be overrun
            spent = Spent(now - began + (now - started), requests, tokens)
            answered = any(row.ok for r in fresh if r.release == "candidate" for row in r.rows)
            decision = decide(rounds)
            if decision.stop and index + 1 >= bench.min_rounds:
                said = decision.reason
            elif not answered:
                said = "the candidate answered no request of the last round"
            else:
                said = spent.over(bench.budget)
            if said or index + 1 == bench.max_rounds:
                said = said or f"all {bench.max_rounds} rounds are done"
                on_progress(
                    Progress("benchmark", "done", message=said, done=len(rounds), unit="rounds")
                )
                break
    return tuple(rounds)


def _checked(fresh: Sequence[Round], problems: Sequence[str]) -> list[Round]:
    return [
        replace(r, problems=(*r.problems, *problems)) if r.release == "candidate" else r
        for r in fresh
    ]


def _load(bench: Benchmark, name: str) -> LoadPoint:
    return next(load for load in bench.loads if load.name == name)
