"""What is followed: tags, the image's digest, and how it stands to what serves."""

from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from deployments.local.hub import LocalHub, publish, tag
from tasks.base.errors import OutsideError, Refused
from tasks.outside.oci.logins import KeyRing, Login
from tasks.release.state import Release, State
from tasks.release.versions.memory import WatchMemory
from tasks.run.versions import follow
from tasks.run.versions.follow import followed, hub_commit, pinned, standing
from tasks.spec.images import reference
from tasks.spec.policy import Policy
from tests.support.hubs import MODEL, client, files
from tests.support.nodedata import make_spec

DIGEST = f"sha256:{'a' * 64}"
NOBODY: Any = None  # no cluster is asked


def spec(**watch: Any) -> Any:
    return make_spec({"model": {"id": MODEL}, "serving": {"image": "r.io/vllm:1"}, "watch": watch})


def test_the_newest_tag_takes_the_revisions_place(tmp_path: Path) -> None:
    for seed, name in enumerate(("v1.9", "v1.10")):
        tag(tmp_path, MODEL, name, publish(tmp_path, MODEL, "master", files(64, seed)))
    with LocalHub(tmp_path) as hub:
        assert followed(client(hub), spec(tags="v*")).model.revision == "v1.10"
        assert followed(client(hub), spec()).model.revision == "master"
        with pytest.raises(OutsideError, match=r"'v2\*' and names a version or a d.*are: v1"):
            followed(client(hub), spec(tags="v2*"))


def test_the_image_is_named_by_its_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "digest_of_image", lambda image, keys: DIGEST)
    assert pinned(Policy(), spec(image=True), NOBODY).serving.image == f"r.io/vllm:1@{DIGEST}"
    assert pinned(Policy(), spec(), NOBODY).serving.image == "r.io/vllm:1"
    allowed = Policy(images=["r.io/vllm:1@sha256:*"], digests=True)
    assert pinned(allowed, spec(image=True), NOBODY).serving.image.endswith(DIGEST)


def test_a_login_is_that_of_the_engines_pull_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []

    def digest_of_image(image: str, keys: KeyRing) -> str:
        asked.append(("registry", image))
        assert keys.login(reference(image)) == Login("bot", "pull-it")
        return DIGEST

    def get(*what: str) -> dict[str, Any]:
        asked.append(what)
        auths = {"r.io": {"username": "bot", "password": "pull-it"}}
        config = b64encode(json.dumps({"auths": auths}).encode()).decode()
        return {"data": {".dockerconfigjson": config}}

    monkeypatch.setattr(follow, "digest_of_image", digest_of_image)
    wanted = spec(image=True)
    pod = {"imagePullSecrets": [{"name": "pull"}]}
    serving = wanted.serving.model_copy(update={"pod": pod})
    wanted = wanted.model_copy(update={"serving": serving, "namespace": "models"})
    cluster: Any = SimpleNamespace(get=get)
    assert pinned(Policy(), wanted, cluster).serving.image.endswith(DIGEST)
    assert asked == [("registry", "r.io/vllm:1"), ("Secret", "pull", "models")]


def test_a_registry_that_the_site_does_not_allow_is_not_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(follow, "digest_of_image", lambda image, keys: pytest.fail("asked"))
    with pytest.raises(Refused, match=r"image r\.io/vllm:1@sha256:0+ is not allowed here"):
        pinned(Policy(images=["mirror.io/*"]), spec(image=True), NOBODY)


def serving(commit: str, revision: str = "master", model: str = MODEL) -> State:
    stable = Release("old", "m-old", model, revision, commit, "d", "i", "n")
    return State("m", stable=stable)


@pytest.mark.parametrize("commits", [True, False])
def test_how_the_head_stands_to_what_serves(tmp_path: Path, commits: bool) -> None:
    old, new = (publish(tmp_path, MODEL, "master", files(64, seed)) for seed in range(2))
    with LocalHub(tmp_path, commits=commits) as hub:
        at = client(hub)
        now = new if commits else at.resolve(MODEL, "master").commit
        memory = WatchMemory()
        before = old if commits else f"digest-{'0' * 16}"
        assert standing(at, spec(), serving(before), memory, now).age == "newer"
        assert standing(at, spec(), State("m"), memory, now).age == "newer"
        assert standing(at, spec(), serving("x" * 40, model="o/other"), memory, now).age == "newer"
        # what serves was seen after it
        unknown = "b" * 40 if commits else f"digest-{'1' * 16}"
        seen = WatchMemory(seen=(unknown, hub_commit(now)))
        assert standing(at, spec(), serving(unknown), seen, now).age == "older"
        if commits:
            assert standing(at, spec(), serving(new), memory, old).age == "older"
            assert standing(at, spec(), serving("b" * 40), memory, now).age == "unknown"
            assert standing(at, spec(), serving(f"{new}-0123abcd"), memory, new).age == "same"


def test_what_serves_by_its_commit_is_not_known_by_its_files_without_a_person(
    tmp_path: Path,
) -> None:
    old, new = (publish(tmp_path, MODEL, "master", files(64, seed)) for seed in range(2))
    with LocalHub(tmp_path, commits=False) as hub:
        at = client(hub)
        now = at.resolve(MODEL, "master").commit
        for commit in (new, old, f"{old}-0123abcd"):
            with pytest.raises(OutsideError, match=rf"{hub.url} has no commits of .*{commit[:40]}"):
                standing(at, spec(), serving(commit), WatchMemory(), now)
            with pytest.raises(OutsideError, match="start it by hand once"):
                standing(at, spec(tags="*"), serving(commit), WatchMemory(), now)
        # once a person did, it is followed by its files
        assert standing(at, spec(), serving(f"digest-{'0' * 16}"), WatchMemory(), now).age == (
            "newer"
        )
        # what such a hub is asked for by a commit is not what its revision is now
        assert standing(at, spec(), serving(old), WatchMemory(), new).age == "unknown"
    with LocalHub(tmp_path) as hub:
        # nor is what is known by its files followed by commits
        order = standing(client(hub), spec(), serving(now), WatchMemory(), new)
        assert (order.age, "log of the revision" in order.why) == ("unknown", True)


def test_tags_stand_by_their_versions(tmp_path: Path) -> None:
    first, second = (publish(tmp_path, MODEL, "master", files(64, seed)) for seed in range(2))
    tag(tmp_path, MODEL, "v1", second)  # the higher version is the older commit
    tag(tmp_path, MODEL, "v2", first)
    with LocalHub(tmp_path) as hub:
        wanted = followed(client(hub), spec(tags="*"))
        order = standing(client(hub), wanted, serving(second, "v1"), WatchMemory(), first)
        assert (order.age, order.why) == ("newer", "v2 is a higher version than v1")
        # where what serves is of no tag, the log says
        assert standing(client(hub), wanted, serving(second), WatchMemory(), first).age == "unknown"


def test_a_hub_that_the_site_does_not_allow_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "Hub", SimpleNamespace())
    with pytest.raises(Refused, match="is not allowed here"):
        follow.hub_of(spec(), Policy(hubs=["https://hub.example"]))
