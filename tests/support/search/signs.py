"""What the search calls what it finds: the invariant, and by whom it was broken."""

from __future__ import annotations

HARM = "1 what answered does not answer any more"
NOT_WHOLE = "2 idle was saved, and what serves is not whole"
APPLIED, DELETED = (f"3 what the Service selects was {done}" for done in ("applied to", "deleted"))
NOWHERE = "4 nothing answers though it could, the guard gets nowhere"
NEVER = "4 what serves answers, and the guard never settles it"
RESTS = "4 the guard rests, and nothing answers though what serves could"
FAILED, UNSOAKED = (
    f"5 the promotion of what {what} was finished"
    for what in ("failed its soak", "never passed a soak")
)
CUT = "9 what served was stopped before its requests ended"
