"""What remains of a session: who talked, what was said when, and the credentials that let a client in.

Agents and turns are referred to by slug and by session id, not by foreign key: a record outlives the
agent it was made with, and telemetry imports no other app.
"""

from __future__ import annotations

from django.conf import settings
from django.db import models

from sessions.scopes import default_scopes


class Session(models.Model):
    """One session, from its first connection to its end."""

    class EndReason(models.TextChoices):
        CLOSED = "closed", "closed by the client"
        HANG_UP = "hang_up", "the agent hung up"
        IDLE = "idle", "idle too long"
        EXPIRED = "expired", "reached its longest duration"
        SLOW_CLIENT = "slow_client", "the client did not read"
        STOPPED = "stopped", "ended over REST"
        SHUTDOWN = "shutdown", "the server shut down"
        FAILED = "failed", "failed"
        LOST = "lost", "its process was killed"

    id = models.CharField(primary_key=True, max_length=64)
    agent = models.CharField(max_length=63)
    agent_version = models.PositiveIntegerField(default=0)
    transport = models.CharField(max_length=32)
    principal = models.CharField(max_length=32, help_text="The kind of credential the client came with.")
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    end_reason = models.CharField(max_length=32, blank=True, choices=EndReason)
    turn_count = models.PositiveIntegerField(default=0)
    store_text = models.BooleanField(default=False, help_text="Whether the agent allowed its words to be kept.")
    text_days = models.PositiveSmallIntegerField(default=7, help_text="For how many days they are kept.")

    class Meta:
        ordering = ("-started_at",)
        indexes = [
            models.Index(fields=("-started_at",), name="session_started"),
            models.Index(fields=("agent", "-started_at"), name="session_agent_started"),
            models.Index(fields=("started_at",), condition=models.Q(ended_at=None), name="session_live"),
        ]

    def __str__(self) -> str:
        return self.id


class ConversationItem(models.Model):
    """A message or function call of a session: its place and times, never its words."""

    class Kind(models.TextChoices):
        MESSAGE = "message", "message"
        FUNCTION_CALL = "function_call", "function call"
        FUNCTION_CALL_OUTPUT = "function_call_output", "function call output"

    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="items")
    index = models.PositiveIntegerField()
    item_id = models.CharField(max_length=512, help_text="As its client called it, or as we did.")
    turn_index = models.PositiveIntegerField(null=True, blank=True)
    kind = models.CharField(max_length=24, choices=Kind)
    role = models.CharField(max_length=16, blank=True)
    at = models.DateTimeField()
    interrupted = models.BooleanField(default=False)
    heard_ms = models.PositiveIntegerField(null=True, blank=True, help_text="How much of the audio was played.")
    audio_ms = models.PositiveIntegerField(null=True, blank=True, help_text="How much audio was made or received.")

    class Meta:
        ordering = ("session", "index", "pk")
        constraints = [models.UniqueConstraint(fields=("session", "item_id"), name="one_item_id_a_session")]
        indexes = [models.Index(fields=("session", "index"), name="item_session_index")]

    def __str__(self) -> str:
        return self.item_id


class ItemText(models.Model):
    """The words of an item, kept apart because they are kept for a shorter time, or not at all.

    `heard_chars` is how much of the text was spoken before it was interrupted; None means all of it.
    """

    item = models.OneToOneField(ConversationItem, on_delete=models.CASCADE, primary_key=True, related_name="content")
    text = models.TextField()
    heard_chars = models.PositiveIntegerField(null=True, blank=True)
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        verbose_name = "item text"

    def __str__(self) -> str:
        return f"text of {self.item_id}"


class ApiKey(models.Model):
    """A server's key. Only its digest is kept; `agents` lists the slugs it may use, and empty means all.

    `scopes` are those of `sessions.scopes`: what it may be used for. A limit that is empty is as settings have it.
    """

    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=16, help_text="The first characters, to tell keys apart.")
    digest = models.CharField(max_length=64, unique=True)
    agents = models.JSONField(default=list, blank=True, help_text="Slugs of the agents it may use; empty means all.")
    scopes = models.JSONField(default=default_scopes, blank=True, help_text="What it may be used for.")
    requests_per_minute = models.PositiveIntegerField(
        null=True, blank=True, help_text="New sessions count too. Empty: as settings have it; 0: no limit."
    )
    sessions_at_once = models.PositiveIntegerField(
        null=True, blank=True, help_text="Of one process. Empty: as settings have it; 0: no limit."
    )
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("name", "pk")
        verbose_name = "API key"

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"


class ClientSecret(models.Model):
    """A short-lived secret for one client, with the session it may open. Only its digest is kept.

    One made for a certain session opens that one, once: `claimed_at` says when it did.
    """

    digest = models.CharField(max_length=64, unique=True)
    expires_at = models.DateTimeField(db_index=True)
    session = models.JSONField(default=dict, blank=True)
    agent = models.CharField(max_length=63)
    version = models.PositiveIntegerField(null=True, blank=True)
    overrides = models.JSONField(default=list, blank=True)
    opens_session = models.CharField(max_length=64, unique=True, null=True, blank=True)
    claimed_at = models.DateTimeField(null=True, blank=True)
    created_by_key = models.ForeignKey(
        ApiKey, on_delete=models.CASCADE, null=True, blank=True, related_name="client_secrets"
    )
    created_by_user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-created_at",)

    def __str__(self) -> str:
        return f"client secret for {self.agent}"
