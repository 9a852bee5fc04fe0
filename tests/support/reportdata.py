"""A rollout as it might have been: rounds drawn from laws, judged by the real judge."""

from __future__ import annotations

import math
import random
from dataclasses import asdict
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

from hypothesis import strategies as st

from tasks.measure.round import ClientHealth, RequestRow, Round, ServerView
from tasks.record.record import read
from tasks.report.page import render
from tasks.report.words.speech import PageLanguage
from tasks.spec.rollout import Benchmark, LoadPoint, Target
from tests.support.rounds import decide, make_round

VOID = {"meta", "img", "br"}
EVIL = "<script>alert('x')</script>\"'><img src=x onerror=alert(1)>\x00\ud800"
# load point: (concurrency, median TTFT s, sigma of its log, seconds a token)
LAWS = {
    "c1": (1, 0.16, 0.10, 0.018),
    "c8": (8, 0.27, 0.22, 0.024),
    "c32": (32, 0.62, 0.38, 0.045),
}
LOADS = [LoadPoint(name=name, concurrency=law[0]) for name, law in LAWS.items()]
TARGETS = [
    Target(metric="ttft_mean_ms", limit=900),
    Target(metric="ttft_p95_ms", limit=600),
    Target(metric="tpot_mean_ms", limit=60),
    Target(metric="output_throughput_tok_s", limit=450, load="c32"),
    Target(metric="goodput_percent", limit=90, goodput_ttft_ms=500, advisory=True),
]


# what a document may hold that nobody of ours wrote
_SCALARS = st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5)
JUNK = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)


def closed_loop(
    index: int, load: str, *, at: float, requests: int, tokens: int, seed: int,
    release: str = "candidate", problems: tuple[str, ...] = (), failing: float = 0.0,
) -> Round:  # fmt: skip
    """One closed-loop round of a load point, from a given moment on."""
    draw = random.Random(f"{seed}/{load}/{index}/{release}")
    width, median, sigma, gap = LAWS[load]
    noise = math.exp(draw.gauss(0, 0.05)) * (1.1 if release == "stable" else 1.0)
    free = [at + 0.002 * slot for slot in range(width)]
    rows = []
    for _ in range(requests):
        slot = min(range(width), key=lambda i: free[i])
        start = free[slot]
        ttft = median * noise * math.exp(draw.gauss(0, sigma))
        length = max(2, round(tokens * draw.uniform(0.6, 1.4)))
        itl = tuple(gap * noise * math.exp(draw.gauss(0, 0.2)) for _ in range(length - 1))
        ok = draw.random() >= failing
        end = start + ttft + sum(itl) + 1e-4
        free[slot] = end
        if ok:
            rows.append(RequestRow(start, end, ttft, itl, 60, length, True))
        else:
            rows.append(RequestRow(start, end, None, (), 0, 0, False, "HTTP 500"))
    rows.sort(key=lambda row: row.start)
    busy = [row.start for row in rows[min(width, len(rows) - 1) :]] or [rows[0].start]
    window = (rows[min(width, len(rows)) - 1].start + median, busy[-1])
    if window[1] <= window[0]:
        window = (rows[0].start, rows[-1].end)
    good = [row.ttft for row in rows if row.ttft is not None]
    return make_round(
        index,
        rows=rows,
        load=load,
        release=release,
        seed=seed + index,
        window=window,
        client=ClientHealth(0.004, 0.21),
        server=ServerView(True, sum(good) / len(good) if good else None, len(good), None, 0.0),
        problems=problems,
    )


def rounds(
    count: int = 6, requests: int = 64, tokens: int = 48, *, ab: bool = False, seed: int = 7
) -> tuple[Round, ...]:
    """`count` rounds at every load point, one after the other; one of them not to be believed."""
    out, at = [], 1000.0
    for index in range(count):
        for load in LAWS:
            bad = ("1 container restart(s) of the candidate during the round",)
            for release in ("candidate", "stable") if ab else ("candidate",):
                item = closed_loop(
                    index, load, at=at, requests=requests, tokens=tokens, seed=seed,
                    release=release, problems=bad if (index, load) == (3, "c8") else (),
                )  # fmt: skip
                out.append(item)
                at = max(row.end for row in item.rows) + 2.0
    return tuple(out)


def brief(item: Round) -> dict[str, Any]:
    """A round as the record keeps it."""
    out = asdict(item)
    out["requests"] = len(out.pop("rows"))
    return {**out, "succeeded": sum(row.ok for row in item.rows)}


def record(measured: tuple[Round, ...] = (), **changes: Any) -> dict[str, Any]:
    """The record of a rollout that ended with those rounds."""
    bench = Benchmark(loads=LOADS, min_rounds=2)
    decision = decide(measured, TARGETS, bench)
    said = f"{decision.reason}; removed candidate qwen-7cf96bea02"
    seconds = {
        "resolve_model": 1.2, "validate_nodes": 21.4, "plan": 0.1, "fetch_weights": 412.0,
        "deploy": 154.8, "smoke": 2.3, "benchmark": 731.0, "judge": 5.9, "roll_back": 3.4,
    }  # fmt: skip
    node = {
        "usable": True, "driver": "6.2.26", "cards": "8 × K100_AI, 64 GiB", "reasons": [],
        "cpu": "128 cores, 1,006 GiB, avx2", "resource": "hygon.com/dcu",
    }  # fmt: skip
    low = {
        "code": "DISK_FULL", "severity": "error", "found": "12 GiB free",
        "expected": "at least 21 GiB", "action": "free the disk",
    }  # fmt: skip
    out: dict[str, Any] = {
        "schema": 2,
        "kind": "rollout",
        "rollout": "20261123T101500-29e2b0",
        "name": "qwen",
        "namespace": "models",
        "who": "ops@head",
        "why": "a new commit on the hub",
        "started": "2026-11-23T10:15:00+00:00",
        "finished": "2026-11-23T10:37:12+00:00",
        "cluster": "https://10.0.0.1:6443",
        "spec": {
            "name": "qwen",
            "benchmark": bench.model_dump(mode="json"),
            "targets": [t.model_dump(mode="json", exclude_none=True) for t in TARGETS],
        },
        "steps": [
            {"step": step, "state": "done", "seconds": s, "sentence": f"{step} went well"}
            for step, s in seconds.items()
        ],
        "resolve_model": {
            "model": "Qwen/Qwen2.5-7B-Instruct",
            "revision": "master",
            "commit": "2fe026c38ddb4fd9bdaedb86d9db3740fb27ffef",
            "manifest": "sha256:" + "9b710a66" * 8,
            "files": 14,
            "bytes": 15_242_695_000,
            "release": "7cf96bea02",
            "deployment": "qwen-7cf96bea02",
            "image": "vllm-dcu:0.9.2",
        },
        "validate_nodes": {
            "nodes": [
                {"name": "dcu-1", **node},
                {"name": "dcu-2", **node},
                {"name": "dcu-3", **node, "usable": False, "reasons": [low]},
            ]
        },
        "plan": {
            "strategy": "parallel",
            "sentence": "test qwen-7cf96bea02 beside what serves, then move the Service to it",
            "serving": "qwen-11aa22bb33",
            "interruption": "none",
            "approval": "none",
            "bytes_to_fetch": 30_485_390_000,
            "devices_needed": 1,
            "devices_free": 6,
            "resource": "hygon.com/dcu",
            "differences": ["image: vllm-dcu:0.8.5 → vllm-dcu:0.9.2", "commit: 11aa22b → 2fe026c"],
            "digest": "677269b5e246c55c",
        },
        "deploy": {
            "pods": [{"name": "qwen-7cf96bea02-876127c573-989fe", "node": "dcu-1"}],
            "image_digests": ["registry/vllm-dcu@sha256:" + "ab" * 32],
        },
        "smoke": {
            "how": "cluster address",
            "url": "http://10.96.4.7:8000",
            "checks": [
                {"name": "model", "ok": True, "found": "Qwen2.5-7B", "expected": "Qwen2.5-7B"},
                {"name": "answer", "ok": True, "found": "'The capital of France is Paris.'",
                 "expected": "contains 'Paris'"},
            ],
        },
        "benchmark": {"rounds": [brief(item) for item in measured]},
        "judge": {
            "verdict": decision.verdict,
            "targets": [asdict(item) for item in decision.targets],
            "gate": {"success": False, "result": {
                "targets": {"success": False, "results": [
                    {"success": False, "expectation_config": {
                        "type": "expect_column_values_to_be_between",
                        "kwargs": {"column": "ttft_p95_ms at c32: high", "max_value": 800.0}}},
                    {"success": True, "expectation_config": {"type": "x", "kwargs": {}}}]},
                "requests": {"success": True, "results": [{"success": True}]}}},
            "data_docs": "/records/qwen/1/data-docs/index.html",
        },
        "versions": {"model-rollout": "0.1.0", "evalscope": "1.14.1", "prefect": "3.8.8"},
        "record": "/records/qwen/1/record.json",
        "outcome": "failed" if decision.verdict == "fail" else "inconclusive",
        "sentence": said,
        "exit_code": 3,
    }  # fmt: skip
    out.update(changes)
    return out


class Page(HTMLParser):
    """Checks that elements nest, and collects what is asked about."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.words)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.elements if name == tag]


def parse(text: str) -> ElementTree.Element:
    """A figure as its elements."""
    return ElementTree.fromstring(text)


def position(element: ElementTree.Element, key: str) -> float:
    """Where an attribute in percent places it."""
    return float(str(element.get(key)).rstrip("%"))


def page(data: dict[str, Any], measured: tuple[Round, ...], language: PageLanguage = "en") -> str:
    """The report of a record as it would be read from disk."""
    return render(read(data), measured, language)
