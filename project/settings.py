"""Every setting of Repartee, read from the environment; docs/reference/settings.md explains each.

Unless this is development (`make run`), everything is set for production and nothing secret has a default.
"""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured
from django.templatetags.static import static

from project.local import generated_secret, loopback_names, remembered_environment
from sessions.pipeline.bounds import Bounds

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()

# ── Which machine is this? ───────────────────────────────────────────────────────────────────────

REPARTEE_DATA = Path(env.str("REPARTEE_DATA", default=str(BASE_DIR / "data"))).expanduser().resolve()
REPARTEE_DATA.mkdir(parents=True, exist_ok=True)

REPARTEE_ENV = env.str("REPARTEE_ENV", default=remembered_environment(REPARTEE_DATA))
if REPARTEE_ENV not in ("development", "production"):
    raise ImproperlyConfigured(f"REPARTEE_ENV must be development or production, not {REPARTEE_ENV!r}.")
DEVELOPMENT = REPARTEE_ENV == "development"
DEBUG = DEVELOPMENT

# ── Secrets ──────────────────────────────────────────────────────────────────────────────────────


def secret(name: str) -> str:
    """A secret from the environment; in development one that is generated once and kept in REPARTEE_DATA."""
    value: str = env.str(name, default="")
    if value:
        return value
    if DEVELOPMENT:
        return generated_secret(REPARTEE_DATA / "secrets" / name.lower())
    raise ImproperlyConfigured(
        f"Set {name}, or REPARTEE_ENV=development on your own machine. "
        'Make one with: python -c "import base64, os; print(base64.urlsafe_b64encode(os.urandom(32)).decode())"'
    )


SECRET_KEY = secret("SECRET_KEY")
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
REPARTEE_ENCRYPTION_KEYS = [key.strip() for key in secret("REPARTEE_ENCRYPTION_KEYS").split(",") if key.strip()]
# The same in every process, so that they all give a turn the same trace ids.
REPARTEE_TRACE_KEY = hashlib.blake2b(SECRET_KEY.encode(), person=b"repartee-traces").digest()
REPARTEE_DEV_API_KEY = env.str("REPARTEE_DEV_API_KEY", default="") if DEVELOPMENT else ""

# ── Who may call ─────────────────────────────────────────────────────────────────────────────────

PORT = env.int("PORT", default=8000)
REPARTEE_HOST = env.str("REPARTEE_HOST", default="")
ALLOWED_HOSTS = [*env.list("REPARTEE_ALLOWED_HOSTS", default=[]), *loopback_names(local_network=DEVELOPMENT)]
CSRF_TRUSTED_ORIGINS = env.list("REPARTEE_TRUSTED_ORIGINS", default=[])
REPARTEE_WEBSOCKET_ORIGINS = env.list("REPARTEE_WEBSOCKET_ORIGINS", default=["*"])
REPARTEE_KEY_FAILURES_PER_MINUTE = env.int("REPARTEE_KEY_FAILURES_PER_MINUTE", default=30)
REPARTEE_KEY_REQUESTS_PER_MINUTE = env.int("REPARTEE_KEY_REQUESTS_PER_MINUTE", default=600)
REPARTEE_KEY_SESSIONS = env.int("REPARTEE_KEY_SESSIONS", default=100)

SESSION_COOKIE_SECURE = not DEVELOPMENT
CSRF_COOKIE_SECURE = not DEVELOPMENT
SECURE_SSL_REDIRECT = env.bool("REPARTEE_SSL_REDIRECT", default=not DEVELOPMENT)
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]
SECURE_HSTS_SECONDS = env.int("REPARTEE_HSTS_SECONDS", default=0 if DEVELOPMENT else 86_400)
SECURE_HSTS_INCLUDE_SUBDOMAINS = env.bool("REPARTEE_HSTS_INCLUDE_SUBDOMAINS", default=False)
SECURE_HSTS_PRELOAD = env.bool("REPARTEE_HSTS_PRELOAD", default=False)
if env.bool("REPARTEE_BEHIND_PROXY", default=False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
REPARTEE_PROXY_IPS = env.str("REPARTEE_PROXY_IPS", default="127.0.0.1")
X_FRAME_OPTIONS = "DENY"

LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}", "OPTIONS": options}
    for name, options in (
        ("UserAttributeSimilarityValidator", {}),
        ("MinimumLengthValidator", {"min_length": 12}),
        ("CommonPasswordValidator", {}),
        ("NumericPasswordValidator", {}),
    )
]

# ── The application ──────────────────────────────────────────────────────────────────────────────

INSTALLED_APPS = [
    "daphne",  # before staticfiles: it replaces runserver
    "unfold",  # before the admin: it replaces its templates
    "unfold.contrib.filters",
    "unfold.contrib.forms",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",  # before staticfiles: files are served as in production
    "django.contrib.staticfiles",
    "telemetry.apps.TelemetryConfig",
    "agents.apps.AgentsConfig",
    "sessions.apps.SessionsConfig",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "project.static_files.StaticFiles",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "project.urls"
ASGI_APPLICATION = "project.asgi.application"
APPEND_SLASH = True  # for /admin; no address under /v1 has a twin with a slash, so none is redirected
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
UNFOLD = {
    "SITE_TITLE": "Repartee",
    "SITE_HEADER": "Repartee",
    "SITE_URL": "/",
    "SITE_SYMBOL": "graphic_eq",
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda _: static("repartee/mark.svg")},
    ],
}

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": REPARTEE_DATA}},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEVELOPMENT
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}

# ── Where things are kept ────────────────────────────────────────────────────────────────────────

SQLITE_OPTIONS = {
    "timeout": 5,  # seconds to wait for another writer
    "transaction_mode": "IMMEDIATE",  # take the write lock first: waiting works, upgrading a read lock does not
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON",
}
# Each asgi thread would hold a connection of its own: a pool bounds them.
POSTGRESQL_OPTIONS = {"pool": {"min_size": 1, "max_size": env.int("REPARTEE_DB_POOL", default=10), "timeout": 10}}


def database() -> dict[str, Any]:
    config: dict[str, Any] = env.db_url("DATABASE_URL", default=f"sqlite:///{REPARTEE_DATA / 'repartee.sqlite3'}")
    options = SQLITE_OPTIONS if config["ENGINE"].endswith("sqlite3") else POSTGRESQL_OPTIONS
    return {**config, "OPTIONS": {**options, **config.get("OPTIONS", {})}}


DATABASES = {"default": database()}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = env.str("REDIS_URL", default="")


def channel_layers(redis_url: str) -> dict[str, dict[str, Any]]:
    if not redis_url:
        return {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
    # redis-py's own 5 s would race the layer's 5 s BZPOPMIN and kill idle receivers.
    redis = {"address": redis_url, "socket_timeout": 15}
    return {"default": {"BACKEND": "channels_redis.core.RedisChannelLayer", "CONFIG": {"hosts": [redis]}}}


CHANNEL_LAYERS = channel_layers(REDIS_URL)

# ── Background jobs ──────────────────────────────────────────────────────────────────────────────

CELERY_BROKER_URL = REDIS_URL or "memory://"
CELERY_RESULT_BACKEND = REDIS_URL or None
CELERY_RESULT_EXPIRES = 3_600
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_TIME_LIMIT = 3_600
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TIMEZONE = TIME_ZONE
CELERY_BEAT_SCHEDULE: dict[str, dict[str, Any]] = {
    "purge": {"task": "sessions.tasks.purge", "schedule": 3_600.0},  # seconds
}

# ── Agents and sessions ──────────────────────────────────────────────────────────────────────────

REPARTEE_PRIVATE_WEBHOOKS = env.bool("REPARTEE_PRIVATE_WEBHOOKS", default=False)
REPARTEE_DEFAULT_AGENT = env.str("REPARTEE_DEFAULT_AGENT", default="guide")


def bounds() -> Bounds:
    """Each field of Bounds, unless `REPARTEE_<FIELD>` says otherwise."""
    given = {
        field.name: env.get_value(f"REPARTEE_{field.name.upper()}", cast=type(field.default), default=field.default)
        for field in dataclasses.fields(Bounds)
    }
    return Bounds(**given)


REPARTEE_BOUNDS = bounds()

# The embedded models share the machine's cores with the event loop: LocalOptions, without importing the models.
REPARTEE_LOCAL_OPTIONS = {
    "stt_threads": env.int("REPARTEE_STT_THREADS", default=2),
    "end_of_turn_threads": env.int("REPARTEE_END_OF_TURN_THREADS", default=1),
    "tts_threads": env.int("REPARTEE_TTS_THREADS", default=1),
    "llm_threads": env.int("REPARTEE_LLM_THREADS", default=2),
    "queue": env.int("REPARTEE_LOCAL_QUEUE", default=64),
    "timeout_s": env.float("REPARTEE_LOCAL_TIMEOUT_S", default=15.0),
    "partial_every_ms": env.float("REPARTEE_PARTIAL_EVERY_MS", default=0.0) or None,
}

# ── Retention ────────────────────────────────────────────────────────────────────────────────────

REPARTEE_TRACE_DAYS = env.int("REPARTEE_TRACE_DAYS", default=30)
REPARTEE_TURN_DAYS = env.int("REPARTEE_TURN_DAYS", default=180)

# ── Logging ──────────────────────────────────────────────────────────────────────────────────────

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "json": {"()": "project.logs.JsonFormatter"},
        "plain": {"()": "project.logs.PlainFormatter"},
    },
    "filters": {"not_yet_ready": {"()": "project.logs.NotYetReady"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "plain" if DEVELOPMENT else "json"}},
    "root": {"handlers": ["console"], "level": env.str("REPARTEE_LOG_LEVEL", default="INFO")},
    "loggers": {
        "django": {"handlers": []},  # not Django's own as well
        "django.request": {"filters": ["not_yet_ready"]},
        "django.server": {"handlers": ["console"], "propagate": False},
        "uvicorn": {"level": "WARNING" if DEVELOPMENT else "INFO"},
        # These log addresses at INFO, and at DEBUG whole requests, with what people said.
        **{name: {"level": "WARNING"} for name in ("httpx", "httpx2", "httpcore", "httpcore2", "openai")},
        "django.db.backends": {"level": "INFO"},  # at DEBUG it logs what it stores
        "faster_whisper": {"level": "WARNING"},
        "celery.app.trace": {"level": "WARNING"},
    },
}
