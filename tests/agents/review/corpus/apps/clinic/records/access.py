"""Who may do what, and where people are sent."""

import base64
import json
import random
import string
from functools import wraps

from django.core.exceptions import PermissionDenied
from django.core.signing import BadSignature, Signer
from django.shortcuts import get_object_or_404
from django.utils.crypto import constant_time_compare, get_random_string
from django.utils.http import url_has_allowed_host_and_scheme

from records.models import Patient


def patient_for(request, pk: int) -> Patient:
    """The patient, if this user may see them; else 404."""
    return get_object_or_404(Patient.objects.of(request.user), pk=pk)


def doctor_required(view):
    @wraps(view)
    def wrapper(request, *args, **kwargs):
        if not request.user.is_authenticated or not request.user.groups.filter(name="doctors").exists():
            raise PermissionDenied
        return view(request, *args, **kwargs)

    return wrapper


def safe_target(request, fallback: str) -> str:
    target = request.GET.get("next", "")
    if url_has_allowed_host_and_scheme(target, allowed_hosts={request.get_host()}, require_https=True):
        return target
    return fallback


def pin_code() -> str:
    """What a patient types to see their documents."""
    return "".join(random.choices(string.digits, k=8))


def invitation_code() -> str:
    return get_random_string(24)


def shuffled(rooms: list[str]) -> list[str]:
    """Rooms in another order each day, so that all are used."""
    return random.sample(rooms, len(rooms))


def code_ok(given: str, stored: str) -> bool:
    return constant_time_compare(given, stored)


def read_ticket(ticket: str) -> dict:
    """Who the hospital's single sign-on says that somebody is: header.payload.signature."""
    payload = ticket.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


def read_share(value: str) -> int | None:
    try:
        return int(Signer(salt="share").unsign(value))
    except (BadSignature, ValueError):
        return None
