"""Secrets at rest: a value that does not show itself, and the model field that stores it encrypted."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import models

from agents.errors import ConfigurationError


@cache
def _cipher(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


def cipher() -> MultiFernet:
    """Encrypts with the first of `REPARTEE_ENCRYPTION_KEYS`, decrypts with any of them."""
    keys = tuple(settings.REPARTEE_ENCRYPTION_KEYS)
    if not keys:
        raise ConfigurationError("REPARTEE_ENCRYPTION_KEYS is empty; secrets cannot be stored or read without a key.")
    try:
        return _cipher(keys)
    except ValueError as error:
        raise ConfigurationError(
            "REPARTEE_ENCRYPTION_KEYS holds a key that is not 32 bytes in URL-safe base64."
        ) from error


@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """An encrypted value; `token` is a Fernet token, or "" for no secret. Printing it shows nothing."""

    token: str = ""

    @classmethod
    def of(cls, plain: str) -> Secret:
        return cls(cipher().encrypt(plain.encode()).decode()) if plain else cls()

    def reveal(self) -> str:
        """The value in the clear. `ConfigurationError` if none of the keys opens it."""
        if not self.token:
            return ""
        try:
            return cipher().decrypt(self.token).decode()
        except InvalidToken:
            raise ConfigurationError(
                "A stored secret was encrypted with a key that is not in REPARTEE_ENCRYPTION_KEYS: "
                "add that key again, or enter the secret anew."
            ) from None

    def rotated(self) -> Secret:
        """The same value, encrypted with the first key."""
        return Secret.of(self.reveal())

    def __bool__(self) -> bool:
        return bool(self.token)

    def __str__(self) -> str:
        return "stored" if self.token else "none"

    def __repr__(self) -> str:
        return f"<Secret: {self}>"


class SecretField(models.TextField):  # type: ignore[type-arg]  # generic only in the stubs
    """Holds a `Secret`. The column, and a fixture, hold its token; plain text is refused."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("default", Secret)
        kwargs.setdefault("blank", True)
        kwargs["editable"] = False
        super().__init__(*args, **kwargs)

    def from_db_value(self, value: str | None, *_: object) -> Secret:
        return Secret(value or "")

    def to_python(self, value: Any) -> Secret:
        return value if isinstance(value, Secret) else Secret(value or "")

    def get_prep_value(self, value: Any) -> str:
        if not isinstance(value, Secret):
            raise TypeError("a SecretField takes a Secret: use Secret.of(plain)")
        return value.token

    def value_to_string(self, obj: models.Model) -> str:
        secret: Secret = self.value_from_object(obj)
        return secret.token
