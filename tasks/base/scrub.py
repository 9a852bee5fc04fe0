"""Take credentials out of what is kept or shown: one rule for records and for logs."""

from __future__ import annotations

import re
from typing import Any

HIDDEN = "***"
_SECRET = re.compile(
    r"(?i)(authorization|api[_-]?key|token(?!i[sz])|secret|password|passwd|credential)"
)
# Names of Secrets and counts of tokens are none.
_NO_SECRET = re.compile(r"(?i)(tokens|token_ids?|token_secret|tok_s)$")
_EMPTY = {"", "none", "null", "true", "false", HIDDEN}

_PAIR = re.compile(
    r"(?<![\w.-])(?P<flag>--)?(?P<key>[\"']?[\w.-]{0,60}?"
    r"(?:authorization|api[_-]?key|token(?!i[sz])|secret|password|passwd|credential)[\w-]{0,30}[\"']?)"
    r"(?P<sep>\s{0,3}[=:]\s{0,3}|(?<=\w)[ ](?=[\w/+.]))"
    r"(?P<scheme>(?:Bearer|Basic|Token)[ ])?"
    r"(?P<value>\[[^\]\n]{0,400}\]|\"[^\"\n]{0,400}\"|'[^'\n]{0,400}'|[^\s,;)}\]\"'\[]{1,400})",
    re.IGNORECASE,
)
_SHAPES = (
    re.compile(r"(?i)(?P<keep>\b(?:bearer|basic)[ ])[A-Za-z0-9._~+/=-]{8,}"),
    re.compile(r"(?P<keep>\b[a-z][a-z0-9+.-]{1,20}://)[^\s/:@\"']{1,200}:[^\s/@\"']{1,200}(?=@)"),
    re.compile(r"(?P<keep>\b)(?:hf_|sk-|ghp_|glpat-)[A-Za-z0-9_-]{10,}"),
    re.compile(r"(?P<keep>\b)eyJ[\w-]{8,}\.[\w-]{4,}\.[\w-]{4,}"),
    re.compile(r"(?P<keep>\b)AKIA[0-9A-Z]{16}\b"),
    re.compile(r"(?P<keep>-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----).+?(?=-----END)", re.DOTALL),
)


def is_secret(key: str) -> bool:
    """Whether a key names a credential."""
    return bool(_SECRET.search(key)) and not _NO_SECRET.search(key)


def scrub(value: Any, key: str = "") -> Any:
    """The value without anything under a key that names a credential."""
    if isinstance(value, dict):
        return {k: scrub(v, str(k)) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [scrub(item, key) for item in value]
    if isinstance(value, str) and value and is_secret(key):
        return HIDDEN
    return value


def _hidden(match: re.Match[str]) -> str:
    key, value = match["key"].strip("\"'"), match["value"]
    inner = value.strip("\"'[] ")
    # Without '=' or ':' only an option of a command line has a value.
    loose = not match["sep"].strip() and not match["flag"]
    if loose or not is_secret(key) or inner.lower() in _EMPTY:
        return match[0]
    only_token = not re.search(r"(?i)authorization|key|secret|passw|credential", key)
    if only_token and not _credential(inner):
        return match[0]
    start = f"{match['flag'] or ''}{match['key']}{match['sep']}{match['scheme'] or ''}"
    quote = value[0] if value[0] in "\"'" else ""
    shown = f"[{HIDDEN}]" if value[0] == "[" else f"{quote}{HIDDEN}{quote}"
    return start + shown


def _credential(value: str) -> bool:
    """A model's tokens are words, marks or numbers: '</s>', '<|im_end|>', 151645."""
    shaped = re.fullmatch(r"[\w.~+/=,' -]{8,}", value) and re.search(r"\d", value)
    return bool(shaped) and not re.fullmatch(r"[\d., ]+", value)


def scrub_text(text: str) -> str:
    """A text without what looks like a credential; else unchanged, line for line."""
    out = "\n".join(
        _PAIR.sub(_hidden, line) if _SECRET.search(line) else line for line in text.split("\n")
    )
    for shape in _SHAPES:
        out = shape.sub(lambda match: f"{match['keep']}{HIDDEN}", out)
    return out
