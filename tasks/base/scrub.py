"""Take credentials out of what is kept or shown: one rule for records and for logs.

What looks like one goes, and what stands under a name of one; and the very values that this process
holds (`hold`, `watch`) go wherever they appear.
"""

from __future__ import annotations

import html
import json
import logging
import re
import threading
from collections.abc import Mapping, Sequence
from functools import lru_cache
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
    re.compile(r"(?P<keep>\b)(?:hf_|sk-|gh[opsu]_|github_pat_|glpat-|xox[abp]-)[A-Za-z0-9_-]{10,}"),
    re.compile(r"(?P<keep>\b)ms-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"),
    re.compile(r"(?P<keep>\b)eyJ[\w-]{8,}\.[\w-]{4,}\.[\w-]{4,}"),
    re.compile(r"(?P<keep>\b)(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    re.compile(r"(?P<keep>-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----).+?(?=-----END)", re.DOTALL),
)


# What a name ends with, as words: always a credential; one unless it is a model's own; one where
# the value looks like it.
_ALWAYS = {
    *("PASSWORD", "PASSWD", "PASSPHRASE", "SECRET", "CREDENTIAL", "CREDENTIALS", "APIKEY"),
    *("ACCESSKEY", "SECRETKEY", "AUTHORIZATION"),
}
_KEYS = {"API", "ACCESS", "SECRET", "PRIVATE", "AUTH", "SIGNING", "ENCRYPTION"}
_OF_A_MODEL = {
    *("EOS", "BOS", "PAD", "UNK", "SEP", "CLS", "MASK", "STOP", "SPECIAL", "IMAGE", "VIDEO"),
    *("AUDIO", "THINK", "MAX", "MIN", "PER", "FIRST", "START", "END"),
}
_PATH = re.compile(r"(?:~|\.{0,2})(?:/[\w.@-]+)+/?")
_MIXED = re.compile(r"(?=\S*[A-Z])(?=\S*\d)\S+")


def is_secret(key: str) -> bool:
    """Whether a key names a credential."""
    return bool(_SECRET.search(key)) and not _NO_SECRET.search(key)


def looks_secret(value: str) -> bool:
    """Whether a value is a credential by its own shape."""
    return any(shape.search(value) for shape in _SHAPES)


def says_secret(name: str, value: str) -> bool:
    """Whether a variable or a flag is a credential by its name; a file's path is none, nor a
    number or a mark of a model's own tokens."""
    value = value.strip()
    if value.lower() in _EMPTY or (_PATH.fullmatch(value) and not _MIXED.search(value)):
        return False
    words = [word.upper() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)]
    if words[-2:] == ["KEY", "ID"]:
        words.pop()
    last, before = (["", "", *words][-1], ["", "", *words][-2])
    if last in _ALWAYS or (last, before) == ("STRING", "AUTH"):
        return True
    if last == "KEY" and before in _KEYS:
        return True
    if last == "TOKEN":
        return before not in _OF_A_MODEL and bool(re.search(r"[A-Za-z]", value)) and value[0] != "<"
    return last in ("KEY", "KEYS", "TOKENS") and len(value) >= 16 and _credential(value)


# -- the values that this process holds -------------------------------------------------------

_LEAST = 6  # shorter ones are words and numbers
_held: set[str] = set()
_watched: list[Mapping[str, str]] = []
_lock = threading.Lock()
_IN_ADDRESS = re.compile(r"://[^\s/:@]*:([^\s/@]+)@")


def hold(*values: str | None) -> None:
    """From now on these are hidden wherever they appear."""
    with _lock:
        _held.update(value for value in values if value and len(value) >= _LEAST)


def watch(environment: Mapping[str, str]) -> None:
    """What variables named like credentials hold, now and later, is hidden, too."""
    with _lock:
        if not any(known is environment for known in _watched):
            _watched.append(environment)


def _values() -> Sequence[str]:
    """Every value that is held, and how JSON and HTML write it; the longest first."""
    with _lock:
        held, watched = frozenset(_held), list(_watched)
    return _written(held, frozenset(item for known in watched for item in known.items()))


@lru_cache(maxsize=8)  # told at every sign of progress, and variables hardly change
def _written(held: frozenset[str], variables: frozenset[tuple[str, str]]) -> Sequence[str]:
    found = set(held)
    for name, value in variables:
        if len(value) < _LEAST:
            continue
        if says_secret(name, value):
            found |= {value, value.strip(), value.partition(":")[2]}
        found.update(_IN_ADDRESS.findall(value))
    found = {value for value in found if len(value) >= _LEAST and value.strip("*")}
    written = {json.dumps(value)[1:-1] for value in found} | {html.escape(v) for v in found}
    return tuple(sorted(found | written, key=lambda value: (-len(value), value)))


def mask(text: str) -> str:
    """A text without the values that this process holds."""
    for value in _values():
        text = text.replace(value, HIDDEN)
    return text


def masked(record: logging.LogRecord) -> bool:
    """The record without the credentials of this process, its traceback too. Always true."""
    said = record.getMessage()
    if (clean := mask(said)) != said:
        record.msg, record.args = clean, ()
    if record.exc_info and record.exc_text is None:
        record.exc_text = mask(logging.Formatter().formatException(record.exc_info))
    return True


def scrub(value: Any, key: str = "") -> Any:
    """The value without anything under a key that names a credential, and without those held."""
    return _scrub(value, key, _values())


def _scrub(value: Any, key: str, held: Sequence[str]) -> Any:
    if isinstance(value, dict):
        return {k: _scrub(v, str(k), held) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_scrub(item, key, held) for item in value]
    if isinstance(value, str) and value:
        if is_secret(key):
            return HIDDEN
        for known in held:
            value = value.replace(known, HIDDEN)
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
    """A text without what is or looks like a credential; else unchanged, line for line."""
    text = mask(text)
    out = "\n".join(
        _PAIR.sub(_hidden, line) if _SECRET.search(line) else line for line in text.split("\n")
    )
    for shape in _SHAPES:
        out = shape.sub(lambda match: f"{match['keep']}{HIDDEN}", out)
    return out


def answered(url: str, kind: str, text: str) -> str:
    """What came from an address, in few words without credentials. url: where redirects led to;
    what follows its path may carry a signature, and is left out. kind: of its content, '' for
    none. text: '' is not told of."""
    where = url.partition("#")[0].partition("?")[0]
    begins = scrub_text(" ".join(text[:1000].split()))[:80]
    found = scrub_text(f"{where} answered {kind or 'no content type'}")
    return f"{found} that begins {begins!r}" if begins else found
