from __future__ import annotations

import pytest
from cryptography.fernet import Fernet
from pytest_django import Settings

from agents.errors import ConfigurationError
from agents.fields import Secret, SecretField

OLD, NEW = (Fernet.generate_key().decode() for _ in range(2))


def test_a_secret_comes_back_and_does_not_show(settings: Settings) -> None:
    settings.REPARTEE_ENCRYPTION_KEYS = [NEW]
    secret = Secret.of("sesame")
    assert secret.reveal() == "sesame"
    assert "sesame" not in f"{secret!r} {secret} {secret.token}"
    assert secret
    assert not Secret.of("")
    assert Secret().reveal() == ""


def test_an_older_key_still_opens_and_rotation_moves_to_the_first(settings: Settings) -> None:
    settings.REPARTEE_ENCRYPTION_KEYS = [OLD]
    secret = Secret.of("sesame")
    settings.REPARTEE_ENCRYPTION_KEYS = [NEW, OLD]
    rotated = secret.rotated()
    settings.REPARTEE_ENCRYPTION_KEYS = [NEW]
    assert rotated.reveal() == "sesame"
    with pytest.raises(ConfigurationError, match="REPARTEE_ENCRYPTION_KEYS"):
        secret.reveal()


@pytest.mark.parametrize("keys", [[], ["not a key"]])
def test_wrong_keys_are_said_to_be_wrong(settings: Settings, keys: list[str]) -> None:
    settings.REPARTEE_ENCRYPTION_KEYS = keys
    with pytest.raises(ConfigurationError, match="REPARTEE_ENCRYPTION_KEYS"):
        Secret.of("sesame")


def test_the_field_refuses_plain_text() -> None:
    with pytest.raises(TypeError, match=r"Secret\.of"):
        SecretField().get_prep_value("sesame")
