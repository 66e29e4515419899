"""Pushes every tick of a market into a trading agent's session, and fills the orders that come back.

python manage.py agent apply docs/examples/trading/agent.yaml
REPARTEE_API_KEY=… python docs/examples/trading/trade.py --seconds 20
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import time
from collections import Counter
from statistics import quantiles
from typing import Any

from market import MOST, Account, Market
from websockets.asyncio.client import ClientConnection, connect

STEP_S = 0.005


class Desk:
    """One session: what was sent, what came back, and what it was worth."""

    def __init__(self, market: Market, *, show: int) -> None:
        self.market = market
        self.account = Account()
        self.show = show
        self.sent_at: list[float] = []
        self.latencies_ms: list[float] = []
        self.counts: Counter[str] = Counter()

    async def push(self, session: ClientConnection, seconds: float) -> None:
        """Every tick as an event of its own, in real time. The position goes with it: the agent keeps none."""
        opened = time.perf_counter()
        while (now := time.perf_counter() - opened) < seconds:
            for quote in self.market.until(now):
                tick = {
                    "tick": len(self.sent_at),
                    "price": round(quote.price, 4),
                    "bid": quote.bid,
                    "ask": quote.ask,
                    "position": self.account.positions[quote.symbol],
                    "most": MOST,
                }
                self.sent_at.append(time.perf_counter())
                await session.send(json.dumps({"type": "repartee.event", "key": quote.symbol, "data": tick}))
            await asyncio.sleep(STEP_S)

    async def listen(self, session: ClientConnection) -> None:
        async for message in session:
            event = json.loads(message)
            if event["type"] == "error":
                raise SystemExit(event["error"]["message"])
            if event["type"] == "response.done":
                self.take(event["response"])

    def take(self, response: dict[str, Any]) -> None:
        """Count a decision and carry it out. It satisfies the agent's schema, or it has not come."""
        self.counts["decisions"] += 1
        self.counts.update({name: int(response["metadata"][name]) for name in ("events", "conflated", "expired")})
        if response["status"] != "completed":
            self.counts[response["status_details"]["error"]["code"]] += 1
            return
        order = json.loads(response["output"][0]["content"][0]["text"])
        self.latencies_ms.append((time.perf_counter() - self.sent_at[order["tick"]]) * 1000)
        if order["action"] == "hold":
            return
        quote = self.market.quotes[order["symbol"]]
        outcome = self.account.trade(quote, order["action"], order["size"], order["limit"])
        if self.show > 0:
            self.show -= 1
            what = f"{order['action']:4} {order['size']:3} {order['symbol']} at {order['limit']}"
            print(f"tick {order['tick']:6}: {what:28} {outcome}; position {self.account.positions[quote.symbol]}")

    def report(self, seconds: float) -> dict[str, Any]:
        cuts = quantiles(self.latencies_ms, n=100) if len(self.latencies_ms) > 1 else [0.0] * 99
        counts, account = self.counts, self.account
        return {
            "seconds": round(seconds, 1),
            "ticks_a_second": round(len(self.sent_at) / seconds),
            "decisions_a_second": round(counts["decisions"] / seconds),
            "share_conflated": round(counts["conflated"] / max(1, counts["events"]), 3),
            "expired": counts["expired"],
            "missed_deadlines": counts["deadline_exceeded"],
            "latency_p50_ms": round(cuts[49], 1),
            "latency_p95_ms": round(cuts[94], 1),
            "orders_filled": account.filled,
            "orders_not_filled": account.missed,
            "orders_refused": account.refused,
            "profit": round(account.worth(self.market)),
        }


async def main(url: str, key: str, *, seconds: float, rate: float, seed: int, show: int) -> dict[str, Any]:
    desk = Desk(Market(rate, seed), show=show)
    address = f"{url}/v1/realtime?model=trader&repartee=1"
    async with (
        connect(address, additional_headers={"Authorization": f"Bearer {key}"}) as session,
        asyncio.TaskGroup() as group,
    ):
        listening = group.create_task(desk.listen(session))
        await desk.push(session, seconds)
        await asyncio.sleep(0.5)
        listening.cancel()
    return desk.report(seconds)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="ws://localhost:8000")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--rate", type=float, default=1500, help="ticks a second")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--show", type=int, default=12, help="orders to print")
    args = vars(parser.parse_args())
    print(json.dumps(asyncio.run(main(args.pop("url"), os.environ["REPARTEE_API_KEY"], **args)), indent=1))
