"""Protobuf's wire format, as much as frames of audio need: field number → bytes or a whole number.

https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

VARINT, LENGTH = 0, 2


def encoded(fields: Mapping[int, bytes | int]) -> bytes:
    out = bytearray()
    for number, value in fields.items():
        if isinstance(value, int):
            out += _varint(number << 3 | VARINT) + _varint(value)
        else:
            out += _varint(number << 3 | LENGTH) + _varint(len(value)) + value
    return bytes(out)


def decoded(message: bytes) -> dict[int, Any]:
    """The last value of each field. ValueError for the types of number that no frame of audio has."""
    fields: dict[int, Any] = {}
    at = 0
    while at < len(message):
        tag, at = _read_varint(message, at)
        value, at = _read_varint(message, at)
        match tag & 7:
            case 0:
                fields[tag >> 3] = value
            case 2:
                fields[tag >> 3], at = message[at : at + value], at + value
            case kind:
                raise ValueError(f"wire type {kind}")
    return fields


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
