"""Log lines: JSON for machines, one readable line for people. Both carry what was given as `extra`."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Any

STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}
# Celery's copy of a job's arguments and result, and Django's request with its query: both may be personal.
PERSONAL = frozenset({"data", "request"})
HIDDEN = STANDARD | PERSONAL


def attributes(record: logging.LogRecord) -> dict[str, Any]:
    """What the caller passed as `extra`."""
    return {name: value for name, value in vars(record).items() if name not in HIDDEN}


class JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **attributes(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


class PlainFormatter(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s", datefmt="%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:
        values = " ".join(f"{name}={value}" for name, value in attributes(record).items())
        return " ".join(filter(None, (super().formatMessage(record), values)))


class NotYetReady(logging.Filter):
    """Drops Django's complaint that /readyz answered 503: that is its answer, given to whoever asks each second."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not (getattr(record, "status_code", None) == 503 and record.getMessage().endswith(" /readyz"))
