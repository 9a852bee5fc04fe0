"""The exact engine keeps its own laws, speaks OpenAI's protocol, and fails only on purpose."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from statistics import correlation, fmean, stdev
from urllib.parse import urlsplit

import httpx
import pytest

from tasks.measure.engine_view import TOKENS, TTFT_COUNT, TTFT_SUM, parse_metrics
from tasks.outside.vllm.engine import Engine, smoke
from tasks.spec.measure import SmokePrompt
from tests.exact_engine import Behaviour, Law, Source, in_thread, loads, spawn
from tests.exact_engine.__main__ import behaviour_of
from tests.exact_engine.run import ROOT

FAST = Behaviour(ttft=Law(mean=0.03), itl=Law(mean=0.004))


def _draws(law: Law, count: int = 20000) -> list[float]:
    source = Source(law, 3)
    return [source.draw() for _ in range(count)]


def test_each_law_has_the_moments_it_names() -> None:
    lognormal = _draws(Law("lognormal", 0.2, sigma=0.5))
    assert fmean(lognormal) == pytest.approx(0.2, rel=0.02)
    bimodal = _draws(Law("bimodal", 0.1, high=0.5, share=0.25))
    assert set(bimodal) == {0.1, 0.5}
    assert fmean(bimodal) == pytest.approx(
        Law("bimodal", 0.1, high=0.5, share=0.25).expected(), rel=0.03
    )
    assert set(_draws(Law("constant", 0.3), 5)) == {0.3}


def test_ar1_is_autocorrelated_and_stationary() -> None:
    draws = _draws(Law("ar1", 1.0, sigma=0.1, rho=0.8))
    assert fmean(draws) == pytest.approx(1.0, rel=0.02)
    assert stdev(draws) == pytest.approx(0.1, rel=0.1)
    assert correlation(draws[1:], draws[:-1]) == pytest.approx(0.8, abs=0.03)


def test_a_drift_goes_from_one_mean_to_the_other() -> None:
    source = Source(Law("drifting", 0.1, high=0.3, over_s=10), 0)
    assert [source.draw(at) for at in (0, 5, 10, 99)] == pytest.approx([0.1, 0.2, 0.3, 0.3])


def test_a_behaviour_survives_json_and_unknown_keys_are_named() -> None:
    odd = Behaviour(ttft=Law("ar1", 0.2, sigma=0.1, rho=0.5), die_after=3)
    assert loads(odd.dumps()) == odd
    with pytest.raises(ValueError, match="tftt"):
        loads('{"tftt": {"mean": 1}}')


def test_tokens_are_written_when_the_law_says() -> None:
    with in_thread(FAST) as (engine, url), httpx.Client(trust_env=False, timeout=60) as http:
        for _ in range(3):
            _ask(http, url, tokens=10)
    for truth in engine.truths:
        late = [w - s for w, s in zip(truth.written, truth.scheduled, strict=True)]
        assert len(truth.written) == 10 and min(late) >= 0
        assert truth.scheduled[0] - truth.admitted == pytest.approx(0.03)
        assert truth.scheduled[-1] - truth.scheduled[0] == pytest.approx(9 * 0.004)


def _ask(http: httpx.Client, url: str, tokens: int = 5, **more: object) -> httpx.Response:
    body = {
        "model": "exact",
        "messages": [{"role": "user", "content": "hello there"}],
        "max_tokens": tokens,
        "ignore_eos": True,
        "stream": True,
        "stream_options": {"include_usage": True},
        **more,
    }
    return http.post(f"{url}/v1/chat/completions", json=body, timeout=60)


def test_smoke_accepts_its_answer() -> None:
    with in_thread(FAST) as (_, url), Engine(url) as engine:
        checks = smoke(engine, "exact", [SmokePrompt(prompt="France?", contains=["paris"])])
        assert all(check.ok for check in checks) and len(checks) == 3
        assert not smoke(engine, "another", [])[0].ok


def test_both_endpoints_with_and_without_streaming_count_the_same() -> None:
    with (
        in_thread(FAST, max_model_len=50) as (_, url),
        httpx.Client(trust_env=False, timeout=60) as http,
    ):
        streamed = _ask(http, url).text.strip().split("\n\n")
        assert streamed[-1] == "data: [DONE]"
        usage = json.loads(streamed[-2][6:])["usage"]
        assert usage == {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
        assert _ask(http, url, stream=False).json()["usage"] == usage
        body = {"model": "exact", "prompt": "hello there", "max_tokens": 5, "ignore_eos": True}
        plain = http.post(f"{url}/v1/completions", json=body).json()
        assert plain["usage"] == usage and plain["choices"][0]["text"]
        assert _ask(http, url, tokens=60).status_code == 400
        natural = _ask(http, url, tokens=40, ignore_eos=False, stream=False).json()
        assert natural["usage"]["completion_tokens"] == 6


def test_metrics_carry_vllms_names_and_count() -> None:
    with in_thread(FAST) as (engine, url), httpx.Client(trust_env=False, timeout=60) as http:
        before = parse_metrics(http.get(f"{url}/metrics").text)
        _ask(http, url)
        after = parse_metrics(http.get(f"{url}/metrics").text)
    assert before[TTFT_COUNT] == 0
    assert (after[TTFT_COUNT], after[TOKENS]) == (1, 5)
    (truth,) = engine.truths
    assert after[TTFT_SUM] == pytest.approx(truth.written[0] - truth.received, abs=0.01)


def test_health_says_yes_while_the_engine_is_wedged() -> None:
    wedged = Behaviour(wedge_after=1)
    body = {"model": "exact", "prompt": "a", "max_tokens": 1}
    with in_thread(wedged) as (_, url), httpx.Client(trust_env=False, timeout=60) as http:
        with pytest.raises(httpx.ReadTimeout):
            http.post(f"{url}/v1/completions", json=body, timeout=httpx.Timeout(60, read=1))
        assert http.get(f"{url}/health").status_code == 200


def test_it_is_sick_from_the_prompt_on_and_its_health_does_not_tell() -> None:
    sick = replace(FAST, sick_on="hello there")
    with in_thread(sick) as (_, url), httpx.Client(trust_env=False, timeout=60) as http:
        assert http.get(f"{url}/v1/models").status_code == 200
        assert _ask(http, url).status_code == 500
        assert http.get(f"{url}/v1/models").status_code == 500
        assert http.get(f"{url}/health").status_code == 200


def _model(folder: Path) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text("{}", encoding="utf-8")
    return folder


def test_it_starts_like_vllm_and_reads_its_laws_from_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = _model(tmp_path / "model")
    with spawn(
        FAST,
        "--model",
        str(model),
        "--served-model-name",
        "m",
        "--max-num-seqs=4",
        "--enforce-eager",
    ) as engine:
        names = httpx.get(f"{engine.url}/v1/models", timeout=60, trust_env=False).json()["data"]
        assert [item["id"] for item in names] == ["m"]
        body = {"model": "m", "prompt": "a", "max_tokens": 3, "ignore_eos": True}
        httpx.post(f"{engine.url}/v1/completions", json=body, timeout=60, trust_env=False)
        engine.stop()
        assert engine.process.returncode == 0
        assert [len(truth.written) for truth in engine.truths()] == [3]
    laws = Behaviour(answer="from the folder")
    (model / "exact_engine.json").write_text(laws.dumps(), encoding="utf-8")
    monkeypatch.delenv("EXACT_ENGINE", raising=False)
    assert behaviour_of(model) == laws


def test_without_a_model_it_ends_with_one_line_and_1(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.exact_engine", "--model", str(tmp_path)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    assert "has no config.json" in ended.stderr and ended.stderr.count("\n") == 1


def test_it_dies_when_told_in_the_middle_of_an_answer() -> None:
    with (
        spawn(Behaviour(ttft=Law(mean=0.01), itl=Law(mean=0.01), die_after=2)) as engine,
        httpx.Client(trust_env=False, timeout=60) as http,
    ):
        assert _ask(http, engine.url).status_code == 200
        with pytest.raises(httpx.RemoteProtocolError):
            _ask(http, engine.url, tokens=6)
        assert engine.process.wait(60) == 1


def test_sigterm_ends_it_cleanly() -> None:
    with spawn(FAST) as engine:
        os.kill(engine.process.pid, signal.SIGTERM)
        assert engine.process.wait(60) == 0


@pytest.mark.parametrize(("flags", "whole"), [((), False), (("--shutdown-timeout=60",), True)])
def test_sigterm_cuts_what_runs_unless_it_was_given_time(
    flags: tuple[str, ...], whole: bool
) -> None:
    slow = Behaviour(ttft=Law(mean=0.05), itl=Law(mean=0.1))
    # six seconds: whoever reads the first may be late
    body = {"model": "exact", "messages": [], "max_tokens": 60, "ignore_eos": True, "stream": True}
    with spawn(slow, *flags) as engine, httpx.Client(base_url=engine.url, timeout=60) as kept:
        assert kept.get("/health").status_code == 200
        lines: list[str] = []
        with suppress(httpx.HTTPError):
            url = f"{engine.url}/v1/chat/completions"
            with httpx.stream("POST", url, json=body, timeout=60) as answer:
                for line in answer.iter_lines():
                    if not lines:
                        engine.process.terminate()
                    lines.append(line)
        assert ("data: [DONE]" in lines) is whole
        assert engine.process.wait(60) == 0
        with pytest.raises(httpx.HTTPError):
            kept.get("/health")


def test_sigterm_lets_an_answer_that_needs_no_token_out() -> None:
    """As uvicorn does, with no time given: the request's head was taken before the signal."""
    data = json.dumps({"prompt": "Say something."}).encode()
    head = f"POST /tokenize HTTP/1.1\r\nContent-Length: {len(data)}\r\nExpect: 100-continue\r\n\r\n"
    with spawn(FAST) as engine, ExitStack() as opened:
        where = urlsplit(engine.url).netloc.split(":")
        idle, asked = (
            opened.enter_context(socket.create_connection((where[0], int(where[1])), timeout=60))
            for _ in range(2)
        )
        answers = asked.makefile("rb")
        asked.sendall(head.encode())
        assert answers.readline().startswith(b"HTTP/1.1 100") and answers.readline() == b"\r\n"
        engine.process.terminate()
        assert idle.recv(1) == b""
        asked.sendall(data)
        assert answers.readline() == b"HTTP/1.1 200 OK\r\n"
        assert engine.process.wait(60) == 0
