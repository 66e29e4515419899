"""Reads of the sessions app: a session as the conversation it was."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from django.db.models import Q

from agents.models import Agent
from sessions.models import ConversationItem, Session
from telemetry.selectors import turns_of_session
from telemetry.turn_view import TurnView


@dataclass(frozen=True, slots=True)
class Bubble:
    """One item as it is shown. `heard` and `unheard` are its words, or both empty if none are kept.

    `estimated` says that the cut between them is by the share of audio played, for want of better.
    """

    item: ConversationItem
    has_text: bool
    heard: str = ""
    unheard: str = ""
    estimated: bool = False


@dataclass(slots=True)
class Exchange:
    """What was said in one turn, and how the turn went if it was measured."""

    index: int
    bubbles: list[Bubble] = field(default_factory=list)
    turn: TurnView | None = None


def conversation(session: Session) -> list[Exchange]:
    """The session's items, turn by turn; an item of no turn stands with the turn before it.

    Decisions on events that left no item are not among them: there may be one for every second.
    """
    exchanges: dict[int, Exchange] = {}
    latest = 0
    items = session.items.select_related("content").order_by("index", "pk")
    for item in items:
        latest = latest if item.turn_index is None else item.turn_index
        exchanges.setdefault(latest, Exchange(latest)).bubbles.append(bubble(item))
    for turn in turns_of_session(session.pk).filter(~Q(kind="event") | Q(index__in=list(exchanges))):
        exchanges.setdefault(turn.index, Exchange(turn.index)).turn = TurnView.of(turn)
    return [exchanges[index] for index in sorted(exchanges)]


def bubble(item: ConversationItem) -> Bubble:
    content = getattr(item, "content", None)
    if content is None:
        return Bubble(item, has_text=False)
    text: str = content.text
    if not item.interrupted:
        return Bubble(item, True, text)
    cut, estimated = content.heard_chars, False
    if cut is None:
        cut, estimated = round(len(text) * _share_heard(item)), True
    return Bubble(item, True, text[:cut], text[cut:], estimated)


def agent_keys(slugs: Iterable[str]) -> dict[str, int]:
    """The primary keys of those agents that still exist, by slug."""
    found: dict[str, int] = defaultdict(int)
    found.update(Agent.objects.filter(slug__in=set(slugs)).values_list("slug", "pk"))
    return dict(found)


def _share_heard(item: ConversationItem) -> float:
    if item.heard_ms is None or not item.audio_ms:
        return 1.0
    return min(item.heard_ms / item.audio_ms, 1.0)
