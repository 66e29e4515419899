from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

from project import health

urlpatterns = [
    path("healthz", health.alive),
    path("readyz", health.ready),
    path("admin/", admin.site.urls),
    path("", include("sessions.urls")),
]
