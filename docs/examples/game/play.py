"""Runs a game at 60 frames a second, pushes what changes on its board, and lets the agent take the steps.

python manage.py agent apply docs/examples/game/agent.yaml
REPARTEE_API_KEY=… python docs/examples/game/play.py --seconds 20
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import time
from collections import Counter
from typing import Any

from game import Game, by_chance
from openai import AsyncOpenAI
from openai.resources.realtime.realtime import AsyncRealtimeConnection
from openai.types.realtime import RealtimeFunctionToolParam

FRAME_S = 1 / 60
MOVE: RealtimeFunctionToolParam = {
    "type": "function",
    "name": "move",
    "parameters": {
        "type": "object",
        "properties": {"direction": {"enum": ["up", "down", "left", "right"]}, "because": {"type": "string"}},
        "required": ["direction"],
    },
}


class Player:
    """The newest step that the agent has called for."""

    def __init__(self, game: Game, *, show: int) -> None:
        self.game = game
        self.show = show
        self.direction: str | None = None
        self.pushed = 0
        self.counts: Counter[str] = Counter()

    async def play(self, session: AsyncRealtimeConnection, frames: int) -> None:
        """Push every thing, every frame, whether or not the agent keeps up; the key is the thing's name."""
        started = time.perf_counter()
        for frame in range(frames):
            self.game.step(self.direction)
            for name, data in self.game.seen().items():
                self.pushed += 1
                await session.send_raw(json.dumps({"type": "repartee.event", "key": name, "data": data}))
            await asyncio.sleep(max(0.0, started + (frame + 1) * FRAME_S - time.perf_counter()))

    async def listen(self, session: AsyncRealtimeConnection) -> None:
        async for event in session:
            if event.type == "error":
                raise SystemExit(event.error.message)
            if event.type == "response.function_call_arguments.done":
                self.take(json.loads(event.arguments))
            elif event.type == "response.done":
                told = event.response.metadata or {}
                self.counts["decisions"] += 1
                self.counts["missed"] += event.response.status == "failed"
                self.counts.update({name: int(told[name]) for name in ("events", "conflated")})

    def take(self, step: dict[str, str]) -> None:
        if self.show > 0 and step["direction"] != self.direction:
            self.show -= 1
            at = f"({self.game.me.x:2}, {self.game.me.y:2})"
            print(f"frame {self.game.frame:4} at {at}: {step['direction']:5} since {step['because']}")
        self.direction = step["direction"]


async def main(url: str, key: str, *, seconds: float, seed: int, show: int) -> dict[str, Any]:
    frames = round(seconds / FRAME_S)
    player = Player(Game(seed), show=show)
    client = AsyncOpenAI(base_url=f"{url}/v1", api_key=key)
    async with (
        client.realtime.connect(model="player", extra_query={"repartee": "1"}) as session,
        asyncio.TaskGroup() as group,
    ):
        await session.session.update(session={"type": "realtime", "tools": [MOVE]})
        listening = group.create_task(player.listen(session))
        await player.play(session, frames)
        listening.cancel()
    chance = by_chance(seed, frames)
    return {
        "seconds": seconds,
        "events_a_second": round(player.pushed / seconds),
        "decisions_a_second": round(player.counts["decisions"] / seconds),
        "share_conflated": round(player.counts["conflated"] / max(1, player.counts["events"]), 3),
        "missed_deadlines": player.counts["missed"],
        "coins": player.game.coins,
        "caught": player.game.caught,
        "score": player.game.score,
        "score_by_chance": chance.score,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://localhost:8000")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--show", type=int, default=12, help="turns to print")
    args = vars(parser.parse_args())
    print(json.dumps(asyncio.run(main(args.pop("url"), os.environ["REPARTEE_API_KEY"], **args)), indent=1))
