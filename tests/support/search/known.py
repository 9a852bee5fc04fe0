"""What the search finds wrong today, most serious first: how it comes to it, and what would exclude
it. A product that excludes one makes its xfail in test_search.py fail: then take the row out."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Known:
    """signs: what the search calls it, by its beginning. trace: how it comes to it, in words.
    rule: what would exclude it; a word with underscores is a switch of rules.py."""

    signs: tuple[str, ...]
    trace: str
    rule: str


HARM = "1 what answered does not answer any more"
APPLIED, DELETED = (f"3 what the Service selects was {done}" for done in ("applied to", "deleted"))
NOWHERE = "4 nothing answers though it could, the guard gets nowhere"
NEVER = "4 what serves answers, and the guard never settles it"
RESTS = "4 the guard rests, and nothing answers though what serves could"
FAILED, UNSOAKED = (
    f"5 the promotion of what {what} was finished"
    for what in ("failed its soak", "never passed a soak")
)

KNOWN = {
    "late": Known(
        (f"{HARM} [scale, late]", f"{DELETED} [late]", f"{APPLIED} [late]", f"{RESTS} [unproven]"),
        "run 20 tests B and stands still before it deletes B (or scales it to zero, or applies "
        "it); run 21 takes over, tests B anew and leads the Service to B; the write of run 20 "
        "lands: what serves is gone. Landing before the switch, run 21 leads the Service to B "
        "at zero",
        "take_over_deployments, with scale_version, delete_version and apply_version: each alone "
        "is not enough",
    ),
    "late creation": Known(
        tuple(f"{DELETED} [{stage}]" for stage in ("clear", "recover", "undo", "cleanup", "back")),
        "the first rollout ever: run 1 stands still before it makes the Service; recover takes "
        "over, finds no Service to stamp, and is about to delete the candidate (it has looked: "
        "nothing serves); the Service is made and leads to it; the candidate is deleted. No "
        "version guards what is not there",
        "taking over makes what is missing, so that there is a version to lose",
    ),
    "restoring has no exit": Known(
        (f"{NOWHERE} [restoring]",),
        "restoring home to B while A stands by and is healthy; B breaks for good: every "
        "recovery stops A (B does not answer, so nothing is kept) and waits for B, which never "
        "comes",
        "decide_restore: nothing that answers is stopped before home does; where home does not "
        "come back in its time and previous can, the Service goes there",
    ),
    "held at zero": Known(
        (f"{RESTS} [held]",),
        "replace: A is scaled to zero, B passes, a person is to decide: phase held, the Service"
        " leads to A at zero; the janitor takes held for rest",
        "never held with what serves at zero: A comes back first, or the hold has an expiry",
    ),
    "bad news forgotten": Known(
        (f"{FAILED} [rollback]", f"{FAILED} [home]"),
        "B failed its soak and serves unproven (verdict fail); the operator's rollback saves "
        "'reverting' with an empty verdict, A does not get ready, home again: idle with stable "
        "B",
        "decide_revert keeps the verdict of an unproven release, whoever asks",
    ),
    "bad news overwritten": Known(
        (f"{FAILED} [recover]", f"{FAILED} [promote]", f"{FAILED} [cleanup]"),
        "B failed its soak and serves unproven; a run of B tries again: it saves 'soaking' in "
        "place of 'unproven', and dies: recover finds soaking, B is alive, saves idle and stops A",
        "decide_recovery finishes nothing whose verdict is fail",
    ),
    "bad news superseded": Known(
        (f"{FAILED} [clear]", f"{FAILED} [late]", f"{FAILED} [undo]"),
        "B failed its soak and serves unproven; a run of another release clears up: "
        "decide_recovery with superseded finishes the promotion of B, A and C go",
        "superseded ends what waits, and neither settles B as idle nor takes the way back from it",
    ),
    "finished by the guard": Known(
        (f"{UNSOAKED} [recover]", f"{UNSOAKED} [cleanup]", f"{UNSOAKED} [undo]"),
        "the Service was moved to B, and the run dies in the soak: recover finds soaking, B is "
        "alive, saves idle and stops A",
        "an unfinished soak is begun anew by whoever finds it (soak_by_anybody, and a Soak in "
        "the course of decide_recovery)",
    ),
    "finished by the next run": Known(
        (f"{UNSOAKED} [clear]",),
        "the same, and a run of another release clears up instead",
        "as before; what is not proven is not settled by being superseded",
    ),
    "promoted by hand": Known(
        (f"{UNSOAKED} [promote]", f"{UNSOAKED} [late]"),
        "`rollout promote` of a held candidate, or of one whose soak died, moves the Service, "
        "does not watch, stops A and saves idle",
        "soak_by_anybody",
    ),
    "unsoaked after a way back": Known(
        (f"{UNSOAKED} [rollback]", f"{UNSOAKED} [home]", f"{UNSOAKED} [back]"),
        "B serves, its soak not passed (soaking, promoting, or nobody could look); rollback to "
        "A fails, home again: idle with stable B",
        "restoring to a release that was not proven ends unproven",
    ),
    "memory lost": Known(
        (f"{RESTS} [memory lost]", f"{RESTS} [idle]"),
        "replace: A is at zero, the run dies, the ConfigMap is deleted: the janitor lists "
        "ConfigMaps and recover refuses. Or a process takes over just then, even one that is "
        "refused: it writes 'idle', and the guard rests with A at zero. Also: recover finds "
        "idle with A at zero by hand, scales it up without a phase that says so, and fails",
        "memory_rebuilt: lost memory is not rest; a recovery that has work announces it",
    ),
    "Lease lost": Known(
        tuple(
            f"{what} [{phase}, Lease lost]"
            for what in (NOWHERE, NEVER)
            for phase in ("testing", "promoting", "soaking", "proven", "reverting", "restoring")
        ),
        "a run dies in any phase, the Lease is deleted: the new one begins at epoch 1, taking "
        "over is refused until as many processes were started as there ever were",
        "epoch_above_all: a new Lease begins above what ConfigMap, Service and Deployments say",
    ),
    "two of one epoch": Known(
        tuple(
            f"{what} [{more}two of one epoch]"
            for what, more in (
                (HARM, "scale, "),
                (HARM, "point, "),
                (APPLIED, ""),
                (DELETED, ""),
                (FAILED, ""),
                (UNSOAKED, ""),
            )
        ),
        "the first rollout ever, epoch 1: the Lease is deleted, another process takes it at "
        "epoch 1, the first has not noticed; neither is newer, both write",
        "epoch_above_all, by something that is never the same twice",
    ),
    "stops what a person chose": Known(
        tuple(
            f"{HARM} [scale, {stage}]"
            for stage in (
                "promote",
                "undo",
                "clear",
                "recover",
                "rollback",
                "cleanup",
                "home",
                "back",
            )
        ),
        "a course was decided while the Service led to A and scales C (or the old A) to zero; "
        "before that a person leads the Service there; or A fell for a moment, home again stops"
        " it although it answers by then",
        "scale_serving: to zero only where the Service does not lead, or it may interrupt; "
        "looked at in the move, at the version read",
    ),
    "pending replica": Known(
        (f"{NEVER} [reverting]", f"{NEVER} [restoring]", f"{NOWHERE} [reverting]"),
        "the Service is back at C, A holds the other seat; a person (an autoscaler) asks for a "
        "second replica of C: the course waits for it before it removes A, which has its seat",
        "once the Service leads there, what holds seats goes first, and both are not waited for"
        " together",
    ),
    "applied to what serves": Known(
        (f"{APPLIED} [deploy]",),
        "phase idle, A serves and fell for a moment: a run of A finds 'fresh' and applies its "
        "template to A; or the Service is led to B while B is tested again",
        "apply_serving, in the move",
    ),
    "idle though it is not whole": Known(
        ("2 idle was saved, and what serves is not whole",),
        "the last pod of what serves falls after the last wait and before Save(idle); and "
        "_finish and _keep_serving wait for nobody where no replica was taken away",
        "idle_if_whole; of_replicas: scale_by_hand (a person had set two, one comes back)",
    ),
    "away from a person's pods": Known(
        tuple(
            f"{HARM} [point, {stage}]"
            for stage in ("back", "home", "promote", "rollback", "recover", "clear", "cleanup")
        ),
        "a person leads the Service to pods of her own; the course goes on, its release fell: "
        "_keeps_answering knows of Deployments only, and the Service leads to nothing",
        "point_hand: never to what has no ready replica, whatever the Service leads to",
    ),
    "somebody else's": Known(
        ("6 somebody else's Service", "6 somebody else's candidate Service"),
        "taking over stamps a Service that is not ours; `<name>-candidate` of somebody else is "
        "applied over and deleted",
        "stamp_ours; candidate_ours",
    ),
}
