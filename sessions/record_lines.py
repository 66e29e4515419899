"""Records as lines of JSON: what the journal holds in memory and, if it must, on disk."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from sessions.pipeline.records import ItemRecorded, Record, SessionClosed, SessionOpened, TurnRecorded

_TYPES: Final[dict[str, Any]] = {
    "opened": SessionOpened,
    "item": ItemRecorded,
    "turn": TurnRecorded,
    "closed": SessionClosed,
}
_NAMES: Final = {kind: name for name, kind in _TYPES.items()}
_encoder: Final = msgspec.json.Encoder()
_envelope: Final = msgspec.json.Decoder(tuple[str, msgspec.Raw])


def encode(record: Record) -> bytes:
    """One line, with its line feed. ValueError or TypeError: the record holds what JSON cannot say."""
    return _encoder.encode((_NAMES[type(record)], record)) + b"\n"


def decode(line: bytes) -> Record:
    """ValueError: this is not a line that `encode` wrote."""
    name, body = _envelope.decode(line)
    if name not in _TYPES:
        raise ValueError(f"unknown record {name!r}")
    record: Record = msgspec.json.decode(body, type=_TYPES[name])
    return record
