"""The real ModelScope client against the local hub."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from modelscope_hub._legacy_api import LegacyClient

from deployments.local.hub import Fault, LocalHub, head, publish, tag
from tasks.base.errors import OutsideError
from tasks.outside.modelscope.hub import Hub
from tests.support.hubs import HASTY, MODEL, QUICK, client, files, publish_tiny


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "hub"


@pytest.fixture
def hub(root: Path) -> Iterator[LocalHub]:
    publish_tiny(root)
    with LocalHub(root) as served:
        yield served


def test_resolves_branch_tag_and_commit_to_one_manifest(hub: LocalHub, root: Path) -> None:
    commit = head(root, MODEL, "master")
    assert commit is not None
    tag(root, MODEL, "v1", commit)
    found = [client(hub).resolve(MODEL, name) for name in ("master", "v1", commit)]
    assert {manifest.commit for manifest in found} == {commit}
    assert len({manifest.digest for manifest in found}) == 1
    assert [entry.path for entry in found[0].files] == sorted(files())
    assert all(entry.sha256 for entry in found[0].files)
    assert client(hub).revisions(MODEL) == (["master"], ["v1"])


def test_a_hub_without_commits_gives_a_digest_name(root: Path) -> None:
    publish_tiny(root)
    with LocalHub(root, commits=False) as hub:
        found = client(hub).resolve(MODEL, "master")
        assert found.commit == "digest-" + found.digest[7:23]
        assert found.fetch_ref == "master"


@pytest.mark.parametrize("status", [400, 401, 403, 408, 429])
def test_a_hub_that_does_not_tell_a_commit_is_none_without_commits(
    hub: LocalHub, status: int
) -> None:
    hub.faults.add(Fault("status", "@commits", times=None, status=status, retry_after=0))
    with pytest.raises(OutsideError, match=rf"{hub.url} .*the commits of"):
        client(hub).resolve(MODEL, "master")
    assert hub.counters["files"] == 0


def test_a_hub_that_lists_what_no_commit_is_of_is_not_believed(
    hub: LocalHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = client(hub)
    monkeypatch.setattr(mine, "commits", lambda *_, **__: [])
    with pytest.raises(OutsideError, match="tells commits, and none of that"):
        mine.resolve(MODEL, "master")


@pytest.mark.parametrize("body", ["[1]", "null", '"str"', '{"Data": {"Files": 5}}', "<html>"])
def test_a_listing_of_another_shape_is_the_hubs_error(
    hub: LocalHub, monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    answer = requests.Response()
    answer.status_code, answer._content, answer.url = 200, body.encode(), f"{hub.url}/x?sign=1"
    mine = client(hub)
    monkeypatch.setattr(LegacyClient, "_request_repo_tree", lambda *_, **__: answer)
    with pytest.raises(OutsideError, match=rf"failed to give the files .*{hub.url}/x answered"):
        mine.resolve(MODEL, "master")


def test_so_is_what_its_client_stumbles_over(
    hub: LocalHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    def request(*_: object, **__: object) -> None:
        raise AttributeError("'int' object has no attribute 'lower'")

    monkeypatch.setattr(LegacyClient, "_request", request)
    with pytest.raises(OutsideError, match=rf"{hub.url}/api/v1/models/.*cannot read .*'lower'"):
        client(hub).resolve(MODEL, "master")


def test_unknown_revision_is_an_error_that_lists_the_known(hub: LocalHub) -> None:
    with pytest.raises(OutsideError, match=r"no revision 'v9'.*known are: master"):
        client(hub).resolve(MODEL, "v9")


@pytest.mark.parametrize("status", [400, 404])
def test_a_hub_that_lists_no_commit_lists_its_revision(hub: LocalHub, status: int) -> None:
    hub.faults.add(Fault("status", "@files", times=1, status=status))
    found = client(hub).resolve(MODEL, "master")
    assert (found.commit, found.fetch_ref) == (head(hub.folder, MODEL, "master"), "master")


def test_unknown_model(hub: LocalHub) -> None:
    with pytest.raises(OutsideError, match=rf"{hub.url} does not know .*demo/other \(404\)"):
        client(hub).resolve("demo/other", "master")


@pytest.mark.parametrize(
    ("status", "sentence"),
    [(401, "refused the login"), (403, "does not allow")],
)
def test_a_refused_login_fails_at_once(hub: LocalHub, status: int, sentence: str) -> None:
    hub.faults.add(Fault("status", "@*", times=None, status=status))
    with pytest.raises(OutsideError, match=sentence):
        client(hub).resolve(MODEL, "master")
    assert hub.counters["files"] <= 2  # by commit and by revision, no retries


def test_passing_faults_of_the_api_are_waited_out(hub: LocalHub) -> None:
    hub.faults.add(
        Fault("status", "@commits", times=2, status=503),
        Fault("status", "@files", times=2, status=429, retry_after=0),
    )
    assert client(hub).resolve(MODEL, "master").commit == head(hub.folder, MODEL, "master")


def test_a_lasting_fault_names_address_time_and_tries(hub: LocalHub) -> None:
    hub.faults.add(Fault("status", "@commits", times=None, status=502))
    with pytest.raises(OutsideError, match=rf"{hub.url} .*after [\d.]+ s and 3 tries.*502"):
        client(hub).resolve(MODEL, "master")


def test_a_silent_hub_times_out(hub: LocalHub) -> None:
    hub.faults.add(Fault("stall", "@commits", times=None))
    with pytest.raises(OutsideError, match=r"3 tries: .*[Tt]imeout"):
        client(hub, HASTY).head(MODEL, "master")


def test_a_dead_hub_is_named(root: Path) -> None:
    publish_tiny(root)
    with LocalHub(root) as hub:
        url = hub.url
    with pytest.raises(OutsideError, match=rf"{url} .*Connection refused"):
        Hub(url, None, QUICK).resolve(MODEL, "master")


def test_paths_that_would_leave_the_folder_are_refused(hub: LocalHub, root: Path) -> None:
    publish(root, MODEL, "evil", {"../../etc/cron.d/x": b"boo", "config.json": b"{}"})
    with pytest.raises(OutsideError, match="could leave the folder"):
        client(hub).resolve(MODEL, "evil")


def test_listings_beyond_the_cap_are_whole_or_an_error(hub: LocalHub, root: Path) -> None:
    deep = {f"d{at % 3}/f{at}": b"x" for at in range(3300)}
    publish(root, MODEL, "deep", deep)
    assert len(client(hub).resolve(MODEL, "deep").files) == 3300
    publish(root, MODEL, "flat", {f"f{at}": b"x" for at in range(3300)})
    with pytest.raises(OutsideError, match="3000 or more"):
        client(hub).resolve(MODEL, "flat")


def test_small_files_are_checked_and_limited(hub: LocalHub) -> None:
    manifest = client(hub).resolve(MODEL, "master")
    read = client(hub).read_small
    hub.faults.add(Fault("corrupt", "config.json"))
    assert read(MODEL, manifest, "config.json") == files()["config.json"]
    assert hub.counters["file_requests"] == 2  # the corrupt answer was asked for again
    with pytest.raises(OutsideError, match="at most 1000"):
        read(MODEL, manifest, "weights/model.safetensors", 1000)
    with pytest.raises(OutsideError, match="no file nothing"):
        read(MODEL, manifest, "nothing")


@pytest.mark.parametrize(
    ("faults", "requests"),
    [
        ([Fault("cut", after=100_000)], 2),
        ([Fault("cut", after=60_000, times=4)], 5),  # more cuts than tries, each with progress
        ([Fault("stall", after=100_000)], 2),
        ([Fault("corrupt", after=7)], 2),
        ([Fault("status", status=429, retry_after=0)], 2),
        ([Fault("status", status=500, times=2)], 3),
        ([Fault("redirect")], 1),
        ([Fault("redirect", times=None), Fault("cut", after=100_000)], 2),
    ],
)
def test_downloads_survive(
    hub: LocalHub, tmp_path: Path, faults: list[Fault], requests: int
) -> None:
    path = "weights/model.safetensors"
    for fault in faults:
        fault.path = path
    manifest = client(hub).resolve(MODEL, "master")
    mine = client(hub, HASTY if faults[0].kind == "stall" else QUICK)
    hub.faults.add(*faults)
    entry = manifest.entry(path)
    assert entry is not None
    assert mine.download(manifest, entry, tmp_path) == entry.sha256
    assert (tmp_path / path).read_bytes() == files()[path]
    assert hub.counters["file_requests"] == requests
    wasted = entry.size if faults[0].kind == "corrupt" else 0
    assert hub.counters["bytes"] == mine.bytes_received == entry.size + wasted


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (Fault("corrupt", times=None), "wrong bytes .* 3 times: sha256"),
        (Fault("cut", times=None), "3 tries"),
        (Fault("status", times=None, status=404), r"does not know config.json .*404"),
    ],
)
def test_downloads_that_cannot_succeed(
    hub: LocalHub, tmp_path: Path, fault: Fault, sentence: str
) -> None:
    fault.path = "config.json"
    manifest = client(hub).resolve(MODEL, "master")
    hub.faults.add(fault)
    with pytest.raises(OutsideError, match=sentence):
        client(hub).download(manifest, manifest.files[0], tmp_path)
    assert fault.kind != "corrupt" or not (tmp_path / "config.json").exists()


def test_a_symlink_in_the_staging_folder_is_never_written_through(
    hub: LocalHub, tmp_path: Path
) -> None:
    manifest = client(hub).resolve(MODEL, "master")
    (tmp_path / "victim").write_bytes(b"precious")
    (tmp_path / "config.json").symlink_to(tmp_path / "victim")
    with pytest.raises(OutsideError, match="cannot write"):
        client(hub).download(manifest, manifest.files[0], tmp_path)
    assert (tmp_path / "victim").read_bytes() == b"precious"


def test_cancelling_ends_a_stalled_download(hub: LocalHub, tmp_path: Path) -> None:
    manifest = client(hub).resolve(MODEL, "master")
    hub.faults.add(Fault("stall", times=None, after=5))
    cancel = threading.Event()
    patient = client(hub, type(QUICK)(idle_s=60))

    def told(position: int, received: int) -> None:
        if position >= 5:
            cancel.set()

    with pytest.raises(Exception, match=r".") as caught:
        patient.download(manifest, manifest.files[0], tmp_path, told, cancel)
    assert not isinstance(caught.value, OutsideError)


def test_the_token_is_sent_kept_from_the_cdn_and_never_written(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MODEL_ROLLOUT_HUB_TOKEN", "s3cret-token")
    (tmp_path / "home").mkdir()
    publish_tiny(root)
    with LocalHub(root, token="s3cret-token") as hub, caplog.at_level(logging.DEBUG):
        monkeypatch.setenv("MODEL_ROLLOUT_HUB_TOKEN_FOR", hub.url)
        mine = Hub.from_env(hub.url, QUICK)
        manifest = mine.resolve(MODEL, "master")
        hub.faults.add(Fault("redirect", "config.json"))
        mine.download(manifest, manifest.files[0], tmp_path / "out")
        assert hub.counters["cdn_requests"] == 1 and hub.counters["cdn_logins"] == 0
        with pytest.raises(OutsideError, match="401") as caught:
            Hub(hub.url, "wrong", QUICK).resolve(MODEL, "master")
    assert not list((tmp_path / "home").rglob("*"))
    assert "s3cret-token" not in caplog.text + str(caught.value)
