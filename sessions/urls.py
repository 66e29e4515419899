"""Addresses of the API, and of the pages that show or steer a session."""

from __future__ import annotations

from django.urls import include, path, re_path

from sessions import views
from sessions.api import endpoint

urlpatterns = [
    path("v1/realtime/client_secrets", endpoint(POST=views.client_secrets)),
    re_path(r"^v1/(?P<path>.*)$", views.unknown_path),
    path("", include("sessions.talk_urls")),
]
