"""Nothing more is done by itself: a person decides."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from tasks.outside.kubernetes.actor import NotProven
from tasks.record.outcome import Outcome
from tasks.release.memory.terms import unproven_text, with_terms
from tasks.release.moves import decide_unproven
from tasks.release.seats.kept import held_text
from tasks.release.versions.decide import held_for_window
from tasks.run.locked import Locked
from tasks.run.run import Run
from tasks.run.step import optional_step
from tasks.verdict.targets import Decision


@optional_step
def hold(run: Run, cluster: Locked, why: Decision | NotProven, window: str = "") -> Outcome:
    """why: the verdict that a candidate waits with; or that one was promoted and nobody could watch
    it, which then serves on, unproven. window: it passed, and waits for this window alone: whoever
    comes then promotes it, and until then a person may."""
    actor = cluster.actor
    if isinstance(why, NotProven):
        actor.run(decide_unproven(actor.observe(), "inconclusive", str(why)))
        state, _ = actor.read_state()
        run.say(str(why))
        return Outcome("held", f"{why}; {unproven_text(state)}")
    if not window:
        cluster.remember(run.judged("held"))
    state = actor.observe().state
    plan = run.record.plan.digest if run.record.plan else ""
    # whoever asks whether it is over may have another clock than this machine
    now = actor.cluster.now()
    if window:
        state = held_for_window(state, run.spec, now, plan)
    else:
        until = now + timedelta(hours=run.spec.promotion.approval_hours)
        state = replace(
            state,
            phase="held",
            verdict=why.verdict,
            why="",
            plan=plan,
            until=until.isoformat(timespec="seconds"),
        )
    if state.candidate:  # who approves it watches it by the same bounds
        state = with_terms(state, state.candidate.id, measured=run.measured or {})
    actor.save(state)
    said = f"{why.verdict}: {why.reason}"
    if window:
        said = f"{said}, and {window}"
    run.say(said)
    state, _ = actor.read_state()
    return Outcome("not now" if window else "held", f"{said}; {held_text(state)}")
