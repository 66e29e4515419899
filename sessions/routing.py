"""Addresses of WebSockets."""

from __future__ import annotations

from django.urls import re_path

from sessions import consumers

websocket_urlpatterns = [
    re_path(r"^v1/realtime$", consumers.realtime),  # type: ignore[arg-type]  # an ASGI application, not a view
    re_path(r"", consumers.unknown_path),  # type: ignore[arg-type]  # as above
]
