"""What the looks at a promoted release come to.

Two kinds of news are told apart. What the cluster says (pods not ready, restarts) and what the
release itself answers count against it, when two looks in a row say so. A way of asking that
fails (an address that is not programmed yet, no route, no permission) says nothing of the release:
the next look may do better, and where none does for PATIENCE_S the soak ends unproven.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

PATIENCE_S = 60.0
LOOKS_TO_FAIL = 2
EVERY_S = 2.0

SoakEnd = Literal["", "passed", "failed", "unproven"]


@dataclass(frozen=True)
class Look:
    """One look.

    trouble: what the cluster says against the release, None where the cluster could not be read.
    answer: 'good'; 'bad': the release itself answered with an error; 'none': nobody could ask.
    why: what came instead of a good answer.
    """

    trouble: tuple[str, ...] | None = ()
    answer: Literal["good", "bad", "none"] = "good"
    why: str = ""

    @property
    def measured(self) -> bool:
        """Both the cluster and the release could be asked."""
        return self.trouble is not None and self.answer != "none"


@dataclass(frozen=True)
class Watched:
    """The looks so far; times are seconds of one monotonic clock.

    began: of the soak. answered: first good answer. measured: last look that could ask everything.
    failing: looks in a row with trouble. against: the last trouble. why: what the last look that
    could not ask met.
    """

    began: float
    answered: float | None = None
    measured: float | None = None
    failing: int = 0
    against: tuple[str, ...] = ()
    why: str = ""
    last: Look | None = None

    def saw(self, at: float, look: Look) -> Watched:
        """With one more look."""
        against = look.trouble or ()
        # before the first good answer an error may come from what stands between, or went before
        if look.answer == "bad" and self.answered is not None:
            against = (*against, look.why)
        failing, before = self.failing, self.against
        if against:
            failing, before = self.failing + 1, against
        elif look.trouble is not None:
            failing, before = 0, ()
        good = look.answer == "good"
        return replace(
            self,
            answered=at if good and self.answered is None else self.answered,
            measured=at if look.measured and (good or self.answered is not None) else self.measured,
            failing=failing,
            against=before,
            why=look.why,
            last=look,
        )

    def end(self, at: float, soak_s: float) -> tuple[SoakEnd, str]:
        """How the soak ends at `at`, with its reason; '' while it goes on.

        It lasts `soak_s` from the first good answer, and ends well on a good look only.
        """
        if self.failing >= LOOKS_TO_FAIL:
            return "failed", "; ".join(self.against)
        fine = self.last is not None and self.last.measured and self.last.answer == "good"
        if fine and not self.failing and self.answered is not None and at - self.answered >= soak_s:
            return "passed", ""
        silent = at - (self.measured if self.measured is not None else self.began)
        if silent <= PATIENCE_S:
            return "", ""
        if self.last is not None and self.last.answer == "bad":
            return "failed", f"for {silent:.0f} s: {self.why}"
        return "unproven", f"nobody could ask it for {silent:.0f} s: {self.why}"
