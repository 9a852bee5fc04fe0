"""The API server: HTTP over a Store, in its own thread."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import yaml
from aiohttp import web

from deployments.local.kube.api import discovery, portforward, tables
from deployments.local.kube.api import logs as logs_api
from deployments.local.kube.api.accounts import ADMIN, Accounts
from deployments.local.kube.api.reading import Reader
from deployments.local.kube.api.target import Options, Target, parse_options, parse_path
from deployments.local.kube.api.tls import Certificate
from deployments.local.kube.api.trouble import Trouble
from deployments.local.kube.api.verbs import Admit, OnDelete, Verbs, scale_of
from deployments.local.kube.api.watching import Alarm, stream
from deployments.local.kube.objects.status import StatusError, not_found
from deployments.local.kube.objects.store import Object, Store

_log = logging.getLogger(__name__)

Logs = Callable[[str, str, str, bool], Path | None]
Audit = tuple[str, str, str, str, str, str]
_BODY_LIMIT = 8 * 2**20
_USER = web.RequestKey("user", str)
_JSON = "application/json"


class ApiServer:
    """A Kubernetes API on 127.0.0.1.

    token: the administrator's bearer token; None lets everybody in. logs: (ns, pod, container,
    previous) to the log file, None where there is none. forward: (ns, pod, port) to where that port
    of the pod's loopback is, None where nothing listens.
    admit, on_delete: see Verbs. accounts: the tokens of others, who may do what their roles say.
    `audit` holds (verb, group, resource, subresource, namespace,
    user agent) of every request for a resource; `forbidden` (verb, resource) pairs, such as
    ('create', 'pods') or ('get', 'pods/log'), answer 403 and are denied in access reviews.
    `trouble` befalls requests for resources. `validation` is what unknown fields come to where a
    request does not say it: an error, for the product sends none. A real server only warns.
    """

    def __init__(
        self,
        store: Store,
        *,
        token: str | None = None,
        logs: Logs = lambda _ns, _pod, _container, _previous: None,
        forward: portforward.Forward = lambda _ns, _pod, _port: None,
        admit: Admit | None = None,
        on_delete: OnDelete | None = None,
        port: int = 0,
        certificate: Certificate | None = None,
    ) -> None:
        self.store = store
        self._certificate = certificate
        self.audit: list[Audit] = []
        self.forbidden: set[tuple[str, str]] = set()
        self.trouble: Trouble | None = None
        self.validation = "Strict"
        self._verbs, self._reader = Verbs(store, admit, on_delete), Reader(store)
        self.accounts = Accounts(store, token)
        self._logs, self._forward, self._port = logs, forward, port
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._alarm: Alarm | None = None
        self._stopping = False

    # -- life

    @property
    def url(self) -> str:
        """https://127.0.0.1:PORT (http without a certificate); the port is known after start()."""
        scheme = "https" if self._certificate else "http"
        return f"{scheme}://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Serve; returns when connections are taken. Raises OSError for a port in use."""
        self._stopping, started = False, threading.Event()
        failed: list[BaseException] = []

        def run() -> None:
            loop = self._loop = asyncio.new_event_loop()
            runner: web.AppRunner | None = None
            try:
                runner = loop.run_until_complete(self._begin(loop))
                started.set()
                loop.run_forever()
            except BaseException as error:
                failed.append(error)
            finally:
                if runner is not None:
                    loop.run_until_complete(runner.cleanup())
                loop.close()
                started.set()

        self._thread = threading.Thread(target=run, daemon=True, name="kube-api")
        self._thread.start()
        started.wait()
        if failed:
            raise failed[0]

    def stop(self) -> None:
        """End all connections and the thread; start() serves again at the same port."""
        loop, thread = self._loop, self._thread
        if loop is None or thread is None or not thread.is_alive():
            return
        self._stopping = True

        def end() -> None:
            if self._alarm is not None:
                self._alarm.close()
            loop.stop()

        loop.call_soon_threadsafe(end)
        thread.join(15)
        self._loop = self._thread = None

    async def _begin(self, loop: asyncio.AbstractEventLoop) -> web.AppRunner:
        app = web.Application(client_max_size=_BODY_LIMIT)
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        tls = self._certificate.context if self._certificate else None
        site = web.TCPSite(runner, "127.0.0.1", self._port, reuse_address=True, ssl_context=tls)
        await site.start()
        self._port = runner.addresses[0][1]
        self._alarm = Alarm(self.store, loop)
        return runner

    # -- requests

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        try:
            request[_USER] = self._authenticate(request)
            about = self._about(request)
            if about is not None:
                return about
            if request.path == "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews":
                return _answer(self._review(request[_USER], await _body(request)), 201)
            target = parse_path(request.path)
            if target is None:
                raise StatusError(
                    404, "NotFound", "the server could not find the requested resource"
                )
            if self.trouble is not None:
                return await self.trouble(request, lambda _: self._resource(request, target))
            return await self._resource(request, target)
        except StatusError as error:
            return _answer(error.body(), error.code)
        except (ConnectionError, asyncio.CancelledError, web.HTTPException):
            raise
        except Exception as error:
            _log.exception("%s %s", request.method, request.path)
            told = StatusError(500, "InternalError", f"{type(error).__name__}: {error}")
            return _answer(told.body(), 500)

    def _authenticate(self, request: web.Request) -> str:
        if request.path in ("/healthz", "/livez", "/readyz"):
            return ADMIN
        user = self.accounts.who(request.headers.get("Authorization", ""))
        if user is None:
            raise StatusError(401, "Unauthorized", "Unauthorized")
        return user

    def _about(self, request: web.Request) -> web.Response | None:
        """Paths that are no resource."""
        path = request.path.rstrip("/")
        parts = path.strip("/").split("/")
        found: Any = None
        if path in ("/healthz", "/livez", "/readyz"):
            return web.Response(text="ok")
        if path == "/version":
            found = discovery.VERSION
        elif path == "/debug/audit":
            found = [list(entry) for entry in self.audit]
        elif path in ("/api", "/apis"):
            if "as=APIGroupDiscoveryList" in request.headers.get("Accept", "") and (
                _JSON not in _plain_types(request)
            ):
                raise StatusError(406, "NotAcceptable", "aggregated discovery is not served")
            found = discovery.api_versions() if path == "/api" else discovery.groups()
        elif path == "/openapi/v3":
            found = discovery.openapi_index()
        elif path.startswith("/openapi/v3/"):
            found = discovery.openapi(path.removeprefix("/openapi/v3/"))
        elif parts[0] == "api" and len(parts) == 2:
            found = discovery.resources(parts[1])
        elif parts[0] == "apis" and len(parts) == 2:
            found = discovery.group(parts[1])
        elif parts[0] == "apis" and len(parts) == 3:
            found = discovery.resources(f"{parts[1]}/{parts[2]}")
        return None if found is None else _answer(found)

    def _review(self, user: str, body: Any) -> Object:
        asked = ((body or {}).get("spec") or {}).get("resourceAttributes") or {}
        sub = f"/{asked['subresource']}" if asked.get("subresource") else ""
        what = ("verb", "group", "resource", "namespace", "name")
        verb, group, resource, ns, name = (str(asked.get(key) or "") for key in what)
        return {
            **body,
            "status": {"allowed": self._may(user, verb, group, f"{resource}{sub}", ns, name)},
        }

    def _may(self, user: str, verb: str, group: str, resource: str, ns: str, name: str) -> bool:
        if (verb, resource) in self.forbidden:
            return False
        return self.accounts.may(user, verb, group, resource, ns, name)

    def _must_be_allowed(self, user: str, verb: str, target: Target) -> None:
        kind = target.kind
        named = f"{kind.plural}/{target.sub}" if target.sub else kind.plural
        if self._may(user, verb, kind.group, named, target.ns, target.name):
            return
        where = f' in the namespace "{target.ns}"' if target.ns else " at the cluster scope"
        raise StatusError(
            403,
            "Forbidden",
            f'{target.label} "{target.name}" is forbidden: User "{user}" cannot {verb} '
            f'resource "{named}" in API group "{kind.group}"{where}',
        )

    async def _resource(self, request: web.Request, target: Target) -> web.StreamResponse:
        verb = _verb(request, target)
        agent = request.headers.get("User-Agent", "")
        kind = target.kind
        self.audit.append((verb, kind.group, kind.plural, target.sub, target.ns, agent))
        self._must_be_allowed(request[_USER], verb, target)
        if target.sub == "log":
            return await logs_api.serve(request, target, self.store, self._logs, self._over)
        if target.sub == "portforward":
            return await portforward.serve(request, target, self.store, self._forward)
        if verb == "watch":
            assert self._alarm is not None
            show = tables.shower(request.headers.get("Accept", ""), target)
            return await stream(request, self._reader, target, self._alarm, show, self._over)
        return await self._plain(
            request, target, verb, parse_options(request.query, agent, self.validation)
        )

    def _over(self) -> bool:
        return self._stopping

    async def _plain(
        self, request: web.Request, target: Target, verb: str, options: Options
    ) -> web.Response:
        warnings: list[str] = []
        code = 200
        accept = request.headers.get("Accept", "")
        if verb == "list":
            found = self._reader.list(target, request.query)
            return _answer(tables.shower(accept, target)(found))
        if verb == "get":
            found = self.store.must(target.plural, target.ns, target.name)
            if target.sub == "scale":
                found = scale_of(target.kind, found)
                return _answer(found)
        else:
            body = await _body(request)
            if verb == "create":
                found, code = self._verbs.create(target, body, options, warnings), 201
            elif verb == "update":
                found = self._verbs.update(target, body, options, warnings)
            elif verb == "patch":
                if target.sub == "" and request.content_type == "application/apply-patch+yaml":
                    if not request.query.get("fieldManager"):
                        raise StatusError(
                            400, "BadRequest", "fieldManager: Required value: is required for apply"
                        )
                    exists = self.store.get(target.plural, target.ns, target.name)
                    if not exists:  # an apply that makes the object
                        self._must_be_allowed(request[_USER], "create", target)
                    code = 200 if exists else 201
                found = self._verbs.patch(target, request.content_type, body, options, warnings)
            else:
                return _answer(self._deleted(target, body or {}, options))
        answer = _answer(tables.shower(accept, target)(found), code)
        for text in warnings:
            answer.headers.add("Warning", f'299 - "{text}"'.replace("\n", " "))
        return answer

    def _deleted(self, target: Target, body: Any, options: Options) -> Object:
        old = self.store.get(target.plural, target.ns, target.name)
        if old is None:
            raise not_found(target.label, target.name)
        left = self._verbs.delete(target, body, options)
        if left is not None and left["metadata"]["uid"] == old["metadata"]["uid"]:
            return left
        details = {"name": target.name, "group": target.kind.group, "kind": target.plural}
        details["uid"] = old["metadata"]["uid"]
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Success",
            "details": details,
        }


_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def _plain_types(request: web.Request) -> list[str]:
    return [part.strip() for part in request.headers.get("Accept", "").split(",")]


_METHODS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


def _verb(request: web.Request, target: Target) -> str:
    method = request.method
    if method == "GET":
        if request.query.get("watch") in ("true", "1") and not target.sub:
            return "watch"
        if target.sub == "portforward":
            return "create"  # whatever the method, since 1.35
        return "get" if target.name else "list"
    verb = _METHODS.get(method, "")
    whole = verb == "create" and not target.sub  # goes to the collection, all others to an object
    scoped = bool(target.ns) or not target.kind.namespaced
    if verb not in discovery.verbs_of(target.sub) or whole == bool(target.name) or not scoped:
        raise StatusError(
            405, "MethodNotAllowed", "the server does not allow this method on the resource"
        )
    return verb


async def _body(request: web.Request) -> Any:
    """The decoded body, None when empty."""
    if "protobuf" in request.content_type:
        raise StatusError(415, "UnsupportedMediaType", "protobuf is not accepted: send JSON")
    data = await request.read()
    if not data.strip():
        return None
    try:
        return json.loads(data)
    except ValueError as error:
        if "yaml" not in request.content_type:
            raise StatusError(400, "BadRequest", f"the body is no JSON: {error}") from error
    try:
        return yaml.safe_load(data)
    except yaml.YAMLError as error:
        raise StatusError(400, "BadRequest", f"the body is no YAML: {error}") from error


def _answer(body: Any, code: int = 200) -> web.Response:
    return web.Response(body=json.dumps(body).encode(), status=code, content_type=_JSON)


def write_kubeconfig(
    path: Path, url: str, token: str | None, authority: bytes | None = None
) -> None:
    """Write a kubeconfig, readable by its owner only.

    authority: PEM of the certificate to trust. kubectl sends no token over plain http, so there it
    works only with a server that has none; the Python client does.
    """
    user = {"token": token} if token else {}
    cluster = {"server": url}
    if authority is not None:
        cluster["certificate-authority-data"] = base64.b64encode(authority).decode()
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "standin", "cluster": cluster}],
        "users": [{"name": "standin", "user": user}],
        "contexts": [
            {
                "name": "standin",
                "context": {"cluster": "standin", "user": "standin", "namespace": "default"},
            }
        ],
        "current-context": "standin",
    }
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text(yaml.safe_dump(config, sort_keys=False))
