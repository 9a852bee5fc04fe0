"""Numbers, last words and JSON in what tools print."""

from __future__ import annotations

import json
import re
from typing import Any

UNITS_MIB = {"b": 1 / 2**20, "kb": 1 / 2**10, "mb": 1.0, "mib": 1.0, "gb": 1024.0, "gib": 1024.0}
# what stands in the cells of a card that does not answer (nvml.h; NVML's words stand in the tables
# of tools that copy it, too)
_LOST = re.compile(r"\w+ is lost|GPU requires reset", re.IGNORECASE)
# of one that does not answer (NVIDIA/dcgm-exporter#319: one of eight A10G), or of one cell of a
# card that does: the power of a V100, which passes again (Azure/azhpc-diagnostics#77)
TORN = re.compile(r"Unknown Error|ERR!", re.IGNORECASE)
# a word that says nothing, of whatever it is
_SILENT = re.compile(
    r"[\s\[(<]*(|[-?.]+|N/?A|NaN|nil|null|None|Not Supported)[\s\])>]*", re.IGNORECASE
)
# or that is no card's name: what a tool prints of a card that its tables do not have. "0x738c" is
# rocm-smi of an MI100 (ROCm/legacy-rocm-build#1351, 2021-01), "Device 6210" lspci without names,
# "Graphics Device" NVIDIA's driver. Unknown is no silence where npu-smi says it of a chip's health.
_NAMELESS = re.compile(
    r"\[.*|(card|device|chip)?\s*(unknown|undefined|unrecogni[sz]ed|unnamed)([ _]\w+)?|"
    r"(device )?0x[0-9a-f]+|device [0-9a-f]{4}|((nvidia|amd) )?graphics device",
    re.IGNORECASE,
)
MAX_DEPTH = 40  # of the JSON that is mended
MAX_TRIES = 40  # places where a document may begin


def silent(word: str) -> bool:
    """Whether a word says nothing: N/A, a dash, [Not Supported], or no word at all."""
    return _SILENT.fullmatch(word) is not None


def card_name(word: str) -> str:
    """A card's name; '' where the word is none, such as Unknown or a PCI id."""
    word = word.strip()
    return "" if silent(word) or _NAMELESS.fullmatch(word) or sick_word(word) else word


def number(text: Any) -> float | None:
    """The first number in a cell such as '59.0C', '400.0W', '81559 MiB'; None for N/A."""
    match = re.search(r"-?\d+(?:\.\d+)?", str(text))
    return float(match[0]) if match else None


def sick_word(text: str) -> str:
    """The worst word that a tool has in a card's cells, '' for none."""
    found = _LOST.search(text) or TORN.search(text)
    return found[0] if found else ""


def last_words(text: str) -> str:
    """The last line that says something, for a person."""
    lines = [line.strip() for line in text.splitlines() if re.search(r"\w", line)]
    return lines[-1][:200] if lines else "nothing was printed"


def find_json(text: str) -> tuple[Any, bool]:
    """(document, whole) of the largest JSON object or array in a text; (None, True): there is none.
    Several that are alike, one a card, are one.

    Tools print warnings before and after it, forget commas (hy-smi between two power readings) and
    are cut in the middle: what is there is read, and whole is False where its end is missing or
    something else of it could not be read.
    """
    best, size, cut, at, tries, broken = None, 0, False, 0, 0, False
    all_found: list[Any] = []
    decoder = json.JSONDecoder()
    while match := re.compile(r"[{\[]").search(text, at):
        start, ended = match.start(), True
        try:
            found, end = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            tries += 1
            try:
                mending = _Mending(text)
                found, end = mending.value(start, 0)
                ended = not (mending.cut or mending.torn)
            except ValueError:
                found, end, ended = None, start + 1, False
            broken = broken or (not ended and _OPENS.match(text, start) is not None)
            if tries >= MAX_TRIES:
                text = text[: match.end()]  # no more of it is looked at
        all_found += [found] if found else []
        if found and end - start > size:
            best, size, cut = found, end - start, not ended
        at = max(end, start + 1)
    return _joined(all_found) or best, best is None or not (cut or broken)


def _joined(found: list[Any]) -> Any:
    """Documents of one card each as one document; None where they are not that."""
    if len(found) < 2 or not all(isinstance(item, dict) for item in found):
        return None
    keys = [set(item) for item in found]
    if all(one == keys[0] for one in keys):
        return found
    apart = len(set().union(*keys)) == sum(map(len, keys))
    alike = all(isinstance(value, dict) for item in found for value in item.values())
    return (
        {key: value for item in found for key, value in item.items()} if apart and alike else None
    )


_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_SCALAR = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null|NaN|-?Infinity|N/A")
_WORDS = ("true", "false", "null", "NaN", "-Infinity", "Infinity", "N/A")
_HALF_NUMBER = re.compile(r"-?\d*\.?\d*(?:[eE][+-]?\d*)?")
_NO_VALUE = re.compile(r"[^,{}\[\]\"\s][^,{}\[\]\"\n]*")
_OPENS = re.compile(r"[{\[]\s*[\"{\[]")  # how a document begins, and no person's brackets
_BLANK = re.compile(r"[\s,]*")  # a comma too many, or too few, changes nothing


class _Mending:
    """JSON whose commas are missing or doubled, or whose end is cut off. Raises ValueError where
    it is no JSON at all."""

    def __init__(self, text: str) -> None:
        self._text, self.cut, self.torn = text, False, False

    def value(self, at: int, depth: int) -> tuple[Any, int]:
        if depth > MAX_DEPTH:
            raise ValueError("too deep")
        opening = self._text[at : at + 1]
        if opening == "{":
            return self._object(at + 1, depth)
        if opening == "[":
            return self._array(at + 1, depth)
        match = _STRING.match(self._text, at) or _SCALAR.match(self._text, at)
        if match is None:
            self._cut_or_none(at)
            return None, len(self._text)
        word = match[0]
        if match.end() == len(self._text) and not word.startswith('"'):
            self.cut = True  # the rest of a number may be missing
            return None, match.end()
        return (None if word == "N/A" else json.loads(word, strict=False)), match.end()

    def _cut_or_none(self, at: int) -> None:
        """The text ends within a value, or what stands here is none."""
        rest = self._text[at:]
        begins = any(word.startswith(rest) for word in _WORDS)
        if rest and not rest.startswith('"') and not begins and not _HALF_NUMBER.fullmatch(rest):
            raise ValueError("no value")
        self.cut = True

    def _skip(self, at: int) -> int:
        match = _BLANK.match(self._text, at)
        return match.end() if match else at

    def _object(self, at: int, depth: int) -> tuple[dict[str, Any], int]:
        out: dict[str, Any] = {}
        while True:
            at = self._skip(at)
            if at >= len(self._text):
                self.cut = True
                return out, at
            if self._text[at] == "}":
                return out, at + 1
            key = _STRING.match(self._text, at)
            if key is None:
                self._cut_or_none(at)
                return out, len(self._text)
            at = self._skip(key.end())
            if at >= len(self._text):
                self.cut = True
                return out, at
            if self._text[at] != ":":
                raise ValueError("no value")
            value, at = self._member(self._skip(at + 1), depth + 1)
            if value is not None or not self.cut:
                out[json.loads(key[0], strict=False)] = value
            if self.cut:
                return out, len(self._text)

    def _member(self, at: int, depth: int) -> tuple[Any, int]:
        """A value after its key; one that is none is left out, and what follows is read on."""
        try:
            return self.value(at, depth)
        except ValueError:
            rest = _NO_VALUE.match(self._text, at)
            if rest is None:
                raise
            self.torn = True
            return None, rest.end()

    def _array(self, at: int, depth: int) -> tuple[list[Any], int]:
        out: list[Any] = []
        while True:
            at = self._skip(at)
            if at >= len(self._text):
                self.cut = True
                return out, at
            if self._text[at] == "]":
                return out, at + 1
            value, at = self.value(at, depth + 1)
            if value is not None or not self.cut:
                out.append(value)
            if self.cut:
                return out, len(self._text)
