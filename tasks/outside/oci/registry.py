"""What an image's tag is now: its digest, by the registry's own word (OCI distribution API). One
HEAD request, which brings no image; where the registry wants a token, one more for that. Only an
image's manifest has a digest: a page that a proxy or a login put in its place is an error.

A login goes nowhere but to where the registry itself says that its tokens are had, or to the
registry, over https or loopback, and follows no redirection.
"""

from __future__ import annotations

import hashlib
import json
import re
from base64 import b64encode
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import httpx

from tasks.base.errors import OutsideError
from tasks.base.halt import within
from tasks.base.scrub import answered, hold
from tasks.outside.oci.logins import KeyRing, Login
from tasks.spec.images import DOCKER_HUB, Reference, reference

TIMEOUT_S = 20.0  # of each read
ANSWER_S = 60.0  # of all requests together, however often a byte comes
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


class _WrongAnswer(Exception):
    """Something else came than what was asked for."""


def digest_of_image(image: str, keys: KeyRing) -> str:
    """'sha256:<64 hex>' of what an image's name stands for now; of one that is named by digest,
    that. keys: asked where the registry wants a login.

    Raises OutsideError where the registry does not answer in ANSWER_S, or not this login, or
    anything but the digest of an image.
    """
    try:
        named = reference(image)
    except ValueError as error:
        raise OutsideError(f"serving.image: {error}") from error
    if named.digest:
        return named.digest
    cause: Exception | None
    try:
        return within(ANSWER_S, lambda: _asked(image, named, keys))
    except TimeoutError:
        why, cause = f"no whole answer in {ANSWER_S:g} s", None
    except _WrongAnswer as error:
        why, cause = str(error), error
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        why, cause = f"{type(error).__name__}: {error}", error
    raise OutsideError(
        f"registry {named.registry} did not tell what {image} is now ({why}); it is asked again "
        "later, and without watch.image it is not asked at all"
    ) from cause


def _asked(image: str, named: Reference, keys: KeyRing) -> str:
    with httpx.Client(timeout=TIMEOUT_S, follow_redirects=True) as http:
        return _digest(http, image, named, keys)


def _digest(http: httpx.Client, image: str, named: Reference, keys: KeyRing) -> str:
    host = _HOSTS.get(named.registry, named.registry)
    scheme = "http" if _loopback(f"//{host}") else "https"
    url = f"{scheme}://{host}/v2/{named.repository}/manifests/{named.tag}"
    headers = {"Accept": ", ".join(_KINDS)}
    answer = http.head(url, headers=headers)
    if answer.status_code == 401 and not answer.history:  # its own word, and not another's
        allowed = _allowed(http, answer, named, keys)
        if allowed:
            headers["Authorization"] = allowed
            answer = http.head(url, headers=headers)
    if answer.status_code in (401, 403):
        looked = f"; logins were looked for in {', '.join(keys.looked)}" if keys.looked else ""
        raise OutsideError(
            f"registry {named.registry} does not tell what {image} is "
            f"({answer.status_code}){looked}: give it a login that may pull, in an image pull "
            "Secret of serving.pod or in the docker configuration of this process, name the image "
            "by its digest, or leave watch.image out"
        )
    if answer.status_code == 404:
        raise OutsideError(
            f"registry {named.registry} does not know {image} (404); correct serving.image"
        )
    answer.raise_for_status()
    told = str(answer.headers.get("Docker-Content-Digest", ""))
    if _kind(answer) in _KINDS and _DIGEST.fullmatch(told):
        return told
    # a registry that does not say it: it is the hash of the manifest
    return _hashed(http, url, headers)


def _hashed(http: httpx.Client, url: str, headers: Mapping[str, str]) -> str:
    with http.stream("GET", url, headers=headers) as answer:
        answer.raise_for_status()
        body = _body(answer)
    found = _object(body)
    if found.get("schemaVersion") != 2 or not {"manifests", "layers"} & found.keys():
        raise _wrong(answer, body, "the manifest of an image")
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def _kind(answer: httpx.Response) -> str:
    return str(answer.headers.get("Content-Type", "")).partition(";")[0].strip().lower()


def _body(answer: httpx.Response) -> bytes:
    found = bytearray()
    for chunk in answer.iter_bytes():
        found += chunk
        if len(found) > MOST_BYTES:
            raise _WrongAnswer(
                f"{answered(str(answer.url), _kind(answer), '')} of more than {MOST_BYTES:,} bytes"
            )
    return bytes(found)


def _object(body: bytes) -> Mapping[str, Any]:
    """Empty for what is none."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _wrong(answer: httpx.Response, body: bytes, expected: str) -> _WrongAnswer:
    found = answered(str(answer.url), _kind(answer), body[:4000].decode(errors="replace"))
    return _WrongAnswer(
        f"{found}, and {expected} was expected: is that the registry, or a proxy or a login page "
        "before it?"
    )


def _allowed(http: httpx.Client, answer: httpx.Response, named: Reference, keys: KeyRing) -> str:
    """What is said to the registry that has asked who we are; '' where there is nothing to say."""
    scheme, _, rest = answer.headers.get("WWW-Authenticate", "").partition(" ")
    parts = dict(_PART.findall(rest))
    match scheme.lower():
        case "bearer":
            token = _token(http, parts, named, keys)
            return f"Bearer {token}" if token else ""
        case "basic" if _private(str(answer.url)):
            login = keys.login(named)
            return _basic(login) if login else ""
    return ""


def _token(http: httpx.Client, parts: Mapping[str, str], named: Reference, keys: KeyRing) -> str:
    """A token from where the registry says, for our login or else for anybody; '' for none."""
    realm = parts.get("realm", "")
    if not _private(realm):
        return ""
    asked = {"scope": f"repository:{named.repository}:pull"}
    if service := parts.get("service"):
        asked["service"] = service
    login = keys.login(named)
    headers = {"Authorization": _basic(login)} if login else {}
    with http.stream("GET", realm, params=asked, headers=headers, follow_redirects=False) as answer:
        if answer.status_code == 429 or answer.is_server_error:  # it says nothing of the login
            answer.raise_for_status()
        if answer.status_code != 200:
            return ""
        body = _body(answer)
    said = _object(body)
    found = said.get("token") or said.get("access_token")
    if not isinstance(found, str):
        raise _wrong(answer, b"" if said else body, "a token")
    hold(found)
    return found


def _basic(login: Login) -> str:
    word = b64encode(f"{login.user}:{login.word}".encode()).decode()
    hold(word)
    return f"Basic {word}"


def _private(url: str) -> bool:
    """Whether nobody on the way reads what is said there."""
    return url.startswith("https://") or _loopback(url)


def _loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
