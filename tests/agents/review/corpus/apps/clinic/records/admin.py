"""The admin site."""

from django.contrib import admin
from django.utils.html import format_html

from records.models import Appointment, Document, Note, Patient


@admin.register(Patient)
class PatientAdmin(admin.ModelAdmin):
    list_display = ("last_name", "first_name", "ward", "doctors_of")
    search_fields = ("last_name", "insurance_number")

    @admin.display(description="doctors")
    def doctors_of(self, patient):
        return format_html("<em>{}</em>", ", ".join(str(doctor) for doctor in patient.doctors.all()))


admin.site.register([Appointment, Document, Note])
