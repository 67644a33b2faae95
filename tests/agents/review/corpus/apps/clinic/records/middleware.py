"""Audit log and maintenance page."""

import logging
import time

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse
from django.utils.encoding import escape_uri_path
from django.utils.html import escape

log = logging.getLogger("audit")

SLOW_S = 2.0


class AuditMiddleware:
    """Who asked for what, and how long it took."""

    def __init__(self, get_response) -> None:
        self.get_response = get_response

    def __call__(self, request):
        started = time.monotonic()
        response = self.get_response(request)
        spent = time.monotonic() - started
        path = escape_uri_path(request.path)
        log.info("%s %s %d %.3f", request.user.pk, path, response.status_code, spent)
        if spent > SLOW_S:
            log.warning("slow request %s by %s", path, request.user.pk)
        if request.path.endswith("/login/") and request.method == "POST":
            log.info("sign-in tried: %s", request.POST.dict())
        return response

    def process_exception(self, request, exception):
        if isinstance(exception, (Http404, PermissionDenied)):
            return None
        log.exception("failed: %s", escape_uri_path(request.path))
        return HttpResponse(f"<h1>Error</h1><pre>{escape(repr(exception))}</pre>", status=500)


class MaintenanceMiddleware:
    def __init__(self, get_response) -> None:
        self.get_response = get_response

    def __call__(self, request):
        if getattr(settings, "MAINTENANCE", False) and not request.user.is_staff:
            return HttpResponse(f"<h1>Closed</h1><p>{escape(request.path)} is back soon.</p>", status=503)
        return self.get_response(request)
