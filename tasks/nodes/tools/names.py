"""Whether two spellings of a card's name mean one card: labels, tools and people write differently.

A name is cut into words. What says the maker, the series or the memory's kind is left out; what is
left tells the card. Rows below are data: a word more is a row more.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from tasks.accelerators.types import Profile
from tasks.nodes.compatibility import KNOWN_NAMES

# same: one card, or a family that holds it. spelling: the same digits, and letters of which some
# are left out, so that a person has to look. other: another card.
Likeness = Literal["same", "spelling", "other"]

# words that every card of a maker or a series has
NOISE = frozenset(
    {
        *("nvidia", "amd", "ati", "hygon", "huawei", "ascend", "iluvatar", "metax", "mthreads"),
        *("moore", "threads", "mtt", "cambricon", "baidu", "kunlunxin", "enflame", "thead"),
        *("alibaba", "corporation", "inc", "tm", "tesla", "quadro", "geforce", "radeon"),
        *("instinct", "rx", "rtx", "gtx", "graphics", "gpu", "gcu", "npu", "mlu", "dcu", "hcu"),
        *("xpu", "ppu", "ubb", "module", "card", "accelerator", "generation", "series"),
        *("edition", "blackwell", "workstation", "server"),
    }
)
# words that make another card of the same number: RTX 4090 D, RX 7900 XTX, RTX 6000 Ada, H20-3e
VARIANTS = frozenset(
    {
        *("ti", "super", "d", "xt", "xtx", "gre", "ada", "pro", "ai", "lc", "max", "q", "maxq"),
        *("sff", "mobile", "laptop", "ultra", "duo", "3e", "mxm"),
    }
)
# of these a name that tells one is no name that tells another: A100-PCIE is no A100-SXM4
FORM = re.compile(r"(sxm|pcie|nvl|oam)\d*")
SIZE = re.compile(r"(\d+)g(?:i?b)?")
MEMORY = re.compile(r"hbm\w*|gddr\w*")
# Ascend910, RTX4090; not MLU370, which is one word with its maker
_GLUED = re.compile(rf"^({'|'.join(word for word in NOISE if len(word) > 4)}|rtx|gtx)(?=\d)")


@dataclass(frozen=True)
class Parts:
    """words: every one. core: those that tell the card. sizes: GB. forms: of the board."""

    words: tuple[str, ...]
    core: tuple[str, ...]
    sizes: frozenset[str]
    forms: frozenset[str]

    @property
    def joined(self) -> str:
        """The core as one word: RX 7900 XTX and 7900XTX are one."""
        return "".join(self.core)

    @property
    def numbers(self) -> frozenset[str]:
        """Words of the core that have a digit."""
        return frozenset(word for word in self.core if re.search(r"\d", word))


def parts(name: str) -> Parts:
    """Cut a name. What sharing adds goes: 'NVIDIA-H100-80GB-HBM3-MIG-1g.10gb', '-SHARED'."""
    found = re.findall(r"[a-z0-9]+", name.lower())
    found = found[: found.index("mig")] if "mig" in found else found
    words = tuple(_GLUED.sub("", word) for word in found if word != "shared")
    text = " ".join(words)
    # of a Radeon 'Pro' and 'AI' are the series
    words = tuple(re.sub(r"\bradeon( ai)? pro\b|\bpro(?= [wv]\d)", "radeon", text).split())
    rest = [w for w in words if w not in NOISE and not MEMORY.fullmatch(w)]
    return Parts(
        words,
        tuple(w for w in rest if not FORM.fullmatch(w) and not SIZE.fullmatch(w)),
        frozenset(match[1] for w in rest if (match := SIZE.fullmatch(w))),
        frozenset(match[1] for w in rest if (match := FORM.fullmatch(w))),
    )


def likeness(left: str, right: str, profile: Profile | None = None) -> Likeness:
    """How alike two names are; profile: whose aliases hold."""
    if profile is not None:
        left, right = profile.model_of(left), profile.model_of(right)
    a, b = parts(left), parts(right)
    if "".join(a.words) == "".join(b.words):
        return "same"
    known = {"".join(parts(card).words) for card in KNOWN_NAMES}
    if "".join(a.words) in known and "".join(b.words) in known:
        return "other"  # K100 and K100_AI are two cards
    for one, two in ((a.sizes, b.sizes), (a.forms, b.forms)):
        if one and two and not one & two:
            return "other"
    # TITAN Xp, a maker alone: every word counts
    if not a.core or not b.core or not (a.numbers or b.numbers):
        short, long = sorted((a.words, b.words), key=len)
        return "same" if short and set(short) <= set(long) else "other"
    return _cores(a, b)


def _cores(a: Parts, b: Parts) -> Likeness:
    if a.joined == b.joined:
        return "same"
    if set(a.core) ^ set(b.core) <= VARIANTS:
        return "other"
    short, long = sorted((a, b), key=lambda item: (len(item.joined), len(item.core)))
    for start in range(len(long.core)):
        for end in range(start + 1, len(long.core) + 1):
            rest = "".join(long.core[start:end]).removeprefix(short.joined)
            if len(rest) == len("".join(long.core[start:end])):
                continue
            others = {*long.core[:start], *long.core[end:]}
            if not others & VARIANTS and _family(short.joined, rest):
                return "same"
    shared, own = a.numbers & b.numbers, (a.numbers - b.numbers, b.numbers - a.numbers)
    if shared and not all(own) and not (set(a.core) ^ set(b.core)) & VARIANTS:
        return "same"  # 'Instinct MI250X / MI250' and 'MI250 (MCM)'
    return "spelling" if _abbreviates(short.joined, long.joined) else "other"


def _family(short: str, rest: str) -> bool:
    """910B is the family of 910B4, 910 that of 910B4; L40 is none of L40S, nor A10 of A100."""
    if not rest:
        return True
    return bool(re.fullmatch(r"\d+" if short[-1].isalpha() else r"[a-z]+\d+", rest))


def _abbreviates(short: str, long: str) -> bool:
    """BI150 leaves letters of BI-V150 out; A40 is no L40, and L40 no L40S."""
    if re.findall(r"\d+", short) != re.findall(r"\d+", long):
        return False
    letters = iter(long)
    return short[0] == long[0] and short[-1] == long[-1] and all(c in letters for c in short)
