"""What an image's tag is now: its digest, by the registry's own word (OCI distribution API, without
a login). One HEAD request, which brings no image."""

from __future__ import annotations

import hashlib
import re
from ipaddress import ip_address
from urllib.parse import urlsplit

import httpx

from tasks.base.errors import OutsideError
from tasks.spec.images import DOCKER_HUB, Reference, reference

TIMEOUT_S = 20.0
MOST_BYTES = 4 << 20  # of a manifest, as the specification bounds it
_HOSTS = {DOCKER_HUB: "registry-1.docker.io"}
_KINDS = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_PART = re.compile(r'(\w+)="([^"]*)"')


def digest_of_image(image: str) -> str:
    """'sha256:<64 hex>' of what an image's name stands for now; of one that is named by digest,
    that.

    Raises OutsideError where the registry does not answer, or not without a login.
    """
    try:
        named = reference(image)
    except ValueError as error:
        raise OutsideError(f"serving.image: {error}") from error
    if named.digest:
        return named.digest
    with httpx.Client(timeout=TIMEOUT_S, follow_redirects=True) as http:
        try:
            return _asked(http, image, named)
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise OutsideError(
                f"registry {named.registry} did not tell what {image} is now "
                f"({type(error).__name__}: {error}); it is asked again later, and without "
                "watch.image it is not asked at all"
            ) from error


def _asked(http: httpx.Client, image: str, named: Reference) -> str:
    host = _HOSTS.get(named.registry, named.registry)
    scheme = "http" if _loopback(f"//{host}") else "https"
    url = f"{scheme}://{host}/v2/{named.repository}/manifests/{named.tag}"
    headers = {"Accept": ", ".join(_KINDS)}
    answer = http.head(url, headers=headers)
    if answer.status_code == 401:
        token = _token(http, answer.headers.get("WWW-Authenticate", ""), named)
        if token:
            headers["Authorization"] = f"Bearer {token}"
            answer = http.head(url, headers=headers)
    if answer.status_code in (401, 403):
        raise OutsideError(
            f"registry {named.registry} does not tell what {image} is without a login "
            f"({answer.status_code}): name the image by its digest, or leave watch.image out"
        )
    if answer.status_code == 404:
        raise OutsideError(
            f"registry {named.registry} does not know {image} (404); correct serving.image"
        )
    answer.raise_for_status()
    told = str(answer.headers.get("Docker-Content-Digest", ""))
    if _DIGEST.fullmatch(told):
        return told
    # a registry that does not say it: it is the hash of the manifest
    with http.stream("GET", url, headers=headers) as whole:
        whole.raise_for_status()
        found, size = hashlib.sha256(), 0
        for chunk in whole.iter_bytes():
            size += len(chunk)
            if size > MOST_BYTES:
                raise ValueError(f"a manifest of more than {MOST_BYTES:,} bytes")
            found.update(chunk)
    return f"sha256:{found.hexdigest()}"


def _token(http: httpx.Client, challenge: str, named: Reference) -> str:
    """A token for anybody, from where the registry says; '' where it gives none."""
    scheme, _, rest = challenge.partition(" ")
    parts = dict(_PART.findall(rest))
    realm = parts.get("realm", "")
    if scheme.lower() != "bearer" or not (realm.startswith("https://") or _loopback(realm)):
        return ""
    asked = {"scope": f"repository:{named.repository}:pull"}
    if service := parts.get("service"):
        asked["service"] = service
    answer = http.get(realm, params=asked)
    if answer.status_code != 200:
        return ""
    body = answer.json()
    found = (body.get("token") or body.get("access_token")) if isinstance(body, dict) else None
    return found if isinstance(found, str) else ""


def _loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
