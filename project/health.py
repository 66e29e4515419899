"""What load balancers and orchestrators ask: is this process alive, and may it be given callers?"""

from __future__ import annotations

from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from sessions import host


@csrf_exempt
@require_safe
@never_cache
async def alive(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"status": "alive"})


@csrf_exempt
@require_safe
@never_cache
async def ready(request: HttpRequest) -> JsonResponse:
    """200 once every model is warm; until then 503, naming what is missing. With `?room`, 503 also while it is full."""
    missing = sorted(part for part, is_ready in host.readiness().items() if not is_ready)
    if missing:
        return JsonResponse({"status": "starting", "missing": missing}, status=503)
    if "room" in request.GET and not host.has_room():
        return JsonResponse({"status": "full"}, status=503)
    return JsonResponse({"status": "ready"})
