"""Repeated verdicts on real vLLM: how many are right when the truth is known.

The demo's model is served once and benchmarked again and again, each repetition with fresh
prompts. The truth is the figure over all repetitions; the verdict of each repetition is then asked
at targets 15 % inside, at, and 15 % outside that truth. `python -m tests.bench real_engine`.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from deployments.local.model import ensure_model
from deployments.local.stack import ROOT, engine_python, free_port
from tasks.measure.round import Round
from tasks.outside.evalscope.bench import EngineTarget, LoadGenerator, measure
from tasks.outside.vllm.metrics import watch
from tasks.render.release import engine_args
from tasks.report import rows as round_rows
from tasks.spec.file import read_spec
from tasks.spec.measure import Benchmark, Target
from tasks.spec.rollout import Rollout
from tasks.verdict import targets as judge
from tasks.verdict.rounds import why_not

SPEC = ROOT / "deployments" / "models" / "smollm2-135m-cpu.yaml"
METRICS = ("ttft_mean_ms", "ttft_p50_ms", "ttft_p95_ms", "tpot_mean_ms", "output_throughput_tok_s")
START_S = 900


@contextmanager
def served(spec: Rollout, log: Path) -> Iterator[str]:
    """vLLM with the demo's arguments; gives its address. Raises TimeoutError, naming its log."""
    python = engine_python()
    weights = ensure_model(python, ROOT / ".local" / "models", print)
    port = free_port()
    own = {"--model": weights, "--host": "127.0.0.1", "--port": port}
    args = [arg for arg in engine_args(spec) if arg.split("=")[0] not in own]
    command = [str(python), "-m", "vllm.entrypoints.openai.api_server", *args]
    command += [f"{flag}={value}" for flag, value in own.items()]
    env = {**os.environ, "PATH": f"{python.parent}:{os.environ['PATH']}"}
    env |= {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"}
    with log.open("wb") as out:
        engine = subprocess.Popen(
            command, env=env, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
        )
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + START_S
        while not _up(url):
            if engine.poll() is not None or time.monotonic() > deadline:
                raise TimeoutError(f"vLLM did not become ready; its log is {log}")
            time.sleep(1)
        yield url
    finally:
        with suppress(ProcessLookupError):
            os.killpg(engine.pid, signal.SIGTERM)
        engine.wait()


def _up(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


class _GoOn:
    """Measure all rounds: when to stop is asked afterwards, at each target."""

    stop = False
    reason = ""


def collect(spec: Rollout, bench: Benchmark, repeats: int, folder: Path) -> list[tuple[Round, ...]]:
    """All rounds of every repetition; kept in `folder`, where those that are there are taken."""
    out: list[tuple[Round, ...]] = []
    files = [folder / f"{number:02d}.rows" for number in range(repeats)]
    if all(file.exists() for file in files):
        return [round_rows.load(file.read_bytes()) for file in files]
    with served(spec, folder / "vllm.log") as url, LoadGenerator(folder / "evalscope.log") as child:
        name = spec.serving.served_model_name or ""
        target = EngineTarget(url, name, watch=partial(watch, f"{url}/metrics"))
        for number, file in enumerate(files):
            if not file.exists():
                rounds = measure(
                    target,
                    None,
                    bench,
                    decide=lambda _: _GoOn(),
                    out_dir=folder / f"{number:02d}",
                    on_progress=lambda _: None,
                    generator=child,
                )
                file.write_bytes(round_rows.dump(rounds))
            out.append(round_rows.load(file.read_bytes()))
            print(f"repetition {number + 1} of {repeats}: {_words(out[-1])}", flush=True)
    return out


def _words(rounds: Sequence[Round]) -> str:
    doubtful = [why for item in rounds for why in why_not(item)]
    said = f"; {doubtful[0]}" if doubtful else ""
    return f"{len(rounds)} rounds, {sum(len(r.rows) for r in rounds)} requests{said}"


def truth(metric: str, runs: Sequence[Sequence[Round]], bench: Benchmark) -> float:
    """The figure over everything measured, in the metric's unit."""
    rounds = [replace(r, index=i) for i, r in enumerate(r for run in runs for r in run)]
    # one look, at all of it: a decision at an earlier one would be a figure of fewer rounds
    many = bench.model_copy(update={"min_rounds": len(rounds), "max_rounds": len(rounds)})
    found = judge.decide(rounds, [Target(metric=metric, limit=0.0)], many, 1).targets[0]
    if found.measured is None:
        raise ValueError(f"nothing was measured of {metric}: {found.reason}")
    return found.measured


def verdict(rounds: Sequence[Round], target: Target, bench: Benchmark) -> tuple[str, int]:
    """(verdict, requests) as the rollout would have it: after every round, until decided."""
    decision = None
    for count in range(bench.min_rounds, bench.max_rounds + 1):
        upto = [item for item in rounds if item.index < count]
        decision = judge.decide(upto, [target], bench, 1)
        if decision.stop or count == bench.max_rounds:
            return decision.verdict, sum(len(item.rows) for item in upto)
    raise ValueError("no rounds")


def show(runs: Sequence[Sequence[Round]], bench: Benchmark) -> tuple[list[str], int]:
    """Markdown rows, and how many verdicts were wrong."""
    head = "15 % inside | at the truth | 15 % outside"
    lines = [
        f"| metric (truth) | {head} |",
        "| --- | ---: | ---: | ---: |",
    ]
    wrong = 0
    for metric in METRICS:
        true = truth(metric, runs, bench)
        sign = 1 if Target(metric=metric, limit=0.0).parsed.direction == "at_most" else -1
        cells = []
        for shift in (0.15, 0.0, -0.15):
            target = Target(metric=metric, limit=true * (1 + sign * shift))
            ends = [verdict(run, target, bench) for run in runs]
            words = Counter(word for word, _ in ends)
            wrong += words["fail"] if shift > 0 else words["pass"] if shift < 0 else 0
            mean = sum(requests for _, requests in ends) / len(ends)
            said = ", ".join(f"{words[w]} {w}" for w in ("pass", "inconclusive", "fail"))
            cells.append(f"{said} ({mean:.0f})")
        lines.append(f"| {metric} ({true:.4g}) | {' | '.join(cells)} |")
    return lines, wrong


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print the table; 1 when a verdict was wrong 15 % away from the truth."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--requests", type=int, default=24, help="of one round")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--folder", type=Path, help="keep the rows here, and take those there")
    args = parser.parse_args(argv)
    spec = read_spec(SPEC)
    changes = {"requests_per_round": args.requests, "max_rounds": args.rounds, "min_rounds": 3}
    data = {**spec.benchmark.model_dump(), **changes}
    bench = Benchmark.model_validate({**data, "budget": {"seconds": 1e6, "requests": 10**6}})
    with tempfile.TemporaryDirectory(prefix="real-engine-") as folder:
        place = args.folder or Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        runs = collect(spec, bench, args.repeats, place)
    lines, wrong = show(runs, bench)
    print(f"{len(runs)} repeated verdicts (in brackets: mean requests until decided)")
    print("\n".join(lines))
    print(f"{wrong} wrong verdicts 15 % away from the truth")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
