"""Whether the cards carry the model once it is loaded: what the vendor's tool said of them before
and says now. Arithmetic only.

The tool names no pods, so a card is called somebody else's only where two things agree: it held as
much before, and others hold that many devices of the node still. What cannot be told apart is taken
for ours: a candidate is never failed by a guess.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from tasks.nodes.tools.cards import Card, taken_share

Role = Literal["loaded", "idle", "other", "untold"]
# weights are known to a few percent, and a rank may hold fewer layers than another
LEAST_SHARE = 0.8
# how much a serving engine's memory changes by itself
CHANGED_MIB = 2048.0


@dataclass(frozen=True)
class CardLoad:
    """One card. Memory in MiB, None: not told. before: held when the rollout's probe looked.

    role: loaded, it holds at least the model's share; other, it does, and is somebody else's;
    idle, it holds less; untold, the tool says no memory.
    """

    index: int
    model: str
    used_mib: float | None
    total_mib: float | None
    before_mib: float | None
    role: Role = "untold"

    def told(self) -> str:
        """The card in a few words."""
        if self.used_mib is None:
            return f"card {self.index}: memory not told"
        of = f" of {self.total_mib:,.0f}" if self.total_mib else ""
        return f"card {self.index}: {self.used_mib:,.0f}{of} MiB"


@dataclass(frozen=True)
class Loaded:
    """A node's cards after the load. wrong: why the candidate does not run as asked; note: what
    could not be judged, '' nothing."""

    cards: tuple[CardLoad, ...]
    wrong: tuple[str, ...] = ()
    note: str = ""

    def told(self) -> str:
        """What was found, in one line."""
        if self.wrong:
            return "; ".join(self.wrong)
        return self.note or ", ".join(card.told() for card in self.cards if card.role == "loaded")


@dataclass(frozen=True)
class Share:
    """What was asked for on one node. asked: devices of the candidate's pods there. mib: weights a
    device, None where nobody knows, so that no share is judged. parts: a device is a part of a
    card, so that several may lie on one. others: devices that other pods hold there now.
    free_before: no pod held any when `before` was read. same_held: all pods together held as many
    then as the others do now, so that the candidate alone has come. idle_mib: what a card holds
    though nobody uses it."""

    asked: int
    mib: float | None
    parts: bool = False
    others: int = 0
    free_before: bool = False
    same_held: bool = False
    idle_mib: float = 1024.0


def judge_loaded(now: Sequence[Card], before: Mapping[int, float], share: Share) -> Loaded:
    """Whether the devices that were asked for carry the model. before: MiB in use by card when the
    rollout's probe looked; a card that is absent was not seen or told nothing."""
    least = LEAST_SHARE * (share.mib or 0.0)
    cards = tuple(_read(card, before, least, share.idle_mib) for card in now)
    known = [card for card in cards if card.used_mib is not None]
    if not known:
        return Loaded(cards, note="the vendor's tool tells no memory in use")
    if share.parts:
        return _parts(cards, known, share, least)
    unchanged = [card for card in cards if card.role == "loaded" and _as_before(card, least)]
    # where the candidate alone has come, nothing of it lies on a card that is as it was
    theirs = {card.index for card in (unchanged if share.same_held else unchanged[: share.others])}
    cards = tuple(replace(c, role="other") if c.index in theirs else c for c in cards)
    ours = [card for card in cards if card.role == "loaded"]
    wrong = []
    if share.mib is not None and len(ours) < share.asked and len(known) == len(cards):
        rest = ", ".join(card.told() for card in cards if card.role == "idle")
        wrong.append(
            f"{len(ours)} of the {share.asked} cards asked for hold the model's share of "
            f"{share.mib:,.0f} MiB; {rest or 'the tool sees no other card'}"
        )
    # once each pod has its cards, whatever else lay on one was no pod's
    told_apart = share.same_held and len(theirs) >= share.others and len(ours) == share.asked
    if share.free_before or told_apart:
        wrong += [
            f"card {card.index} held {card.before_mib:,.0f} MiB of another's before the model came"
            for card in ours
            if taken_share(card.before_mib or 0.0, card.total_mib, share.idle_mib)
        ]
    note = "the model's share is not known and was not judged" if share.mib is None else ""
    return Loaded(cards, tuple(wrong), note)


def _parts(
    cards: tuple[CardLoad, ...], known: Sequence[CardLoad], share: Share, least: float
) -> Loaded:
    """Parts of cards: whose memory it is the tool does not tell. Too little on all of them, or no
    more than before the model came, is wrong; what neighbours may hold proves nothing."""
    if share.mib is None:
        return Loaded(cards, note="the model's share is not known and was not judged")
    if len(known) < len(cards):
        return Loaded(cards, note="the tool does not tell every card's memory: parts not judged")
    need = share.asked * least
    asked = f"{share.asked} part(s) were asked for, with {share.mib:,.0f} MiB of the model each"
    total = sum(_above_idle(card, share.idle_mib) for card in known)
    if total < need:
        return Loaded(cards, (f"all cards together hold {total:,.0f} MiB of any model; {asked}",))
    grown = [
        (card.used_mib or 0.0) - card.before_mib for card in known if card.before_mib is not None
    ]
    same = len(grown) == len(known) and all(abs(mib) < CHANGED_MIB for mib in grown)
    if share.same_held and same and need > CHANGED_MIB * len(known):
        return Loaded(cards, (f"no card holds more than before the model came; {asked}",))
    guests = sum((card.before_mib or 0.0) > share.idle_mib for card in known)
    if share.others or (share.free_before and guests):
        told = (
            f"others hold {share.others} part(s) of the same cards"
            if share.others
            else (f"{guests} card(s) held memory of no pod before")
        )
        more = f", {sum(grown):,.0f} more than before" if len(grown) == len(known) else ""
        note = f"{told}: {total:,.0f} MiB in use{more}, whose it is nothing tells"
        return Loaded(cards, note=note)
    return Loaded(cards)


def _above_idle(card: CardLoad, idle_mib: float) -> float:
    """MiB in use without what an idle card holds, where it was idle before."""
    was = card.before_mib or 0.0
    return max(0.0, (card.used_mib or 0.0) - (was if was <= idle_mib else 0.0))


def _as_before(card: CardLoad, least: float) -> bool:
    before, now = card.before_mib, card.used_mib or 0.0
    return before is not None and before >= least and abs(now - before) < CHANGED_MIB


def _read(card: Card, before: Mapping[int, float], least: float, idle_mib: float) -> CardLoad:
    held, was = card.used, before.get(card.index)
    found = CardLoad(card.index, card.model, held, card.memory_mib, was)
    if held is None:
        return found
    # what the firmware held of the idle card it holds still, and is no part of the model
    firmware = was if was and not taken_share(was, card.memory_mib, idle_mib) else 0.0
    carries = taken_share(held, None, idle_mib) if not least else held - firmware >= least
    return replace(found, role="loaded" if carries else "idle")
