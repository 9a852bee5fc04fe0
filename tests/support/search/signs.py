"""What the search and the walks call what they find: the invariant, by its number in the table of
docs/architecture.md ("What holds, whatever dies"), and what broke it. 8 has no sign: a verdict
falls from the sky here."""

from __future__ import annotations

MEMORY = "1 at rest, and memory has another release serve than the Service"
APPLIED, DELETED = (f"2 what the Service selects was {done}" for done in ("applied to", "deleted"))
UNJUDGED = "3 what answers was left for what nobody judged"
EDITED = "2 what serves was taken from while it was of two pod templates"
FEWER = "4 the Service was led to fewer replicas than answered"
NOT_WHOLE = "4 idle was saved, and what serves is not whole"
HARM = "5 what answered does not answer any more"
CANDIDATE_LEFT, ROLELESS = (
    f"5 at rest, and {what} is left"
    for what in ("something of a candidate", "a Deployment without a role")
)
FAILED, UNSOAKED = (
    f"6 the promotion of what {what} was finished"
    for what in ("failed its soak", "never passed a soak")
)
KEPT = "6 what failed its soak serves on though nothing is in the way back"
SERVICE, CANDIDATE = (
    f"7 somebody else's {what} was written" for what in ("Service", "candidate Service")
)
CUT = "9 what served was stopped before its requests ended"
NOWHERE = "10 nothing answers though it could, the guard gets nowhere"
NEVER = "10 what serves answers, and the guard never settles it"
RESTS = "10 the guard rests, and nothing answers though what serves could"

ALL = (MEMORY, APPLIED, DELETED, EDITED, UNJUDGED, FEWER, NOT_WHOLE, HARM, CANDIDATE_LEFT,
       ROLELESS, FAILED, UNSOAKED, KEPT, SERVICE, CANDIDATE, CUT, NOWHERE, NEVER,
       RESTS)  # fmt: skip
