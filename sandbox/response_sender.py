"""Sends responses over a connection and simulates connection faults."""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from aiohttp import web

from sandbox.http_messages import Response

_Sender: TypeAlias = Callable[..., Awaitable[tuple[web.StreamResponse, int]]]

# SO_LINGER with a timeout of 0 makes close() send a TCP reset.
_LINGER_ZERO = struct.pack("ii", 1, 0)


async def send_response(
    request: web.BaseRequest, response: Response
) -> tuple[web.StreamResponse, int]:
    """Send a response, applying its connection fault if it has one.

    Returns aiohttp's response and the number of body bytes sent.
    """
    fault = response.connection_fault
    if fault is None:
        return await _send_parts(request, response, [response.body])
    return await _CONNECTION_FAULTS[fault.name](request, response, **fault.options)


async def _reset(request: web.BaseRequest, _: Response) -> tuple[web.StreamResponse, int]:
    _abort(request)
    return web.Response(), 0


async def _reset_in_body(
    request: web.BaseRequest, response: Response
) -> tuple[web.StreamResponse, int]:
    stream, sent = await _send_half(request, response)
    _abort(request)
    return stream, sent


async def _truncated(
    request: web.BaseRequest, response: Response
) -> tuple[web.StreamResponse, int]:
    stream, sent = await _send_half(request, response)
    if request.transport is not None:
        request.transport.close()
    return stream, sent


async def _drip(
    request: web.BaseRequest, response: Response, *, pieces: int, seconds: float
) -> tuple[web.StreamResponse, int]:
    size = max(1, -(-len(response.body) // pieces))
    parts = [response.body[at : at + size] for at in range(0, len(response.body), size)]
    return await _send_parts(request, response, parts, pause=seconds)


async def _silence(
    request: web.BaseRequest, response: Response, *, seconds: float
) -> tuple[web.StreamResponse, int]:
    await asyncio.sleep(seconds)
    return await _reset(request, response)


_CONNECTION_FAULTS: Mapping[str, _Sender] = {
    "drip": _drip,
    "reset": _reset,
    "reset_in_body": _reset_in_body,
    "silence": _silence,
    "truncated": _truncated,
}


async def _send_half(
    request: web.BaseRequest, response: Response
) -> tuple[web.StreamResponse, int]:
    half = response.body[: len(response.body) // 2]
    return await _send_parts(request, response, [half], complete=False)


async def _send_parts(
    request: web.BaseRequest,
    response: Response,
    parts: list[bytes],
    *,
    pause: float = 0.0,
    complete: bool = True,
) -> tuple[web.StreamResponse, int]:
    stream = web.StreamResponse(status=response.status, headers=response.headers)
    stream.content_length = len(response.body)
    await stream.prepare(request)
    if request.method == "HEAD":
        parts = []
    for part in parts:
        if pause:
            await asyncio.sleep(pause)
        await stream.write(part)
    if complete:
        await stream.write_eof()
    return stream, sum(map(len, parts))


def _abort(request: web.BaseRequest) -> None:
    transport = request.transport
    if transport is None:
        return
    connection = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
    transport.abort()
