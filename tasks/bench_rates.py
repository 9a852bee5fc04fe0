"""How many tokens a word or character is to the engine's tokenizer. THIN."""

from __future__ import annotations

import os

import httpx

from tasks.bench_process import EngineTarget
from tasks.workload import Language, TokenRates, count_units, sample_text

SIZES = (20, 140)


def measure_rates(target: EngineTarget, *, timeout_s: float = 60) -> TokenRates:
    """Ask the engine for the lengths of two texts a language; the defaults where it can't say.

    The slope between a short and a long text leaves the chat template out. Tokenizers differ
    more than twice on Chinese (0.7 to 1.8 tokens a character), so a guess could miss the
    context length.
    """
    key = os.environ.get(target.api_key_env) if target.api_key_env else None
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    default = TokenRates()
    with httpx.Client(
        base_url=target.url, headers=headers, timeout=timeout_s, trust_env=False
    ) as http:
        word = _slope(http, target.model, "english") or default.word
        char = _slope(http, target.model, "chinese") or default.char
    return TokenRates(word, char)


def _slope(http: httpx.Client, model: str, language: Language) -> float | None:
    points = []
    for size in SIZES:
        text = sample_text(language, size, size)
        body = {
            "model": model,
            "max_tokens": 1,
            "messages": [{"role": "user", "content": text}],
        }
        try:
            answer = http.post("/v1/chat/completions", json=body)
            tokens = int(answer.json()["usage"]["prompt_tokens"])
        except (httpx.HTTPError, ValueError, KeyError, TypeError):
            return None
        points.append((count_units(text, language), tokens))
    (short, few), (long, many) = points
    rate = (many - few) / (long - short)
    return rate if 0.1 <= rate <= 10 else None
