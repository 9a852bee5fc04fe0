"""Prompts for a benchmark: distinct, of a drawn length, from shipped sentences.

Every prompt but the field report's begins with its own number, so that no prefix cache can know
it: a cache that did has been seen to flatter TTFT 49 times. Word lists lie in tasks/data.
"""

from __future__ import annotations

import hashlib
import json
import math
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

from tasks.spec.measure import Lengths, Workload

Language = Literal["english", "chinese"]
NONCE_CHARS = 12
_PIECE = re.compile(r"[^\W\d_]+|[\d_]|[^\w\s]")
# The prompt of the field report on Hygon DCU (Writing science fiction); one prompt, every time.
FIELD_REPORT = "写一个科幻小说，请开始你的表演"


@dataclass(frozen=True)
class TokenRates:
    """Tokens of the model's tokenizer per English word (digit, mark) and per Han character.

    The defaults fit recent bilingual tokenizers; the benchmark measures the engine's own.
    """

    word: float = 1.1
    char: float = 0.8

    def of(self, language: Language) -> float:
        """Tokens per unit of `language`."""
        return self.word if language == "english" else self.char


@dataclass(frozen=True)
class Prompt:
    """One request. Targets in tokens; the engine's tokenizer decides what the input really is."""

    text: str
    input_tokens_target: int
    output_tokens: int
    language: Language


@dataclass(frozen=True)
class WorkloadProfile:
    """A named workload: token lengths, languages, and which part of the word lists it uses."""

    input: Lengths
    output: Lengths
    languages: tuple[Language, ...] = ("english", "chinese")
    body: str = "sentences"
    ask: str = "ask"


def _lognormal(mean: int, spread: float, maximum: int) -> Lengths:
    return Lengths(kind="lognormal", mean=mean, spread=spread, maximum=maximum)


PROFILES: dict[str, WorkloadProfile] = {
    "chat": WorkloadProfile(_lognormal(200, 0.6, 1024), _lognormal(180, 0.5, 512)),
    "rag": WorkloadProfile(
        Lengths(kind="uniform", mean=2000, spread=0.3), _lognormal(200, 0.5, 512)
    ),
    "code": WorkloadProfile(
        _lognormal(600, 0.5, 2048), _lognormal(300, 0.5, 1024), ("english",), "code", "askcode"
    ),
    "long-context": WorkloadProfile(
        Lengths(kind="uniform", mean=12000, spread=0.2), _lognormal(256, 0.4, 512)
    ),
    "field-report": WorkloadProfile(
        Lengths(kind="fixed", mean=13), Lengths(kind="fixed", mean=2048), ("chinese",)
    ),
    "custom": WorkloadProfile(Lengths(kind="fixed", mean=1), Lengths(kind="fixed", mean=1)),
    "file": WorkloadProfile(Lengths(kind="fixed", mean=1), Lengths(kind="fixed", mean=256)),
}


def derive_seed(base: int, round_index: int, load: str, purpose: str) -> int:
    """A seed of 63 bits for one use; another round, load or purpose gives another one.

    The release is left out on purpose: in an A/B run both releases answer the same prompts.
    """
    key = json.dumps([base, round_index, load, purpose]).encode()
    return int.from_bytes(hashlib.sha256(key).digest()[:8], "big") >> 1


def draw_length(lengths: Lengths, rng: random.Random) -> int:
    """One token count, at least 1; `mean` is the arithmetic mean before `maximum` cuts."""
    match lengths.kind:
        case "uniform":
            value = lengths.mean * (1 + lengths.spread * rng.uniform(-1, 1))
        case "lognormal":
            mu = math.log(lengths.mean) - lengths.spread**2 / 2
            value = rng.lognormvariate(mu, lengths.spread)
        case _:
            value = float(lengths.mean)
    return max(1, min(round(value), lengths.maximum or 1 << 30))


def profile_of(workload: Workload) -> WorkloadProfile:
    """The profile with the lengths that the spec sets in its place."""
    base = PROFILES[workload.profile]
    return WorkloadProfile(
        workload.input_tokens or base.input,
        workload.output_tokens or base.output,
        base.languages,
        base.body,
        base.ask,
    )


def cache_flattered(workload: Workload) -> bool:
    """True where a prefix cache can know the prompts, so that TTFT says little."""
    return workload.profile == "field-report"


def drawn_languages(workload: Workload) -> tuple[Language, ...]:
    """Languages of the prompts that are drawn to a length in tokens."""
    return () if workload.profile in ("field-report", "file") else profile_of(workload).languages


def make_prompts(
    workload: Workload,
    seed: int,
    count: int,
    *,
    rates: TokenRates | None = None,
    lines: Sequence[str] = (),
) -> list[Prompt]:
    """`count` prompts, the same for the same arguments.

    lines: the file's lines for profile 'file'. Raises ValueError where that has none.
    """
    rates = rates or TokenRates()
    rng = random.Random(seed)  # noqa: S311 - reproducible prompts, no secrets
    profile = profile_of(workload)
    texts = [_file_prompt(line) for line in lines if line.strip()]
    if workload.profile == "file" and not texts:
        raise ValueError(f"the prompt file {workload.file} holds no prompt")
    order = list(range(len(texts)))
    rng.shuffle(order)
    return [_prompt(workload, profile, seed, i, rng, rates, texts, order) for i in range(count)]


def _prompt(
    workload: Workload,
    profile: WorkloadProfile,
    seed: int,
    index: int,
    rng: random.Random,
    rates: TokenRates,
    texts: Sequence[str],
    order: Sequence[int],
) -> Prompt:
    output = draw_length(profile.output, rng)
    if workload.profile == "field-report":
        return Prompt(FIELD_REPORT, profile.input.mean, output, "chinese")
    nonce = _nonce(seed, index)
    if workload.profile == "file":
        body = texts[order[index % len(order)]]
        language: Language = "chinese" if _han(body) > len(body) / 4 else "english"
        text = f"{nonce}\n{body}"
        return Prompt(
            text, round(count_units(text, language) * rates.of(language)), output, language
        )
    language = rng.choice(profile.languages)
    target = draw_length(profile.input, rng)
    return Prompt(_text(language, profile, nonce, target, rng, rates), target, output, language)


def _nonce(seed: int, index: int) -> str:
    digest = hashlib.sha256(f"{seed}/{index}".encode()).digest()
    return "".join(chr(ord("a") + byte % 26) for byte in digest[:NONCE_CHARS])


def _text(
    language: Language,
    profile: WorkloadProfile,
    nonce: str,
    target: int,
    rng: random.Random,
    rates: TokenRates,
) -> str:
    words = _words(language)
    english = language == "english"
    opening = f"{nonce} is the number of this case." if english else f"{nonce}是本次请求的编号。"
    ask = rng.choice(words[profile.ask])
    units = max(1, round(target / rates.of(language)))
    joint = "\n" if profile.body == "code" else " " if english else ""
    parts, left = [opening], units - count_units(opening + ask, language)
    # code reads in order, sentences in any
    templates = words[profile.body]
    while left > 0:
        turn = len(parts) - 1
        ordered = profile.body == "code"
        template = templates[turn % len(templates)] if ordered else rng.choice(templates)
        part = _fill(template, words, rng)
        size = count_units(part, language)
        parts.append(part if size <= left else _cut(part, left, language))
        left -= size
    return joint.join([*parts, ask])


def _fill(template: str, words: dict[str, list[str]], rng: random.Random) -> str:
    picked: dict[str, str] = {}
    for slot in ("who", "what"):
        first, second = rng.sample(words.get(slot, ["", ""]), 2)
        picked |= {slot: first, f"{slot}2": second}
    for slot in ("where", "when", "act"):
        picked[slot] = rng.choice(words[slot])
    picked |= {slot.capitalize(): text[:1].upper() + text[1:] for slot, text in picked.items()}
    return template.format(n=rng.randint(2, 9999), m=rng.randint(2, 9999), **picked)


def _cut(text: str, units: int, language: Language) -> str:
    if language == "chinese":
        return text[:units]
    ends = [match.end() for match in _PIECE.finditer(text)]
    return text[: ends[units - 1]]


def count_units(text: str, language: Language) -> int:
    """Words, digits and marks of English text or code, characters of Chinese."""
    return len(text) if language == "chinese" else len(_PIECE.findall(text))


def _han(text: str) -> int:
    return sum("\u3400" <= char <= "\u9fff" for char in text)


def _file_prompt(line: str) -> str:
    stripped = line.strip()
    if stripped.startswith("{"):
        try:
            value = json.loads(stripped)
        except ValueError:
            return stripped
        if isinstance(value, dict) and isinstance(value.get("prompt"), str):
            return str(value["prompt"])
    return stripped


def sample_text(language: Language, units: int, seed: int) -> str:
    """At least `units` words or characters of plain text, to measure a tokenizer's rate with."""
    rng = random.Random(seed)  # noqa: S311
    words, parts, left = _words(language), [_nonce(seed, 0)], units
    while left > 0:
        part = _fill(rng.choice(words["sentences"]), words, rng)
        parts.append(part)
        left -= count_units(part, language)
    return (" " if language == "english" else "").join(parts)


@cache
def _words(language: Language) -> dict[str, list[str]]:
    text = files("tasks").joinpath("data", f"{language}.txt").read_text(encoding="utf-8")
    sections: dict[str, list[str]] = {}
    current: list[str] = []
    for line in text.splitlines():
        if line.startswith("["):
            current = sections.setdefault(line.strip("[]"), [])
        elif line.strip():
            current.append(line)
    return sections
