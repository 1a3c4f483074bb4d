"""How an answer goes over the wire, and the ways in which it can fail to."""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from aiohttp import web

from sandbox.http_messages import Answer

_Sender: TypeAlias = Callable[..., Awaitable[tuple[web.StreamResponse, int]]]

# Lingering for no time at all turns a close into a reset.
_RESET = struct.pack("ii", 1, 0)


async def send(request: web.BaseRequest, answer: Answer) -> tuple[web.StreamResponse, int]:
    """Send an answer, or break it as it asks; returns the response and the bytes of body sent."""
    if answer.breakage is None:
        return await _whole(request, answer)
    return await _BREAKAGES[answer.breakage.name](request, answer, **answer.breakage.options)


async def _whole(request: web.BaseRequest, answer: Answer) -> tuple[web.StreamResponse, int]:
    return await _pieces(request, answer, [answer.body])


async def _reset(request: web.BaseRequest, _: Answer) -> tuple[web.StreamResponse, int]:
    _abort(request)
    return web.Response(), 0


async def _reset_in_body(
    request: web.BaseRequest, answer: Answer
) -> tuple[web.StreamResponse, int]:
    response, sent = await _half(request, answer)
    _abort(request)
    return response, sent


async def _truncated(request: web.BaseRequest, answer: Answer) -> tuple[web.StreamResponse, int]:
    response, sent = await _half(request, answer)
    if request.transport is not None:
        request.transport.close()
    return response, sent


async def _drip(
    request: web.BaseRequest, answer: Answer, *, pieces: int, seconds: float
) -> tuple[web.StreamResponse, int]:
    size = max(1, -(-len(answer.body) // pieces))
    parts = [answer.body[at : at + size] for at in range(0, len(answer.body), size)]
    return await _pieces(request, answer, parts, pause=seconds)


async def _silence(
    request: web.BaseRequest, answer: Answer, *, seconds: float
) -> tuple[web.StreamResponse, int]:
    await asyncio.sleep(seconds)
    return await _reset(request, answer)


_BREAKAGES: Mapping[str, _Sender] = {
    "drip": _drip,
    "reset": _reset,
    "reset_in_body": _reset_in_body,
    "silence": _silence,
    "truncated": _truncated,
}


async def _half(request: web.BaseRequest, answer: Answer) -> tuple[web.StreamResponse, int]:
    return await _pieces(request, answer, [answer.body[: len(answer.body) // 2]], whole=False)


async def _pieces(
    request: web.BaseRequest,
    answer: Answer,
    pieces: list[bytes],
    *,
    pause: float = 0.0,
    whole: bool = True,
) -> tuple[web.StreamResponse, int]:
    response = web.StreamResponse(status=answer.status, headers=answer.headers)
    response.content_length = len(answer.body)
    await response.prepare(request)
    if request.method == "HEAD":
        pieces = []
    for piece in pieces:
        if pause:
            await asyncio.sleep(pause)
        await response.write(piece)
    if whole:
        await response.write_eof()
    return response, sum(map(len, pieces))


def _abort(request: web.BaseRequest) -> None:
    transport = request.transport
    if transport is None:
        return
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    transport.abort()
