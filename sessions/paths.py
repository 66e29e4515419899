"""What may stand in a path. Anything else is an address that does not exist."""

from __future__ import annotations


class _Text:
    regex: str

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


class SessionId(_Text):
    regex = "[A-Za-z0-9_-]{1,64}"


class AgentSlug(_Text):
    regex = "[a-z0-9][a-z0-9-]{0,62}"


class TurnId(_Text):
    """The session and the turn's index in it."""

    regex = r"[A-Za-z0-9_-]{1,64}\.[0-9]{1,9}"


class VersionNumber:
    regex = "[1-9][0-9]{0,8}"

    def to_python(self, value: str) -> int:
        return int(value)

    def to_url(self, value: int) -> str:
        return str(value)


CONVERTERS: dict[str, type[_Text | VersionNumber]] = {
    "session": SessionId,
    "agent": AgentSlug,
    "turn": TurnId,
    "version": VersionNumber,
}
