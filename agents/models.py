"""What is stored about agents. Written by `agents.services`, read by `agents.selectors`."""

from __future__ import annotations

import hashlib
from typing import Any

import jsonschema
import msgspec
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator, URLValidator
from django.db import models

from agents import changes
from agents.errors import ConfigurationError
from agents.fields import SecretField
from agents.spec import EMBEDDED, AgentSpec

slug_validator = RegexValidator(
    r"\A[a-z0-9][a-z0-9-]{0,62}\Z", "Use lower-case letters, digits and dashes, 63 at most."
)
tool_name_validator = RegexValidator(r"\A[a-zA-Z0-9_-]{1,64}\Z", "Use letters, digits, _ and -, 64 at most.")
http_url_validator = URLValidator(schemes=["http", "https"])


def account_kinds() -> list[tuple[str, str]]:
    """The kinds an account may have, as choices; the catalogue is read when they are asked for."""
    from agents.providers.catalog import KINDS

    return [(kind, kind.replace("_", " ")) for kind in KINDS if kind != EMBEDDED]


def validate_account_name(name: str) -> None:
    if name == EMBEDDED:
        raise ValidationError(f'"{EMBEDDED}" is the name of the models that come with Repartee.')


def validate_parameters(schema: Any) -> None:
    """Function parameters: a valid JSON schema of type "object"."""
    if not isinstance(schema, dict) or (schema and schema.get("type") != "object"):
        raise ValidationError('Parameters are a JSON schema that starts with {"type": "object", …}.')
    try:
        jsonschema.Draft202012Validator.check_schema(schema)
    except jsonschema.SchemaError as error:
        raise ValidationError(f"Not a valid JSON schema at {error.json_path}: {error.message}") from error


class Agent(models.Model):
    """Someone who answers. What it says and how is in its versions."""

    slug = models.CharField(
        max_length=63, unique=True, validators=[slug_validator], help_text="Its name in URLs and API calls."
    )
    name = models.CharField(max_length=200, blank=True, help_text="Shown to people; the slug if empty.")
    published = models.ForeignKey(
        "AgentVersion", null=True, blank=True, editable=False, on_delete=models.RESTRICT, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("slug",)
        verbose_name = "agent"
        permissions = (("publish_agent", "Can publish and roll back agents"),)

    def __str__(self) -> str:
        return self.name or self.slug

    @property
    def draft(self) -> AgentVersion | None:
        return self.versions.filter(state=AgentVersion.State.DRAFT).first()


class VersionQuerySet(models.QuerySet["AgentVersion"]):
    """Bulk changes that leave published versions alone."""

    def update(self, **kwargs: Any) -> int:
        self._refuse_published()
        return super().update(**kwargs)

    def delete(self) -> tuple[int, dict[str, int]]:
        self._refuse_published()
        return super().delete()

    def _refuse_published(self) -> None:
        if self.filter(state=AgentVersion.State.PUBLISHED).exists():
            raise ImmutableVersion


class ImmutableVersion(ConfigurationError):
    """A published version cannot be changed; make a new one."""


class AgentVersion(models.Model):
    """One configuration of an agent. A draft may change; what was published never does."""

    class State(models.TextChoices):
        DRAFT = "draft"
        PUBLISHED = "published"

    class Origin(models.TextChoices):
        ADMIN = "admin", "admin"
        FILE = "file", "file"
        SHIPPED = "shipped", "shipped with Repartee"

    agent = models.ForeignKey(Agent, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    state = models.CharField(max_length=9, choices=State, default=State.DRAFT)
    origin = models.CharField(max_length=7, choices=Origin, default=Origin.ADMIN)
    spec = models.JSONField()
    note = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    published_at = models.DateTimeField(null=True, blank=True)

    objects = VersionQuerySet.as_manager()

    class Meta:
        ordering = ("agent", "-number")
        verbose_name = "version"
        constraints = (
            models.UniqueConstraint(fields=("agent", "number"), name="agents_version_number"),
            models.UniqueConstraint(
                fields=("agent",), condition=models.Q(state="draft"), name="agents_one_draft_per_agent"
            ),
        )

    def __str__(self) -> str:
        return f"{self.agent.slug} v{self.number}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        self._refuse_if_published()
        spec = msgspec.structs.replace(self.agent_spec, slug=self.agent.slug, version=self.number)
        self.spec = changes.complete(spec)
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        self._refuse_if_published()
        return super().delete(*args, **kwargs)

    @property
    def is_published(self) -> bool:
        return self.state == self.State.PUBLISHED

    @property
    def agent_spec(self) -> AgentSpec:
        """The stored spec. `ConfigurationError` if it no longer fits this release."""
        try:
            return msgspec.convert(self.spec, AgentSpec)
        except msgspec.ValidationError as error:
            raise ConfigurationError(f"{self}: {error}") from error

    def _refuse_if_published(self) -> None:
        if self.pk and AgentVersion.objects.filter(pk=self.pk, state=self.State.PUBLISHED).exists():
            raise ImmutableVersion


class ProviderAccount(models.Model):
    """A model service that agents refer to by name."""

    name = models.CharField(
        max_length=63,
        unique=True,
        validators=[slug_validator, validate_account_name],
        help_text="Agents refer to the account by this name; it cannot change later.",
    )
    kind = models.CharField(max_length=40, choices=account_kinds)
    base_url = models.CharField(
        "base URL",
        max_length=500,
        blank=True,
        validators=[http_url_validator],
        help_text="Where the API begins, usually ending in /v1. Empty: the provider's own address.",
    )
    api_key = SecretField("API key")
    api_key_env = models.CharField(
        "key from environment",
        max_length=100,
        blank=True,
        editable=False,
        help_text="The environment variable that an applied file took the key from.",
    )
    connect_timeout_s = models.FloatField(
        "connect timeout",
        default=3.0,
        validators=[MinValueValidator(0.1), MaxValueValidator(60)],
        help_text="Seconds to wait for a connection.",
    )
    first_output_timeout_s = models.FloatField(
        "first output timeout",
        default=10.0,
        validators=[MinValueValidator(0.1), MaxValueValidator(120)],
        help_text="Seconds to wait for the first byte of an answer before the fallback is tried.",
    )
    stall_timeout_s = models.FloatField(
        "stall timeout",
        default=5.0,
        validators=[MinValueValidator(0.1), MaxValueValidator(60)],
        help_text="Seconds of silence in the middle of an answer before it counts as failed.",
    )

    class Meta:
        ordering = ("name",)
        verbose_name = "provider account"

    def __str__(self) -> str:
        return self.name


class Tool(models.Model):
    """A webhook that agents may call by name. Built-in tools need no row."""

    name = models.CharField(
        max_length=64,
        unique=True,
        validators=[tool_name_validator],
        help_text="The model and the agents know the tool by this name; it cannot change later.",
    )
    description = models.TextField(help_text="Tells the model what the tool does and when to call it.")
    parameters = models.JSONField(
        default=dict,
        blank=True,
        validators=[validate_parameters],
        help_text='JSON schema of the arguments, such as {"type": "object", "properties": {"city": '
        '{"type": "string"}}, "required": ["city"]}. Empty: no arguments.',
    )
    url = models.CharField(
        "URL",
        max_length=500,
        validators=[http_url_validator],
        help_text="Called by POST with the call's id, the tool's name and the arguments as JSON.",
    )
    signing_secret = SecretField("signing secret")
    signing_secret_env = models.CharField(
        "secret from environment",
        max_length=100,
        blank=True,
        editable=False,
        help_text="The environment variable that an applied file took the secret from.",
    )
    timeout_s = models.FloatField(
        "timeout",
        default=10.0,
        validators=[MinValueValidator(0.1), MaxValueValidator(60)],
        help_text="Seconds until the call counts as failed.",
    )
    side_effects = models.BooleanField(
        default=True,
        help_text="Calling it changes something in the world. Such a call waits until the user's turn is certainly "
        "over; others may run ahead of time.",
    )

    class Meta:
        ordering = ("name",)
        verbose_name = "tool"

    def __str__(self) -> str:
        return self.name


class KnowledgeBase(models.Model):
    """Documents that agents may look things up in."""

    name = models.CharField(
        max_length=63,
        unique=True,
        validators=[slug_validator],
        help_text="Agents refer to the knowledge base by this name; it cannot change later.",
    )
    description = models.CharField(max_length=500, blank=True)
    shipped = models.JSONField(
        default=dict, editable=False, help_text="SHA-256 of each document shipped with Repartee, as last installed."
    )

    class Meta:
        ordering = ("name",)
        verbose_name = "knowledge base"

    def __str__(self) -> str:
        return self.name


class Document(models.Model):
    """A text in a knowledge base. Saved through `services.ingest_document`, which also makes its chunks."""

    knowledge_base = models.ForeignKey(KnowledgeBase, on_delete=models.CASCADE, related_name="documents")
    title = models.CharField(max_length=200)
    text = models.TextField(help_text="Plain text or Markdown. Headings become sections.")
    url = models.CharField(
        "URL",
        max_length=500,
        blank=True,
        validators=[http_url_validator],
        help_text="Where a person can read it; shown as the source of an answer.",
    )
    shipped_as = models.CharField(max_length=200, blank=True, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ("title",)
        verbose_name = "document"
        constraints = (models.UniqueConstraint(fields=("knowledge_base", "title"), name="agents_document_title"),)

    def __str__(self) -> str:
        return self.title

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


class Chunk(models.Model):
    """A passage of a document with its embedding: float32, little-endian, normalised as the index wants it."""

    document = models.ForeignKey(Document, on_delete=models.CASCADE, related_name="chunks")
    position = models.PositiveIntegerField()
    section = models.CharField(max_length=500, blank=True)
    text = models.TextField()
    vector = models.BinaryField()

    class Meta:
        ordering = ("document", "position")
        constraints = (models.UniqueConstraint(fields=("document", "position"), name="agents_chunk_position"),)

    def __str__(self) -> str:
        return f"{self.document} #{self.position}"
