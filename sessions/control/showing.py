"""Sessions and their items as they are shown, from memory or from their records."""

from __future__ import annotations

import msgspec

from agents.spec import Override
from sessions.auth import Principal
from sessions.control import shapes
from sessions.control.found import Found
from sessions.control.pages import listed, no_such_cursor
from sessions.models import Session
from sessions.pipeline.messages import CallItem, CallOutputItem, Item, MessageItem, SessionConfig
from sessions.pipeline.snapshot import Snapshot
from sessions.protocols.realtime_session import shown_turn_detection


def session(found: Found) -> shapes.Session:
    """As its record has it, or will in a moment."""
    if found.record is not None:
        shown = recorded(found.record)
    else:
        known = found.snapshot.spec if found.snapshot else found.ended or found.waiting
        shown = shapes.Session(
            id=found.session_id,
            agent=found.agent or "",
            version=known.version if known else None,
            state="live" if found.live else "waiting",
        )
    if found.ended is None:
        return shown
    at, reason = found.ended.at.timestamp(), found.ended.reason
    return msgspec.structs.replace(shown, state="ended", ended_at=at, end_reason=reason)


def recorded(record: Session) -> shapes.Session:
    return shapes.Session(
        id=record.id,
        agent=record.agent,
        version=record.agent_version,
        state="ended" if record.ended_at else "live",
        transport=record.transport,
        started_at=record.started_at.timestamp(),
        ended_at=record.ended_at.timestamp() if record.ended_at else None,
        end_reason=record.end_reason or None,
        turns=record.turn_count,
    )


def detail(found: Found, latencies: list[shapes.Latency], caller: Principal) -> shapes.SessionDetail:
    shown = msgspec.structs.asdict(session(found))
    if found.snapshot is not None:
        shown["turns"] = found.snapshot.turns
    return shapes.SessionDetail(**shown, latencies=latencies, live=_live(found.snapshot, caller))


def _live(snapshot: Snapshot | None, caller: Principal) -> shapes.Live | None:
    if snapshot is None:
        return None
    config = _config(snapshot.config, caller.overrides(snapshot.spec))
    return shapes.Live(activity=snapshot.activity, items=len(snapshot.items), config=config)


def _config(config: SessionConfig, allowed: frozenset[Override]) -> shapes.Config:
    return shapes.Config(
        instructions=config.instructions if "instructions" in allowed else None,
        output_modalities=[config.modality],
        voice=config.voice,
        speed=config.speed,
        tools=[tool.name for tool in config.tools],
        tool_choice=config.tool_choice,
        max_output_tokens=config.max_output_tokens,
        turn_detection=shown_turn_detection(config.turn_detection),
        transcription=config.transcription,
    )


def items_in_memory(snapshot: Snapshot, query: shapes.ItemQuery) -> shapes.ItemList:
    begin = 0
    if query.after is not None:
        ids = [item.id for item in snapshot.items]
        if query.after not in ids:
            raise no_such_cursor(query.after)
        begin = ids.index(query.after) + 1
    rows = snapshot.items[begin : begin + query.limit + 1]
    return listed(shapes.ItemList, rows, query.limit, item, source="memory")


def item(of: Item) -> shapes.Item:
    match of:
        case MessageItem():
            words = [part.text or part.transcript for part in of.content if part.kind != "image"]
            text = " ".join(filter(None, words)) if any(word is not None for word in words) else None
            return shapes.Item(id=of.id, type="message", role=of.role, status=of.status, text=text)
        case CallItem():
            return shapes.Item(
                id=of.id,
                type="function_call",
                status=of.status,
                name=of.name,
                arguments=of.arguments,
                call_id=of.call_id,
            )
        case CallOutputItem():
            return shapes.Item(
                id=of.id, type="function_call_output", status=of.status, text=of.output, call_id=of.call_id
            )
