"""What a round of chaos does: which command is killed, when, and what its operator does then."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal, get_args

Strategy = Literal["parallel", "lend", "replace"]
STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)
# run: of a good version. fails: of one that misses its targets. held: of a good one that takes an
# exam and waits for a person. approve: of one that waits.
Begun = Literal["run", "fails", "rollback", "held", "approve"]

STEPS = ("resolve_model", "validate_nodes", "plan", "fetch_weights", "deploy", "smoke", "benchmark",
         "judge", "promote")  # fmt: skip
BOUNDARIES: tuple[tuple[Begun, str], ...] = (
    *(("run", f"[{name}] started") for name in STEPS),
    ("run", "Service sends to"),
    ("run", "soaking, "),
    ("run", "what served before"),
    ("run", "[promote] done"),
    ("fails", "[judge] done"),
    ("fails", "[roll_back] started"),
    ("fails", "[roll_back] done"),
    ("rollback", "Service sends to"),
    ("rollback", "what served before"),
    ("held", "[exam] started"),
    ("held", "[hold] started"),
    ("held", "[hold] done"),
    ("approve", "Service sends to"),
    ("approve", "what served before"),
)
WHOLE = 0.1  # of the rounds
THEN = (("recover",), ("run",), ("guard",), ("recover", "run"), ("guard", "run"))


@dataclass(frozen=True)
class Draw:
    """words: the line of its output at which the command is killed; '' for `share` of the time that
    such a command takes. then: the commands that follow. again: of what the first of them takes,
    the share at which it is killed as well; None: it is not. whole: with what measures, and with
    Prefect (see quick)."""

    number: int
    begun: Begun
    words: str
    share: float
    then: tuple[str, ...]
    again: float | None
    whole: bool = False

    def __str__(self) -> str:
        at = f"at '{self.words.strip(', ')}'" if self.words else f"after {self.share:.0%}"
        more = " (killed as well)" if self.again is not None else ""
        begun = f"whole {self.begun}" if self.whole else self.begun
        return f"{begun} {at}, then {self.then[0]}{more}{', '.join(['', *self.then[1:]])}"


def boundaries_of(strategy: Strategy) -> tuple[tuple[Begun, str], ...]:
    """Nobody is waited for while nothing serves."""
    waits = ("held", "approve")
    return tuple(at for at in BOUNDARIES if strategy != "replace" or at[0] not in waits)


def draws(
    seed: int, strategy: Strategy, instants: int, boundaries: int | None = None
) -> list[Draw]:
    """Every boundary, or a choice of them, and so many random instants; in a random order.

    A round's draw depends on nothing but the seed, the strategy and its number.
    """
    order: list[tuple[Begun, str] | None] = [*boundaries_of(strategy)]
    chance = random.Random(f"{seed} {strategy}")
    if boundaries is not None:
        order = chance.sample(order, min(boundaries, len(order)))
    order += [None] * instants
    chance.shuffle(order)
    return [_draw(seed, strategy, number, at) for number, at in enumerate(order)]


def _draw(seed: int, strategy: Strategy, number: int, at: tuple[Begun, str] | None) -> Draw:
    chance = random.Random(f"{seed} {strategy} {number}")
    kinds: tuple[Begun, ...] = ("run", "fails", "rollback")
    (drawn,) = chance.choices(kinds, weights=(6, 2, 2))
    share, then = chance.uniform(0.02, 1), chance.choice(THEN)
    again = chance.uniform(0.05, 1) if chance.random() < 0.3 else None
    begun, words = at or (drawn, "")
    return Draw(number, begun, words, share, then, again, whole=chance.random() < WHOLE)
