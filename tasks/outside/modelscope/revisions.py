"""What a hub tells of a model's history: its tags, and the commits that led to a revision."""

from __future__ import annotations

from typing import Any

from modelscope_hub.errors import APIError

from tasks.base.errors import OutsideError
from tasks.outside.modelscope.hub import Hub
from tasks.weights.manifest import HUB_COMMIT, safe_model

# how far back a log is read: what serves is hardly ever so old
PAGE, PAGES = 100, 10


def tags_of(hub: Hub, model: str) -> list[str]:
    """The names of its tags. Raises OutsideError."""
    safe_model(model)
    body = hub.ask(f"models/{model}/revisions", {}, f"the revisions of {model}")
    rows = _within(_within(body, "Data"), "RevisionMap")
    tags = rows.get("Tags") or []
    names = [row.get("Revision") for row in tags if isinstance(row, dict)]
    return [name for name in names if isinstance(name, str)]


def log_of(hub: Hub, model: str, revision: str, until: str = "") -> list[str] | None:
    """The commits that led to a revision, the newest first, PAGE * PAGES at most; None where the
    hub tells none. until: read no further than the page that has this commit. Raises
    OutsideError."""
    safe_model(model)
    found: dict[str, None] = {}
    for page in range(1, PAGES + 1):
        try:
            body = hub.ask(
                f"models/{model}/commits",
                {"Ref": revision, "PageNumber": page, "PageSize": PAGE},
                f"the commits of {model}",
            )
        except OutsideError as error:
            cause = error.__cause__
            if isinstance(cause, APIError) and 400 <= (cause.status_code or 0) < 500:
                break  # not offered here, or no such page
            raise
        rows = _within(body, "Data").get("Commit") or []
        ids = [row.get("Id") for row in rows if isinstance(row, dict)]
        new = [item for item in ids if isinstance(item, str) and HUB_COMMIT.match(item)]
        before = len(found)
        found.update(dict.fromkeys(new))
        # a hub that knows no pages gives the same one again
        if len(rows) < PAGE or len(found) == before or until in found:
            break
    return list(found) or None


def _within(body: Any, key: str) -> dict[str, Any]:
    inner = body.get(key) if isinstance(body, dict) else None
    return inner if isinstance(inner, dict) else {}
