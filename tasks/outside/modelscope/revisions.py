"""What a hub tells of a model's history: its tags, and the commits that led to a revision."""

from __future__ import annotations

from tasks.outside.modelscope.hub import Hub

# how far back a log is read: what serves is hardly ever so old
PAGE, PAGES = 100, 10


def tags_of(hub: Hub, model: str) -> list[str]:
    """The names of its tags. Raises OutsideError."""
    return hub.revisions(model)[1]


def log_of(hub: Hub, model: str, revision: str, until: str = "") -> list[str] | None:
    """The commits that led to a revision, the newest first, PAGE * PAGES at most; None where the
    hub tells none at all. until: read no further than the page that has this commit. Raises
    OutsideError."""
    found: dict[str, None] = {}
    for page in range(1, PAGES + 1):
        ids = hub.commits(model, revision, page=page, size=PAGE)
        if ids is None and page == 1:
            return None
        before = len(found)
        found.update(dict.fromkeys(ids or ()))
        # a hub that knows no pages gives the same one again
        if len(ids or ()) < PAGE or len(found) == before or until in found:
            break
    return list(found)
