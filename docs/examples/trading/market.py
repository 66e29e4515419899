"""A market that never was: twelve symbols with trends that come and go, and ticks that come in bursts."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

SYMBOLS = ("ACME", "BOLT", "CRUX", "DUNE", "ECHO", "FLUX", "GALE", "HALO", "IRIS", "JADE", "KITE", "LUMA")
MOST = 300
"""The largest position in a symbol, long or short."""


@dataclass
class Quote:
    """`activity` is its share of all ticks, before bursts; `drift` is of the log price, a tick."""

    symbol: str
    price: float
    activity: float
    drift: float = 0.0
    busy_until: float = 0.0

    @property
    def half_spread(self) -> float:
        return self.price * 0.0001

    @property
    def bid(self) -> float:
        return round(self.price - self.half_spread, 3)

    @property
    def ask(self) -> float:
        return round(self.price + self.half_spread, 3)


class Market:
    """Gives `rate` ticks a second on average; time is in seconds from its opening."""

    def __init__(self, rate: float, seed: int) -> None:
        self._random = Random(seed)
        self._rate = rate
        self._next = 0.0
        self.ticks = 0
        self.quotes = {
            name: Quote(name, self._random.uniform(20, 400), 1 / (rank + 2)) for rank, name in enumerate(SYMBOLS)
        }

    def until(self, now: float) -> Iterator[Quote]:
        """The symbols that trade until `now`, one by one, each with its new price."""
        r = self._random
        while self._next <= now:
            quotes = list(self.quotes.values())
            weights = [quote.activity * (4 if self._next < quote.busy_until else 1) for quote in quotes]
            (quote,) = r.choices(quotes, weights)
            if r.random() < 0.002:  # a new trend, and for half a second everybody wants this one
                quote.drift, quote.busy_until = r.gauss(0, 0.00004), self._next + 0.5
            quote.price *= math.exp(quote.drift + r.gauss(0, 0.0001))
            self.ticks += 1
            yield quote
            self._next += r.expovariate(self._rate)


@dataclass
class Account:
    """What was bought and sold. An order that would exceed the limit is refused whatever the agent thinks."""

    positions: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SYMBOLS, 0))
    cash: float = 0.0
    filled: int = 0
    missed: int = 0
    refused: int = 0

    def trade(self, quote: Quote, action: str, size: int, limit: float) -> str:
        """Fill an order at the market's price of now, if that still keeps the order's limit."""
        signed = size if action == "buy" else -size
        if abs(self.positions[quote.symbol] + signed) > MOST:
            self.refused += 1
            return "refused: position limit"
        price = quote.ask if action == "buy" else quote.bid
        if (action == "buy" and price > limit) or (action == "sell" and price < limit):
            self.missed += 1
            return "not filled: the price has gone"
        self.positions[quote.symbol] += signed
        self.cash -= signed * price
        self.filled += 1
        return f"filled at {price}"

    def worth(self, market: Market) -> float:
        """Cash and positions at the middle prices: the profit, since it began with nothing."""
        return self.cash + sum(size * market.quotes[name].price for name, size in self.positions.items())
