"""Records in S3, against moto."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto import mock_aws

from tasks.base.errors import OutsideError
from tasks.outside.s3.mirror import BucketMirror


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret-value")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))


@pytest.fixture
def mirror() -> Iterator[BucketMirror]:
    with mock_aws():
        boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="records")
        yield BucketMirror("records", "/rollouts/", region="us-east-1")


def test_json_goes_there_and_back_and_can_be_written_again(mirror: BucketMirror) -> None:
    mirror.check()
    assert mirror.put_json("demo/1.json", {"a": 1}) == "s3://records/rollouts/demo/1.json"
    mirror.put_json("demo/1.json", {"a": "中"})
    assert mirror.get_json("demo/1.json") == {"a": "中"}
    assert mirror.get_json("demo/2.json") is None
    listed = boto3.client("s3", region_name="us-east-1").list_objects_v2(Bucket="records")
    assert [item["Key"] for item in listed["Contents"]] == ["rollouts/demo/1.json"]


def test_files_keep_their_type(mirror: BucketMirror, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    page.write_text("<p>ok</p>")
    mirror.put_file("report.html", page, "text/html")
    found = boto3.client("s3", region_name="us-east-1").get_object(
        Bucket="records", Key="rollouts/report.html"
    )
    assert found["ContentType"] == "text/html" and found["Body"].read() == b"<p>ok</p>"


def test_a_missing_bucket_is_named(mirror: BucketMirror, tmp_path: Path) -> None:
    other = BucketMirror("nothing", region="us-east-1")
    for call in (
        other.check,
        lambda: other.put_json("x", {}),
        lambda: other.get_json("x"),
        lambda: other.put_file("x", Path(__file__)),
    ):
        with pytest.raises(OutsideError, match=r"bucket nothing at AWS"):
            call()
    with pytest.raises(OutsideError, match="bucket records"):
        mirror.put_file("x", tmp_path / "missing")


def test_a_dead_endpoint_is_named_without_credentials() -> None:
    dead = BucketMirror("records", endpoint="http://127.0.0.1:9")
    with pytest.raises(OutsideError, match=r"bucket records at http://127.0.0.1:9") as caught:
        dead.check()
    assert "s3cret-value" not in str(caught.value)


def test_missing_credentials_say_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(OutsideError, match="set AWS_ACCESS_KEY_ID"):
        BucketMirror("records", endpoint="http://127.0.0.1:9").check()


def test_an_address_that_a_browser_opens(mirror: BucketMirror) -> None:
    found = mirror.presigned("demo/report.html")
    assert "/rollouts/demo/report.html?" in found and found.startswith("https://")
    assert "X-Amz-Algorithm=AWS4-HMAC-SHA256" in found and "X-Amz-Expires=604800" in found
    assert "s3cret-value" not in found
