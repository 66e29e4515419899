"""The floor: a server that hears nothing, thinks nothing, and answers on the same schedule.

    python -m benchmarks.relay --port 9300

It reads a Realtime client's frames and throws them away. At `input_audio_buffer.commit` it answers at once, in
deltas as long as an agent's that leave as far ahead of the ear. What N sessions see of it is what this machine,
uvloop and the WebSocket library make of the traffic alone. `python -m benchmarks.load --dialect relay` talks to it.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import time
from collections.abc import Iterator
from typing import Final

import uvloop
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from agents.spec import Latency

BYTES_PER_MS: Final = 48
LATENCY: Final = Latency()
CREATED: Final = b'{"type":"session.created","event_id":"event_0","session":{}}'
BEGUN: Final = b'{"type":"response.created","event_id":"event_0","response":{}}'
DONE: Final = b'{"type":"response.done","event_id":"event_0","response":{}}'
DELTA: Final = b'{"type":"response.output_audio.delta","event_id":"event_0","response_id":"resp_0","delta":"%s"}'
COMMIT: Final = b'"input_audio_buffer.commit"'


def schedule(answer_ms: int) -> Iterator[tuple[int, int]]:
    """When each delta leaves, in ms after the first, and how many ms of audio it holds."""
    at = 0
    while at < answer_ms:
        ms = min(LATENCY.delta_ms if at else LATENCY.first_delta_ms, answer_ms - at)
        yield max(0, at - LATENCY.lead_ms), ms
        at += ms


async def answer(socket: ServerConnection, answer_ms: int) -> None:
    await socket.send(BEGUN, text=True)
    began = time.monotonic()
    for at, ms in schedule(answer_ms):
        if (left := began + at / 1000 - time.monotonic()) > 0:
            await asyncio.sleep(left)
        await socket.send(DELTA % base64.b64encode(bytes(BYTES_PER_MS * ms)), text=True)
    await socket.send(DONE, text=True)


async def relay(port: int, answer_ms: int) -> None:
    async def converse(socket: ServerConnection) -> None:
        try:
            await socket.send(CREATED, text=True)
            async with asyncio.TaskGroup() as answers:
                while True:
                    if COMMIT in (await socket.recv(decode=False))[:60]:
                        answers.create_task(answer(socket, answer_ms))
        except* ConnectionClosed:
            pass

    async with serve(converse, "127.0.0.1", port, compression=None, max_size=None) as server:
        print(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
        await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--answer-ms", type=int, default=4000)
    options = parser.parse_args()
    uvloop.run(relay(options.port, options.answer_ms))


if __name__ == "__main__":
    main()
