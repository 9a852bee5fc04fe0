"""The HTTP side of the local hub (shapes as modelscope_hub 0.5.1 reads them)."""

from __future__ import annotations

import asyncio
import re
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

from aiohttp import web

from deployments.local.hub import repo
from deployments.local.hub.faults import Fault, Faults

LISTING_CAP = 3000  # entries; the real hub cuts a listing there and says nothing
_CHUNK = 256 << 10
_RANGE = re.compile(r"bytes=(\d+)-(\d*)\Z")


class LocalHub:
    """Serve the models of `folder` on a loopback port of its own thread.

    token: what clients must send, None for an open hub. cdn: send large files over a second
    port by a redirect, as the hub does. commits: offer the `commits` call and commit ids as
    revisions. counters: requests per call, `bytes` of files sent, `file_requests`, `cdn_requests`,
    `cdn_logins` (requests to the CDN that carried a login).
    """

    def __init__(
        self,
        folder: Path,
        faults: Iterable[Fault] | None = None,
        *,
        port: int = 0,
        token: str | None = None,
        cdn: bool = False,
        commits: bool = True,
    ) -> None:
        self.folder = folder
        self.faults = Faults(faults or ())
        self.counters: Counter[str] = Counter()
        self._port, self._token, self._cdn, self._commits = port, token, cdn, commits
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._stopped: asyncio.Event | None = None
        self._url = self._cdn_url = ""
        self._failed: BaseException | None = None

    @property
    def url(self) -> str:
        """http://127.0.0.1:<port>, after start()."""
        if not self._url:
            raise RuntimeError("the hub is not started")
        return self._url

    def start(self) -> LocalHub:
        """Serve; returns when both ports listen."""
        ready = threading.Event()
        self._thread = threading.Thread(
            target=self._main, args=(ready,), name="local-hub", daemon=True
        )
        self._thread.start()
        ready.wait()
        if self._failed is not None:
            raise self._failed
        return self

    def stop(self) -> None:
        """Stop at once, cutting what is being sent."""
        if self._loop is not None and self._stopped is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._stopped.set)
            self._thread.join()
        self._url = ""

    def __enter__(self) -> LocalHub:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _main(self, ready: threading.Event) -> None:
        try:
            asyncio.run(self._serve(ready))
        except BaseException as error:
            self._failed = error
            ready.set()

    async def _serve(self, ready: threading.Event) -> None:
        self._loop, self._stopped = asyncio.get_running_loop(), asyncio.Event()
        runner, self._url = await _listen(self._hub_app(), self._port)
        cdn, self._cdn_url = await _listen(self._cdn_app(), 0)
        ready.set()
        await self._stopped.wait()
        await asyncio.gather(runner.cleanup(), cdn.cleanup())

    def _hub_app(self) -> web.Application:
        app = web.Application(middlewares=[self._count])
        base = "/api/v1/models/{owner}/{name}"
        app.router.add_get(base + "/repo/files", self._guarded("files", self._files))
        app.router.add_get(base + "/repo", self._guarded("", self._file))
        app.router.add_get(base + "/revisions", self._guarded("revisions", self._revisions))
        if self._commits:
            app.router.add_get(base + "/commits", self._guarded("commits", self._list_commits))
        app.router.add_get(base, self._guarded("model", self._model))
        app.router.add_get("/api/v1/repos/internalAccelerationInfo", self._no_region)
        app.router.add_get("/debug/counters", self._show_counters)
        app.router.add_get("/debug/faults", self._show_faults)
        app.router.add_post("/debug/faults", self._add_faults)
        app.router.add_delete("/debug/faults", self._clear_faults)
        return app

    def _cdn_app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/blob/{sha}/{path:.+}", self._blob)
        return app

    @web.middleware
    async def _count(
        self,
        request: web.Request,
        handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
    ) -> web.StreamResponse:
        self.counters["requests"] += 1
        return await handler(request)

    def _guarded(
        self, call: str, handler: Callable[[web.Request, str], Awaitable[web.StreamResponse]]
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """Login, unknown model and the faults of API calls, before the handler."""

        async def answer(request: web.Request) -> web.StreamResponse:
            if call:
                self.counters[call] += 1
                struck = self.faults.take(f"@{call}", ("status", "stall"))
                if "stall" in struck:
                    await asyncio.sleep(struck["stall"].seconds)
                if "status" in struck:
                    return _status(struck["status"])
            if self._token and request.headers.get("Authorization") != f"Bearer {self._token}":
                return _error(401, 10010205003, "login required")
            model = f"{request.match_info['owner']}/{request.match_info['name']}"
            try:
                known = repo.read_refs(self.folder, model)
            except ValueError:
                known = None
            if known is None:
                return _error(404, 10010205001, f"model {model} does not exist")
            return await handler(request, model)

        return answer

    async def _files(self, request: web.Request, model: str) -> web.StreamResponse:
        commit = self._commit(model, request.query.get("Revision", "master"))
        if commit is None:
            return _data({"Files": None})  # the hub's answer to an unknown revision
        rows = [_row(blob) for blob in commit.files] + _trees(commit)
        root = request.query.get("Root", "").strip("/")
        if root:
            rows = [row for row in rows if row["Path"].startswith(root + "/")]
        if request.query.get("Recursive", "False") != "True":
            depth = root.count("/") + 1 if root else 0
            rows = [row for row in rows if row["Path"].count("/") == depth]
        rows.sort(key=lambda row: str(row["Path"]))
        latest = {"Id": "", "ShortId": commit.id[:8], "Message": commit.message}
        return _data({"Files": rows[:LISTING_CAP], "LatestCommitter": latest})

    async def _file(self, request: web.Request, model: str) -> web.StreamResponse:
        path = request.query.get("FilePath", "")
        self.counters["file_requests"] += 1
        struck = self.faults.take(path, ("status", "redirect"))
        if "status" in struck:
            return _status(struck["status"])
        commit = self._commit(model, request.query.get("Revision", "master"))
        blob = next((b for b in commit.files if b.path == path), None) if commit else None
        if blob is None:
            return _error(404, 10010205002, f"{model} has no file {path}")
        if "redirect" in struck or (self._cdn and blob.size > repo.LFS_BYTES):
            raise web.HTTPFound(f"{self._cdn_url}/blob/{blob.sha256}/{path}?signature=not-for-logs")
        return await self._send(request, path, blob.sha256, direct=True)

    async def _blob(self, request: web.Request) -> web.StreamResponse:
        self.counters["cdn_requests"] += 1
        self.counters["cdn_logins"] += bool({"Authorization", "Cookie"} & request.headers.keys())
        info = request.match_info
        return await self._send(request, info["path"], info["sha"], direct=False)

    async def _send(
        self, request: web.Request, path: str, sha: str, direct: bool
    ) -> web.StreamResponse:
        """A file or a range of it, with the faults that strike."""
        source = repo.blob_path(self.folder, sha)
        size = source.stat().st_size
        start, end, headers, status = 0, size, {"Accept-Ranges": "bytes"}, 200
        if match := _RANGE.match(request.headers.get("Range", "")):
            start = int(match[1])
            end = min(int(match[2]) + 1, size) if match[2] else size
            if start >= size:
                return web.Response(status=416, headers={"Content-Range": f"bytes */{size}"})
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
            status = 200 if direct else 206
        struck = self.faults.take(path, ("cut", "stall", "corrupt", "slow"))
        answer = web.StreamResponse(status=status, headers=headers)
        answer.content_length = end - start
        await answer.prepare(request)
        sent, stop = 0, struck.get("cut") or struck.get("stall")
        with source.open("rb") as file:
            file.seek(start)
            while sent < end - start:
                want = min(_CHUNK, end - start - sent)
                if stop is not None:
                    want = min(want, stop.after - sent)
                if slow := struck.get("slow"):
                    want = max(1, min(want, int(slow.rate / 20)))
                    await asyncio.sleep(want / slow.rate)
                if want <= 0:
                    break
                chunk = bytearray(file.read(want))
                if (bad := struck.get("corrupt")) and 0 <= (at := bad.after - start - sent) < len(
                    chunk
                ):
                    chunk[at] ^= 0xFF
                await answer.write(chunk)
                sent += len(chunk)
                self.counters["bytes"] += len(chunk)
        if sent < end - start:
            if "cut" not in struck:
                await asyncio.sleep(struck["stall"].seconds)
            if request.transport is not None:
                request.transport.close()
            return answer
        await answer.write_eof()
        return answer

    async def _revisions(self, request: web.Request, model: str) -> web.StreamResponse:
        refs = repo.read_refs(self.folder, model) or {"branches": {}, "tags": {}}
        rows = {
            kind: [{"Revision": name, "CreatedAt": 0} for name in refs[key]]
            for kind, key in (("Branches", "branches"), ("Tags", "tags"))
        }
        return _data({"RevisionMap": rows})

    async def _list_commits(self, request: web.Request, model: str) -> web.StreamResponse:
        commit = self._commit(model, request.query.get("Ref", "master"))
        rows, size = [], int(request.query.get("PageSize", "10"))
        while commit is not None:
            rows.append({"Id": commit.id, "Message": commit.message, "CommittedDate": commit.date})
            commit = self._commit(model, commit.parent) if commit.parent else None
        return _data({"Commit": rows[:size] or None, "TotalCount": len(rows)})

    async def _model(self, request: web.Request, model: str) -> web.StreamResponse:
        owner, name = model.split("/", 1)
        return _data({"Path": owner, "Name": name})

    async def _no_region(self, request: web.Request) -> web.StreamResponse:
        return _data({"InternalRegionQueryAddress": ""})

    async def _show_counters(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(dict(self.counters))

    async def _show_faults(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(self.faults.as_list())

    async def _add_faults(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        try:
            self.faults.add(*(Fault(**row) for row in (body if isinstance(body, list) else [body])))
        except (TypeError, ValueError) as error:
            return web.json_response({"error": str(error)}, status=400)
        return await self._show_faults(request)

    async def _clear_faults(self, request: web.Request) -> web.StreamResponse:
        self.faults.clear()
        return await self._show_faults(request)

    def _commit(self, model: str, revision: str) -> repo.Commit | None:
        if not self._commits and len(revision) == 40:
            return None
        found = repo.head(self.folder, model, revision)
        return repo.read_commit(self.folder, model, found) if found else None


async def _listen(app: web.Application, port: int) -> tuple[web.AppRunner, str]:
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    return runner, f"http://127.0.0.1:{runner.addresses[0][1]}"


def _row(blob: repo.Blob) -> dict[str, Any]:
    return {
        "Path": blob.path,
        "Name": blob.path.rsplit("/", 1)[-1],
        "Type": "blob",
        "Size": blob.size,
        "Sha256": blob.sha256,
        "IsLFS": blob.size > repo.LFS_BYTES,
        "Revision": blob.since,
        "CommitId": blob.since,
        "CommittedDate": blob.date,
    }


def _trees(commit: repo.Commit) -> list[dict[str, Any]]:
    folders = {
        blob.path[: match.start()] for blob in commit.files for match in re.finditer("/", blob.path)
    }
    return [
        {"Path": path, "Name": path.rsplit("/", 1)[-1], "Type": "tree", "Size": 0, "Sha256": ""}
        for path in folders
    ]


def _data(data: dict[str, Any]) -> web.Response:
    return web.json_response({"Code": 200, "Data": data, "Message": "success", "Success": True})


def _error(status: int, code: int, message: str) -> web.Response:
    body = {"Code": code, "Data": None, "Message": message, "Success": False}
    return web.json_response(body, status=status)


def _status(fault: Fault) -> web.Response:
    answer = _error(fault.status, fault.status, "asked to fail")
    if fault.retry_after is not None:
        answer.headers["Retry-After"] = f"{fault.retry_after:g}"
    return answer
