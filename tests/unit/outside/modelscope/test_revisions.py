"""Tags and the log of commits, by the real client against the local hub."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from deployments.local.hub import Fault, LocalHub, publish, tag
from tasks.base.errors import OutsideError
from tasks.outside.modelscope import revisions
from tasks.outside.modelscope.revisions import log_of, tags_of
from tests.support.hubs import MODEL, client, files


def published(root: Path, many: int) -> list[str]:
    """Commits on master, the newest first."""
    return [publish(root, MODEL, "master", files(64, seed)) for seed in range(many)][::-1]


def test_tags_and_the_log_of_a_branch_and_of_a_tag(tmp_path: Path) -> None:
    commits = published(tmp_path, 3)
    tag(tmp_path, MODEL, "v1", commits[1])
    with LocalHub(tmp_path) as hub:
        assert tags_of(client(hub), MODEL) == ["v1"]
        assert log_of(client(hub), MODEL, "master") == commits
        assert log_of(client(hub), MODEL, "v1") == commits[1:]
        assert hub.counters["commits"] == 2 and hub.counters["files"] == 0


def test_a_hub_without_commits_has_no_log(tmp_path: Path) -> None:
    published(tmp_path, 1)
    with LocalHub(tmp_path, commits=False) as hub:
        assert log_of(client(hub), MODEL, "master") is None


@pytest.mark.parametrize("status", [404, 405])
def test_it_says_so_by_having_no_such_call(tmp_path: Path, status: int) -> None:
    published(tmp_path, 1)
    with LocalHub(tmp_path, [Fault("status", "@commits", status=status, times=9)]) as hub:
        assert log_of(client(hub), MODEL, "master") is None
        assert client(hub).resolve(MODEL, "master").commit.startswith("digest-")


class Paged:
    """A hub whose log has pages of two."""

    def __init__(self, pages: list[Any]) -> None:
        self.pages, self.asked = pages, list[int]()

    def commits(self, model: str, revision: str, *, page: int, size: int) -> list[str] | None:
        self.asked.append(page)
        ids = self.pages[min(page, len(self.pages)) - 1]
        return None if ids is None else [item * 40 for item in ids]


@pytest.mark.parametrize(
    ("pages", "until", "found", "asked"),
    [
        (["dc", "ba", ""], "", "dcba", 3),
        (["dc", "ba", None], "", "dcba", 3),  # nor a page after its last one
        (["dc", "ba", None], "c" * 40, "dc", 1),  # no further than is needed
        (["dc", "b"], "", "dcb", 2),
        (["dc"], "", "dc", 2),  # it knows no pages
    ],
)
def test_a_log_is_read_page_by_page(
    pages: list[Any], until: str, found: str, asked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revisions, "PAGE", 2)
    hub: Any = Paged(pages)
    assert log_of(hub, MODEL, "master", until) == [item * 40 for item in found]
    assert len(hub.asked) == asked


@pytest.mark.parametrize("status", [400, 401, 403, 408, 429, 503])
def test_a_hub_that_does_not_answer_has_a_log_for_all_that(tmp_path: Path, status: int) -> None:
    published(tmp_path, 1)
    fault = Fault("status", "@commits", status=status, times=None, retry_after=0)
    with LocalHub(tmp_path, [fault]) as hub, pytest.raises(OutsideError, match=hub.url):
        log_of(client(hub), MODEL, "master")


def test_of_a_revision_that_it_does_not_know_the_log_is_empty(tmp_path: Path) -> None:
    published(tmp_path, 1)
    with LocalHub(tmp_path) as hub:
        assert log_of(client(hub), MODEL, "other") == []
