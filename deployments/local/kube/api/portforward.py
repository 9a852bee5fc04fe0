"""pods/portforward over a websocket, protocol v4.channel.k8s.io.

Port number i of the request has channel 2i for data and 2i+1 for errors; the first message of
each channel is the port, two bytes little endian. A message is the channel byte and its data.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiohttp import WSMsgType, web

from deployments.local.kube.api.target import Target
from deployments.local.kube.network.endpoints import Target as Place
from deployments.local.kube.objects.status import StatusError
from deployments.local.kube.objects.store import Store

Forward = Callable[[str, str, int], Place | None]
PROTOCOL = "v4.channel.k8s.io"
_BLOCK = 1 << 16


def _ports(request: web.Request) -> list[int]:
    texts = [part for value in request.query.getall("ports", []) for part in value.split(",")]
    if not texts or not all(text.isdigit() and 0 < int(text) < 65536 for text in texts):
        raise StatusError(400, "BadRequest", "query parameter 'ports' must name ports (1-65535)")
    return [int(text) for text in texts]


async def serve(
    request: web.Request,
    target: Target,
    store: Store,
    forward: Forward,
) -> web.StreamResponse:
    """Join the client's channels to ports of the pod's loopback until one side ends."""
    pod = store.must("pods", target.ns, target.name)
    ports = _ports(request)
    offered = request.headers.get("Sec-WebSocket-Protocol", "")
    if PROTOCOL not in [part.strip() for part in offered.split(",")]:
        raise StatusError(
            400, "BadRequest", f"port-forward is served by websocket {PROTOCOL}, not {offered!r}"
        )
    if not pod["spec"].get("nodeName"):
        raise StatusError(400, "BadRequest", f"pod {target.name} does not have a host assigned")
    socket = web.WebSocketResponse(protocols=(PROTOCOL,), max_msg_size=0)
    await socket.prepare(request)
    writers: list[asyncio.StreamWriter | None] = []
    pumps: list[asyncio.Task[None]] = []
    try:
        for i, port in enumerate(ports):
            for channel in (2 * i, 2 * i + 1):
                await socket.send_bytes(bytes((channel, port % 256, port // 256)))
            try:
                place = await asyncio.to_thread(forward, target.ns, target.name, port)
                if place is None:
                    raise ConnectionRefusedError
                reader, writer = await asyncio.open_connection(*place)
            except OSError:
                told = _refused(pod["metadata"]["uid"], port)
                await socket.send_bytes(bytes((2 * i + 1,)) + told.encode())
                writers.append(None)
                continue
            writers.append(writer)
            pumps.append(asyncio.create_task(_pump(reader, socket, 2 * i)))
        if not pumps:
            return socket
        feeding = asyncio.create_task(_feed(socket, writers))
        pumped = asyncio.create_task(_all(pumps))
        await asyncio.wait({feeding, pumped}, return_when=asyncio.FIRST_COMPLETED)
        pumped.cancel()
        feeding.cancel()
        return socket
    finally:
        for pump in pumps:
            pump.cancel()
        for open_writer in writers:
            if open_writer is not None:
                open_writer.close()
        await socket.close()


def _refused(uid: str, port: int) -> str:
    """What a container runtime says where nothing listens on the pod's loopback."""
    return (
        f"error forwarding port {port} to pod {uid}, uid : failed to execute portforward: failed "
        f'to connect to localhost:{port} inside namespace "{uid}", IPv4: dial tcp4 '
        f"127.0.0.1:{port}: connect: connection refused IPv6 dial tcp6: address localhost: no "
        "suitable address"
    )


async def _pump(reader: asyncio.StreamReader, socket: web.WebSocketResponse, channel: int) -> None:
    """From the pod to the client, until the pod closes."""
    try:
        while data := await reader.read(_BLOCK):
            await socket.send_bytes(bytes((channel,)) + data)
    except ConnectionError:
        return


async def _all(tasks: list[asyncio.Task[None]]) -> None:
    await asyncio.gather(*tasks)


async def _feed(socket: web.WebSocketResponse, writers: list[asyncio.StreamWriter | None]) -> None:
    """From the client to the pod, until the client closes."""
    async for message in socket:
        if message.type != WSMsgType.BINARY or not message.data:
            continue
        port, error_channel = divmod(message.data[0], 2)
        writer = writers[port] if port < len(writers) else None
        if error_channel or writer is None:
            continue
        try:
            writer.write(message.data[1:])
            await writer.drain()
        except ConnectionError:
            return
