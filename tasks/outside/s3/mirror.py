"""Records in an S3 bucket, by boto3.

Credentials come from the usual chain alone (environment, profile, instance role). Keys are given
by the caller and writing the same key again replaces it, so a step that is run again is harmless.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from tasks.base.errors import OutsideError
from tasks.base.scrub import hold

T = TypeVar("T")
WEEK_S = 7 * 24 * 3600  # no signature is good for longer


def _session() -> Any:
    """A session whose credentials are hidden wherever they would be shown."""
    session = boto3.session.Session()
    if found := session.get_credentials():
        now = found.get_frozen_credentials()
        hold(now.secret_key, now.token)
    return session


class BucketMirror:
    """Objects under `prefix` of `bucket`.

    endpoint: None for AWS, else the address of an S3-compatible server (path-style addresses).
    Every method raises OutsideError that names bucket and endpoint.
    """

    def __init__(
        self,
        bucket: str,
        prefix: str = "",
        endpoint: str | None = None,
        region: str | None = None,
    ) -> None:
        self.bucket, self.prefix, self.endpoint = bucket, prefix.strip("/"), endpoint
        self._client = self._told(
            # a session of its own: the default one is shared and not safe between threads
            lambda: _session().client(
                "s3",
                endpoint_url=endpoint,
                region_name=region or ("us-east-1" if endpoint else None),
                config=Config(
                    connect_timeout=5,
                    read_timeout=30,
                    # some servers, and AWS where a bucket is younger, take no older signature
                    signature_version="s3v4",
                    retries={"mode": "standard", "max_attempts": 4},
                    s3={"addressing_style": "path"} if endpoint else {},
                    # other servers than AWS do not all know the newer checksums
                    request_checksum_calculation="when_required",
                    response_checksum_validation="when_required",
                ),
            )
        )

    def url(self, key: str) -> str:
        """s3://bucket/prefix/key, for people and records."""
        return f"s3://{self.bucket}/{self._key(key)}"

    def check(self) -> None:
        """Raise unless the bucket is there and answers us."""
        self._told(lambda: self._client.head_bucket(Bucket=self.bucket))

    def put_json(self, key: str, obj: Any) -> str:
        """Write `obj` as JSON; returns its address."""
        body = json.dumps(obj, ensure_ascii=False, indent=1, sort_keys=True).encode()
        self._told(
            lambda: self._client.put_object(
                Bucket=self.bucket,
                Key=self._key(key),
                Body=body,
                ContentType="application/json",
            )
        )
        return self.url(key)

    def put_file(self, key: str, path: Path, content_type: str = "application/octet-stream") -> str:
        """Upload a file; returns its address."""
        self._told(
            lambda: self._client.upload_file(
                str(path), self.bucket, self._key(key), ExtraArgs={"ContentType": content_type}
            )
        )
        return self.url(key)

    def presigned(self, key: str, seconds: int = WEEK_S) -> str:
        """An address of an object that whoever has it may read, so long at most: temporary
        credentials end sooner."""
        where = {"Bucket": self.bucket, "Key": self._key(key)}
        address: str = self._told(
            lambda: self._client.generate_presigned_url(
                "get_object", Params=where, ExpiresIn=seconds
            )
        )
        return address

    def get_json(self, key: str) -> Any:
        """Read what `put_json` wrote; None when there is no such key."""
        try:
            body: bytes = self._told(lambda: self._read(key))
            return json.loads(body)
        except OutsideError as error:
            cause = error.__cause__
            if isinstance(cause, ClientError) and cause.response["Error"]["Code"] == "NoSuchKey":
                return None
            raise
        except ValueError as error:
            raise OutsideError(f"{self.url(key)} is no JSON: {error}") from error

    def _read(self, key: str) -> bytes:
        answer = self._client.get_object(Bucket=self.bucket, Key=self._key(key))
        body: bytes = answer["Body"].read()
        return body

    def _key(self, key: str) -> str:
        return f"{self.prefix}/{key.lstrip('/')}" if self.prefix else key.lstrip("/")

    def _told(self, call: Callable[[], T]) -> T:
        where = f"bucket {self.bucket} at {self.endpoint or 'AWS'}"
        try:
            return call()
        except NoCredentialsError as error:
            raise OutsideError(
                f"{where}: no credentials found; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
                "or give the pod a role"
            ) from error
        except ClientError as error:
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
            code = error.response.get("Error", {}).get("Code")
            hint = {
                403: "; the credentials may not use it",
                404: "; is the bucket's name right?",
            }.get(status, "")
            raise OutsideError(f"{where} answered {status} {code}{hint}") from error
        except (BotoCoreError, OSError, ValueError, boto3.exceptions.Boto3Error) as error:
            raise OutsideError(f"{where} failed: {error}") from error
