"""Callers in a process of their own who send audio as fast as the server takes it, until the process is ended.

    python -m tests.fakes.flood WS_URL KEY AGENT CALLERS

It prints a line once all are connected.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from contextlib import AsyncExitStack

from websockets.asyncio.client import ClientConnection, connect

from benchmarks.harness import speech

AT_ONCE_MS = 200


async def _send(line: ClientConnection, messages: list[str]) -> None:
    while True:
        for message in messages:
            await line.send(message)


async def _read(line: ClientConnection) -> None:
    async for _ in line:
        pass


async def flood(url: str, key: str, agent: str, callers: int) -> None:
    messages = [
        json.dumps({"type": "input_audio_buffer.append", "audio": base64.b64encode(piece.pcm).decode()})
        for piece in speech("Never mind, I am only talking.").split(AT_ONCE_MS)
    ]
    address, headers = f"{url}/v1/realtime?model={agent}", {"Authorization": f"Bearer {key}"}
    async with AsyncExitStack() as lines, asyncio.TaskGroup() as group:
        for _ in range(callers):
            line = await lines.enter_async_context(connect(address, additional_headers=headers, proxy=None))
            group.create_task(_send(line, messages))
            group.create_task(_read(line))
        sys.stdout.write("connected\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(flood(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])))
