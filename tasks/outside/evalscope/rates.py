"""How many tokens a word or character is to the engine's tokenizer."""

from __future__ import annotations

import os

import httpx

from tasks.measure.workload import TokenRates, count_units, drawn_languages, sample_text
from tasks.outside.evalscope.process import EngineTarget
from tasks.spec.measure import Workload

UNITS = 120


def measure_rates(target: EngineTarget, workload: Workload, *, timeout_s: float = 60) -> TokenRates:
    """Ask the engine for the length of a text in each language that `workload` draws.

    The defaults where it can't say. A prompt of one letter first shows what the chat template
    takes. Tokenizers differ more than twice on Chinese (0.7 to 1.8 tokens a character), so a
    guess could miss the context length.
    """
    key = os.environ.get(target.api_key_env) if target.api_key_env else None
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    rates = {}
    with httpx.Client(
        base_url=target.url, headers=headers, timeout=timeout_s, trust_env=False
    ) as http:
        empty = _tokens(http, target.model, "a")
        for language in drawn_languages(workload):
            text = sample_text(language, UNITS, UNITS)
            full = _tokens(http, target.model, text) if empty is not None else None
            if full is not None and empty is not None and full > empty:
                rates[language] = (full - empty + 1) / count_units(text, language)
    default = TokenRates()
    return TokenRates(rates.get("english", default.word), rates.get("chinese", default.char))


def _tokens(http: httpx.Client, model: str, text: str) -> int | None:
    body = {"model": model, "max_tokens": 1, "messages": [{"role": "user", "content": text}]}
    try:
        answer = http.post("/v1/chat/completions", json=body)
        return int(answer.json()["usage"]["prompt_tokens"])
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        return None
