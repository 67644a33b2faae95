"""Patients, notes, documents, appointments."""

import secrets
import uuid

from django.conf import settings
from django.db import models
from django.db.models.expressions import RawSQL
from django.utils.html import escape, format_html
from django.utils.safestring import mark_safe


def document_path(instance, filename: str) -> str:
    suffix = filename.rsplit(".", 1)[-1].lower()[:8]
    return f"documents/{uuid.uuid4().hex}.{suffix}"


def share_token() -> str:
    return secrets.token_urlsafe(32)


class PatientQuerySet(models.QuerySet):
    def of(self, user):
        """Patients whom this user may see."""
        if user.is_superuser:
            return self
        return self.filter(doctors=user)

    def named_like(self, text: str):
        return self.filter(models.Q(last_name__icontains=text) | models.Q(first_name__icontains=text))

    def with_risk(self, weight: str):
        """Patients with a column `risk`, worst first."""
        return self.annotate(risk=RawSQL(f"age(born) * {weight}", [])).order_by("-risk")

    def born_in(self, year: int):
        return self.extra(where=["EXTRACT(YEAR FROM born) = %s"], params=[year])

    def by_ward(self, ward: str):
        return self.raw("SELECT * FROM records_patient WHERE ward = %s ORDER BY last_name", [ward])


class Patient(models.Model):
    first_name = models.CharField(max_length=80)
    last_name = models.CharField(max_length=80)
    born = models.DateField()
    ward = models.CharField(max_length=40, blank=True)
    insurance_number = models.CharField(max_length=20, unique=True)
    doctors = models.ManyToManyField(settings.AUTH_USER_MODEL, related_name="patients")
    blocked = models.BooleanField(default=False)

    objects = PatientQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.last_name}, {self.first_name}"

    def badge(self) -> str:
        return format_html('<span class="ward" title="{}">{}</span>', self.ward, self.last_name)


class Note(models.Model):
    patient = models.ForeignKey(Patient, on_delete=models.CASCADE, related_name="notes")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT)
    text = models.TextField()
    written_at = models.DateTimeField(auto_now_add=True)

    def as_html(self) -> str:
        """The text with line breaks, for the page."""
        return mark_safe(self.text.replace("\n", "<br>"))

    def teaser(self) -> str:
        return mark_safe(escape(self.text[:80]) + "&hellip;")


class Document(models.Model):
    patient = models.ForeignKey(Patient, on_delete=models.CASCADE, related_name="documents")
    title = models.CharField(max_length=120)
    file = models.FileField(upload_to=document_path)
    share = models.CharField(max_length=64, default=share_token, unique=True)


class Appointment(models.Model):
    patient = models.ForeignKey(Patient, on_delete=models.CASCADE)
    doctor = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    starts_at = models.DateTimeField()
    room = models.CharField(max_length=20)
    paid = models.BooleanField(default=False)
    price_cents = models.IntegerField(default=0)


class Slot(models.Model):
    doctor = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    starts_at = models.DateTimeField()
    free = models.IntegerField(default=1)


class Preference(models.Model):
    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    blob = models.BinaryField(default=b"")
    filter_sql = models.CharField(max_length=200, blank=True)
