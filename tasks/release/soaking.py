"""What the looks at a promoted release come to.

Two kinds of news are told apart. What the cluster says (pods not ready, restarts), what the release
itself answers, what its engines counted and what befell its cards may count against it; so many bad
looks among the last ones take the promotion back. A way of asking that fails (an address that is
not programmed yet, no route, no permission) says nothing of the release: such a look is blind, and
counts neither as good nor as bad. Where none does better for PATIENCE_S the soak ends unproven.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from tasks.measure.traffic import Traffic
from tasks.spec.promotion import NoTraffic

PATIENCE_S = 60.0
EVERY_S = 2.0

SoakEnd = Literal["", "passed", "failed", "unproven"]


@dataclass(frozen=True)
class SoakBounds:
    """What counts against a promoted release; None: nobody said.

    ttft_s: of a probe, and of an engine's mean between two looks. error_share: of the requests
    between two looks. waiting: requests in one engine's queue.
    """

    ttft_s: float | None = None
    error_share: float | None = None
    waiting: float | None = None


@dataclass(frozen=True)
class Rules:
    """How long, how often, and what takes a promotion back; see tasks.spec.promotion.Soaking."""

    duration_s: float = 0.0
    interval_s: float = EVERY_S
    failures: int = 3
    window: int = 10
    consecutive: bool = False
    no_traffic: NoTraffic = "probes"
    bounds: SoakBounds = field(default_factory=SoakBounds)

    @property
    def patience_s(self) -> float:
        """How long nobody may be able to look."""
        return max(PATIENCE_S, self.failures * self.interval_s)


@dataclass(frozen=True)
class Look:
    """One look.

    trouble: what the cluster says against the release, None where the cluster could not be read.
    answer: 'good'; 'bad': the release itself answered with an error; 'none': nobody could ask.
    why: what came instead of a good answer. tokens, ttft_s: of a good answer; ttft_s also where the
    first token had not come after so long.
    engines: what they did since the look before; None where that is not known, and unread says why
    ('' at the first look). cards: what befell them; None where nobody watches them.
    """

    trouble: tuple[str, ...] | None = ()
    answer: Literal["good", "bad", "none"] = "good"
    why: str = ""
    tokens: int = 0
    ttft_s: float | None = None
    engines: Traffic | None = None
    unread: str = ""
    cards: tuple[str, ...] | None = None

    @property
    def measured(self) -> bool:
        """Both the cluster and the release could be asked."""
        return self.trouble is not None and self.answer != "none"


def against(look: Look, bounds: SoakBounds, *, answered: bool) -> tuple[str, ...]:
    """Everything a look has against a release.

    answered: it gave a good answer before; until then an error, or a silence, may come from what
    stands between.
    """
    out = list(look.trouble or ())
    if answered and look.answer == "bad":
        out.append(look.why)
    if answered and _above(look.ttft_s, bounds.ttft_s):
        waited = "came after" if look.answer == "good" else "had not come after"
        out.append(
            f"a probe's first token {waited} {_ms(look.ttft_s)}, at most {_ms(bounds.ttft_s)} "
            "is allowed"
        )
    if look.engines is not None:
        out += _of_engines(look.engines, bounds)
    return (*out, *(look.cards or ()))


def _of_engines(seen: Traffic, bounds: SoakBounds) -> list[str]:
    out = [f"the engine of {name} began anew" for name in seen.again]
    if _above(seen.ttft_s, bounds.ttft_s):
        out.append(
            f"its engines' TTFT is {_ms(seen.ttft_s)} on average, at most {_ms(bounds.ttft_s)} "
            "is allowed"
        )
    if _above(seen.stalled_s, bounds.ttft_s):
        out.append(f"an engine has requests and made no token for {seen.stalled_s:.0f} s")
    if seen.errors and _above(seen.error_share, bounds.error_share):
        assert bounds.error_share is not None
        out.append(
            f"its engines failed {seen.errors} of {seen.begun + seen.errors} requests, at most "
            f"{100 * bounds.error_share:g} % is allowed"
        )
    if _above(seen.waiting, bounds.waiting):
        out.append(
            f"{seen.waiting:g} requests wait in one engine, at most {bounds.waiting:g} are allowed"
        )
    return out


def _above(value: float | None, bound: float | None) -> bool:
    return value is not None and bound is not None and value > bound


def _ms(seconds: float | None) -> str:
    return f"{1000 * (seconds or 0.0):.0f} ms"


@dataclass(frozen=True)
class Seen:
    """What all looks together saw, for a person.

    looks, bad, blind: how many. requests, errors, tokens: of the engines, own: requests of them
    that were ours. counted: looks with the engines' counters; unread: why others had none.
    cards_watched: by at least one look.
    """

    looks: int = 0
    bad: int = 0
    blind: int = 0
    requests: int = 0
    own: int = 0
    errors: int = 0
    tokens: int = 0
    counted: int = 0
    worst_ttft_s: float | None = None
    unread: str = ""
    cards_watched: bool = False

    @property
    def others(self) -> int:
        """Requests that were not our own."""
        return max(0, self.requests - self.own)

    def with_look(self, look: Look, *, bad: bool, blind: bool) -> Seen:
        """With one more."""
        engines = look.engines or Traffic()
        times = (self.worst_ttft_s, look.ttft_s, engines.ttft_s)
        return replace(
            self,
            looks=self.looks + 1,
            bad=self.bad + bad,
            blind=self.blind + blind,
            requests=self.requests + engines.begun,
            own=self.own + engines.own,
            errors=self.errors + engines.errors,
            tokens=self.tokens + engines.tokens,
            counted=self.counted + (look.engines is not None),
            worst_ttft_s=max((t for t in times if t is not None), default=None),
            unread=look.unread or self.unread,
            cards_watched=self.cards_watched or look.cards is not None,
        )

    def told(self) -> str:
        """In a sentence."""
        out = [f"{self.looks} looks, {self.bad} of them bad"]
        if self.blind:
            out[0] += f", {self.blind} saw nothing"
        if self.worst_ttft_s is not None:
            out.append(f"longest TTFT {_ms(self.worst_ttft_s)}")
        return "; ".join([*out, self.traffic()])

    def traffic(self) -> str:
        """What is known of requests that were not our own."""
        if not self.counted:
            why = f": {self.unread}" if self.unread else ""
            return f"the engines' own counters were not read{why}"
        if not self.others:
            return "no request but our own came"
        failed = f", {self.errors} failed" if self.errors else ""
        return f"{self.others} requests of others{failed}"


@dataclass(frozen=True)
class Watched:
    """The looks so far; times are seconds of one monotonic clock.

    began: of the soak. answered: first good answer. measured: last look that could ask everything.
    recent: of the last looks that were not blind, whether each was bad. against: what the last bad
    one had. why: what the last look that could not ask met. fine: the last look was a good one.
    before_s, before: what others watched of the same soak, in seconds and in requests that were not
    our own.
    """

    began: float
    rules: Rules = field(default_factory=Rules)
    answered: float | None = None
    measured: float | None = None
    recent: tuple[bool, ...] = ()
    against: tuple[str, ...] = ()
    why: str = ""
    fine: bool = False
    last: Look | None = None
    seen: Seen = field(default_factory=Seen)
    before_s: float = 0.0
    before: int = 0

    def soaked_s(self, at: float) -> float:
        """How long it was watched at `at`, by all who did; from a first good answer, each."""
        return self.before_s + (at - self.answered if self.answered is not None else 0.0)

    def saw(self, at: float, look: Look) -> Watched:
        """With one more look."""
        good, known = look.answer == "good", self.answered is not None
        found = against(look, self.rules.bounds, answered=known or good)
        blind = not found and not (good and look.measured)
        rules = self.rules
        kept = rules.failures if rules.consecutive else rules.window
        return replace(
            self,
            answered=at if good and not known else self.answered,
            measured=at if look.measured and (good or known) else self.measured,
            recent=self.recent if blind else (*self.recent, bool(found))[-kept:],
            against=found or self.against,
            why=look.why,
            fine=not blind and not found,
            last=look,
            seen=self.seen.with_look(look, bad=bool(found), blind=blind),
        )

    @property
    def breached(self) -> bool:
        """So many bad looks that the promotion is taken back, in whatever order they came; with
        `consecutive`, no good one between them."""
        bad, failures = sum(self.recent), self.rules.failures
        return bad >= failures  # consecutive keeps no more looks than that

    @property
    def trouble(self) -> str:
        """What is wrong just now; '' where nothing is."""
        if self.recent and self.recent[-1] and not self.fine:
            return "; ".join(self.against)
        return self.why

    def end(self, at: float) -> tuple[SoakEnd, str]:
        """How the soak ends at `at`, with its reason; '' while it goes on.

        It lasts from the first good answer, and ends well on a good look only.
        """
        rules = self.rules
        if self.breached:
            count = f"{sum(self.recent)} of the last {len(self.recent)} looks"
            return "failed", f"{'; '.join(self.against)} ({count})"
        over = self.answered is not None and self.soaked_s(at) >= rules.duration_s
        if self.fine and over:
            return self._over()
        silent = at - (self.measured if self.measured is not None else self.began)
        if silent <= rules.patience_s:
            return "", ""
        if self.last is not None and self.last.answer == "bad":
            return "failed", f"for {silent:.0f} s: {self.why}"
        return "unproven", f"nobody could ask it for {silent:.0f} s: {self.why}"

    def _over(self) -> tuple[SoakEnd, str]:
        """Its time is over, and the last look was a good one."""
        wish = self.rules.no_traffic
        if wish == "probes" or self.seen.others or self.before:
            return "passed", ""
        said = f"{self.seen.traffic()}, and promotion.soak.no_traffic is {wish}"
        # counters that nobody could read are no proof that nobody asked
        return ("failed" if wish == "roll-back" and self.seen.counted else "unproven"), said
