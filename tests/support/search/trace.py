"""A trace in words."""

from __future__ import annotations

from tests.support.search.check import name
from tests.support.search.world import NAMES, QUEUES, SITS, World


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
            phase, stable, candidate, previous, strategy, verdict, doubt, doubted, breach = op[1]
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
                            "breach" * breach,
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
        case "breach":
            return "Save(what its soak has found)"
        case "takeover":
            return "taking over"
    return f"{op[0]}({NAMES[op[1]]})"


def picture(w: World) -> str:
    """The world in one line: who serves, pods that answer of those asked for, memory."""
    parts = [f"Service->{name(w.svc)}" + ", bent" * w.bent]
    for at, dep in enumerate(w.deps):
        more = f" +{w.ending[at]} ending" if w.ending[at] else ""
        if dep:
            parts.append(f"{NAMES[at]} {dep.ready}/{dep.asked}{more}")
        elif more:
            parts.append(f"{NAMES[at]} gone{more}")
    for number, does in ((w.neighbours[QUEUES], "queues"), (w.neighbours[SITS], "sits")):
        if number:
            parts.append(f"neighbour {does}" if number == 1 else f"{number} neighbours: {does}")
    if w.mem:
        who = (w.mem.stable, w.mem.candidate, w.mem.previous)
        known = "/".join(NAMES[n] if n >= 0 else "-" for n in who)
        more = "breach" * w.mem.breach or "expired" * w.expired
        said = (w.mem.phase, known, w.mem.strategy, w.mem.verdict, more, f"epoch {w.mem.epoch}")
        parts.append(" ".join(filter(None, said)))
    else:
        parts.append("no ConfigMap")
    return ", ".join(parts)
