"""Which versions start a rollout by themselves."""

from __future__ import annotations

from pydantic import Field

from tasks.spec.base import MANY, Strict


class Watch(Strict):
    """Which versions start a rollout by themselves."""

    tags: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        description="Glob pattern of tags: the one with the latest date, where all are dates "
        "(2025-06-01, v20250601), else the one with the highest version is followed in place of "
        "model.revision; * is the newest of all. Default: model.revision",
    )
    prereleases: bool = Field(False, description="Follow tags such as v2.0rc1, too")
    image: bool = Field(
        False,
        description="Ask the registry what serving.image is now, and serve exactly that: its name "
        "with its digest. A new digest of the same tag is a new release",
    )
    tries: int = Field(
        5,
        ge=1,
        le=MANY,
        description="How often a version is told that nobody takes up or that ends in an error, "
        "and how often a hub may fail in a row before the watcher fails",
    )
