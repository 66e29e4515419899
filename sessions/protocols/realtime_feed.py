"""Events that a client pushes, on their way to the session's feed."""

from __future__ import annotations

from agents.errors import ClientError
from sessions.pipeline.bounds import Bounds
from sessions.pipeline.messages import PushEvent
from sessions.protocols import realtime_events as wire
from sessions.protocols.checks import read_object, size_of
from sessions.protocols.realtime_session import WireSession


def push_event(event: wire.Pushed, session: WireSession, bounds: Bounds, *, extensions: bool) -> PushEvent:
    """A ClientError if this client, its agent or its session takes no events, or this one is too large."""
    if not extensions:
        raise wire.unknown_event("repartee.event", event.event_id)
    if session.spec.feed.mode == "off" or session.kind == "transcription":
        raise ClientError(
            "This session takes no events; its agent must be given a feed.", code="feed_off", param="type"
        )
    size = size_of(event.data)
    if size > bounds.feed_event_bytes:
        raise ClientError(
            f"An event may have {bounds.feed_event_bytes} bytes of data; this has {size}.",
            code="event_too_large",
            param="data",
        )
    deadline_ms = None if event.deadline_ms is None else int(event.deadline_ms)
    data = read_object(event.data, bounds.feed_event_bytes, "data")
    return PushEvent(event.key, data, 0 if data is None else size, deadline_ms, event.event_id)
