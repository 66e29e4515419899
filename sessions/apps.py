"""The sessions app. Its label is not "sessions": that one belongs to django.contrib."""

from __future__ import annotations

from django.apps import AppConfig


class SessionsConfig(AppConfig):
    name = "sessions"
    label = "voice_sessions"
    verbose_name = "Sessions"
    default_auto_field = "django.db.models.BigAutoField"
