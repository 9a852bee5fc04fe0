"""A trace in words."""

from __future__ import annotations

from tests.support.search.check import name
from tests.support.search.world import AWAY, NAMES, QUEUES, World


def told(path: list[tuple[tuple, World | None]]) -> list[str]:
    """One line a step: what happened, and what is different then."""
    out, before = [], ""
    for said, w in path:
        now = picture(w) if w else before
        line = " ".join(word if isinstance(word, str) else words(word) for word in said)
        out.append(f"{line}  |  {now}" if now != before else line)
        before = now
    return out


def words(op: tuple) -> str:
    """A move or a write."""
    match op[0]:
        case "save":
            phase, stable, candidate, previous, strategy, verdict, doubt, doubted = op[1]
            who = "/".join(NAMES[n] if n >= 0 else "-" for n in (stable, candidate, previous))
            return (
                " ".join(
                    filter(
                        None,
                        (
                            f"Save({phase} {who}",
                            strategy,
                            verdict,
                            doubt and f"{NAMES[doubted]}: {doubt}",
                        ),
                    )
                )
                + ")"
            )
        case "point":
            return f"PointService({NAMES[op[1]]})"
        case "scale":
            return f"Scale({NAMES[op[1]]}, {op[2]})"
        case "stampdep":
            return f"stamp of {NAMES[op[1]]}"
        case "stamp" | "stampsvc":
            return "stamp of the Service"
        case "make":
            return "creation of a Service that leads nowhere"
        case "stampcand":
            return "stamp of the candidate's Service"
        case "rmcand":
            return "RemoveCandidateService"
        case "applycand":
            return "apply of the candidate's Service"
        case "takeover":
            return "taking over"
    return f"{op[0]}({NAMES[op[1]]})"


def picture(w: World) -> str:
    """The world in one line: who serves, pods that answer of those asked for, memory."""
    parts = [f"Service->{name(w.svc)}"]
    for at, dep in enumerate(w.deps):
        more = f" +{w.ending[at]} ending" if w.ending[at] else ""
        if dep:
            parts.append(f"{NAMES[at]} {dep.ready}/{dep.asked}{more}")
        elif more:
            parts.append(f"{NAMES[at]} gone{more}")
    if w.neighbour != AWAY:
        parts.append("neighbour " + ("queues" if w.neighbour == QUEUES else "sits"))
    if w.mem:
        who = (w.mem.stable, w.mem.candidate, w.mem.previous)
        known = "/".join(NAMES[n] if n >= 0 else "-" for n in who)
        said = (w.mem.phase, known, w.mem.strategy, w.mem.verdict, f"epoch {w.mem.epoch}")
        parts.append(" ".join(filter(None, said)))
    else:
        parts.append("no ConfigMap")
    return ", ".join(parts)
