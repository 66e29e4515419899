"""How long the language model's server is kept busy for a client that has left: python -m benchmarks.disconnect

A scripted provider, in a process of its own, speaks without end and notes when its own client leaves. What is
measured is the time from the moment at which a client of ours closes its connection, or asks from another one for the
response to be cancelled, to that. All processes read the same clock. Under both servers.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx

from benchmarks.harness import apply_agent, provider_log, providers, summary
from tests.processes import Server, manage, server

SERVERS = {
    "uvicorn": ("-m", "project.server", "--host", "127.0.0.1", "--port", "{port}"),
    "daphne": ("-m", "daphne", "-p", "{port}", "project.asgi:application"),
}
WORDS_READ = 5


async def until_words(lines: httpx.Response) -> str:
    """Read a few words; the id of the answer."""
    answer_id, words = "", 0
    async for line in lines.aiter_lines():
        if not line.startswith("data: {"):
            continue
        event = json.loads(line.removeprefix("data: "))
        answer_id = answer_id or event.get("id") or event["response"]["id"]
        words += bool("delta" in event or event.get("choices", [{}])[0].get("delta", {}).get("content"))
        if words == WORDS_READ:
            break
    return answer_id


async def leave(http: httpx.AsyncClient, path: str, body: dict[str, object]) -> float:
    """Close the connection in the middle of a stream."""
    async with http.stream("POST", path, json={**body, "stream": True}) as response:
        await until_words(response)
        return time.monotonic()


async def give_up(http: httpx.AsyncClient, path: str, body: dict[str, object]) -> float:
    """Close the connection while waiting for a whole answer."""
    try:
        await http.post(path, json=body, timeout=0.4)
    except httpx.ReadTimeout:
        return time.monotonic()
    raise AssertionError("the answer was not to end")


async def interrupt(http: httpx.AsyncClient, path: str, body: dict[str, object]) -> float:
    """Cancel from another connection, which stands already."""
    async with http.stream("POST", path, json={**body, "stream": True, "background": True}) as response:
        answer_id = await until_words(response)
        asked = time.monotonic()
        (await http.post(f"/responses/{answer_id}/cancel")).raise_for_status()
    return asked


async def closed_at(log_url: str, number: int) -> float:
    while (at := (await asyncio.to_thread(provider_log, log_url))[number]["disconnected"]) is None:  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    return float(at)


async def measure(
    name: str, running: Server, base_url: str, runs: int, act: Callable[[httpx.AsyncClient], Awaitable[float]]
) -> None:
    spans = []
    headers = {"Authorization": f"Bearer {running.key}"}
    async with httpx.AsyncClient(base_url=f"{running.url}/v1", headers=headers, timeout=20) as http:
        await http.get("/models")
        for _ in range(runs):
            number = len(provider_log(base_url))
            left = await act(http)
            spans.append((await closed_at(base_url, number) - left) * 1000)
    print(f"{name:<38} {summary(spans)}")


async def measure_all(running: Server, base_url: str, runs: int) -> None:
    chat: dict[str, object] = {"model": "bench", "messages": [{"role": "user", "content": "Count!"}]}
    ask: dict[str, object] = {"model": "bench", "input": "Count!"}
    ways: dict[str, Callable[[httpx.AsyncClient], Awaitable[float]]] = {
        "chat stream, client leaves": lambda http: leave(http, "/chat/completions", chat),
        "chat whole, client leaves": lambda http: give_up(http, "/chat/completions", chat),
        "response stream, client leaves": lambda http: leave(http, "/responses", ask),
        "response, cancelled from elsewhere": lambda http: interrupt(http, "/responses", ask),
    }
    for name, act in ways.items():
        await measure(name, running, base_url, runs, act)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=50)
    options = parser.parse_args()
    script = ("--llm-first-ms", "50", "--llm-tokens-per-s", "50", "--reply", "word " * 5_000)
    for name, command in SERVERS.items():
        with tempfile.TemporaryDirectory(prefix="repartee-bench-") as folder, providers(*script) as base_url:
            data = Path(folder)
            manage(data, "migrate")
            with server(command=command, data=data, DJANGO_SETTINGS_MODULE="project.settings") as running:
                running.wait_for("/healthz")
                apply_agent(running, base_url, data)
                print(f"{name}: client gone → provider's stream closed, ms, {options.runs} runs")
                asyncio.run(measure_all(running, base_url, options.runs))


if __name__ == "__main__":
    main()
