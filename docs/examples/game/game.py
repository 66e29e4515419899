"""A board of coins and ghosts. Nothing here knows of agents: a player is whatever calls `step`."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

WIDTH, HEIGHT = 24, 16
COINS, GHOSTS = 6, 3
CAUGHT = 5
"""Points lost to a ghost."""
STEPS = {"up": (0, -1), "down": (0, 1), "left": (-1, 0), "right": (1, 0)}
OPPOSITE = {"up": "down", "down": "up", "left": "right", "right": "left"}


@dataclass
class Thing:
    name: str
    kind: str
    x: int
    y: int


class Game:
    """The player may take a step every 5 frames; a ghost takes one every 12 frames, now and then towards the player."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self.frame = 0
        self.coins = 0
        self.caught = 0
        self.me = Thing("me", "me", WIDTH // 2, HEIGHT // 2)
        self.things = [self._somewhere(f"coin{n}", "coin") for n in range(COINS)]
        self.things += [self._somewhere(f"ghost{n}", "ghost") for n in range(GHOSTS)]

    @property
    def score(self) -> int:
        return self.coins - CAUGHT * self.caught

    def step(self, direction: str | None) -> None:
        """One frame, with the direction that the player wants now."""
        self.frame += 1
        if direction is not None and self.frame % 5 == 0:
            _go(self.me, direction)
        for ghost in self.things:
            if ghost.kind == "ghost" and self.frame % 12 == 0:
                hunts = self._random.random() < 0.5
                _go(ghost, towards(ghost, self.me) if hunts else self._random.choice(list(STEPS)))
        for thing in self.things:
            if (thing.x, thing.y) == (self.me.x, self.me.y):
                self._meet(thing)

    def seen(self) -> dict[str, dict[str, Any]]:
        """By name, what the player sees of each thing on the board."""
        state: dict[str, dict[str, Any]] = {"me": {"kind": "me", "x": self.me.x, "y": self.me.y, "score": self.score}}
        for thing in self.things:
            direction = towards(self.me, thing)
            state[thing.name] = {
                "kind": thing.kind,
                "distance": abs(thing.x - self.me.x) + abs(thing.y - self.me.y),
                "toward": direction,
                "away": self._free_way(OPPOSITE[direction]),
            }
        return state

    def _meet(self, thing: Thing) -> None:
        if thing.kind == "coin":
            self.coins += 1
        else:
            self.caught += 1
        elsewhere = self._somewhere(thing.name, thing.kind)
        thing.x, thing.y = elsewhere.x, elsewhere.y

    def _somewhere(self, name: str, kind: str) -> Thing:
        """Not near the player."""
        while True:
            thing = Thing(name, kind, self._random.randrange(WIDTH), self._random.randrange(HEIGHT))
            if abs(thing.x - self.me.x) + abs(thing.y - self.me.y) > 4:
                return thing

    def _free_way(self, direction: str) -> str:
        """`direction`, or along the wall if that is where it ends."""
        dx, dy = STEPS[direction]
        if 0 <= self.me.x + dx < WIDTH and 0 <= self.me.y + dy < HEIGHT:
            return direction
        if dx:
            return "down" if self.me.y < HEIGHT // 2 else "up"
        return "right" if self.me.x < WIDTH // 2 else "left"


def towards(here: Thing, there: Thing) -> str:
    """The way along the longer side."""
    dx, dy = there.x - here.x, there.y - here.y
    if abs(dx) >= abs(dy):
        return "right" if dx > 0 else "left"
    return "down" if dy > 0 else "up"


def _go(thing: Thing, direction: str) -> None:
    dx, dy = STEPS[direction]
    thing.x = min(max(thing.x + dx, 0), WIDTH - 1)
    thing.y = min(max(thing.y + dy, 0), HEIGHT - 1)


def by_chance(seed: int, frames: int) -> Game:
    """The same game, played by a player who takes any step."""
    game, chance = Game(seed), Random(seed + 1)
    for _ in range(frames):
        game.step(chance.choice(list(STEPS)))
    return game
