"""Pages of the portal."""

import json
import logging
from pathlib import Path

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import get_user_model, login
from django.contrib.auth.decorators import login_required
from django.contrib.auth.mixins import LoginRequiredMixin
from django.db import connection, transaction
from django.http import FileResponse, Http404, HttpResponse, HttpResponseForbidden, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.html import strip_tags
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST
from django.views.generic import ListView

from records import lab
from records.access import doctor_required, patient_for, read_ticket, safe_target
from records.forms import AppointmentForm, DocumentForm, NoteForm, PatientForm, SearchForm
from records.models import Appointment, Document, Note, Patient, Preference, Slot

log = logging.getLogger(__name__)


class PatientList(LoginRequiredMixin, ListView):
    template_name = "records/patients.html"
    paginate_by = 50

    def get_queryset(self):
        return Patient.objects.of(self.request.user).order_by("last_name")


def sso(request):
    """Sign in with a ticket of the hospital's single sign-on."""
    claims = read_ticket(request.GET.get("ticket", ".."))
    user = get_object_or_404(get_user_model(), username=claims.get("sub"))
    login(request, user)
    return redirect(safe_target(request, settings.LOGIN_REDIRECT_URL))


@login_required
def search(request):
    form = SearchForm(request.GET)
    if not form.is_valid():
        return render(request, "records/search.html", {"form": form}, status=400)
    found = Patient.objects.of(request.user)
    if form.cleaned_data["text"]:
        found = found.named_like(form.cleaned_data["text"])
    if form.cleaned_data["year"]:
        found = found.born_in(form.cleaned_data["year"])
    if "weight" in request.GET:
        found = found.with_risk(request.GET["weight"])
    return render(request, "records/search.html", {"form": form, "patients": found[:100], "text": request.GET.get("text", "")})


@login_required
def patient(request, pk: int):
    return render(request, "records/patient.html", {"patient": patient_for(request, pk), "form": NoteForm()})


@doctor_required
def edit_patient(request, pk: int):
    found = patient_for(request, pk)
    form = PatientForm(request.POST or None, instance=found)
    if request.method == "POST" and form.is_valid():
        form.save()
        return redirect("patient", pk=found.pk)
    return render(request, "records/edit.html", {"form": form})


@require_POST
def delete_patient(request, pk: int):
    get_object_or_404(Patient, pk=pk).delete()
    log.info("patient %d deleted", pk)
    messages.success(request, "The patient was deleted.")
    return redirect("patients")


@doctor_required
@require_POST
def add_note(request, pk: int):
    form = NoteForm(request.POST)
    if form.is_valid():
        entry = form.save(commit=False)
        entry.patient = patient_for(request, pk)
        entry.author = request.user
        entry.save()
    return redirect("patient", pk=pk)


@login_required
def note(request, pk: int):
    entry = get_object_or_404(Note, pk=pk)
    return JsonResponse({"text": entry.text, "patient": str(entry.patient), "by": str(entry.author)})


@login_required
def document(request, pk: int):
    found = get_object_or_404(Document, pk=pk, patient__in=Patient.objects.of(request.user))
    return FileResponse(found.file.open("rb"), as_attachment=True, filename=f"{found.pk}.pdf")


@doctor_required
@require_POST
def upload_document(request, pk: int):
    form = DocumentForm(request.POST, request.FILES)
    if not form.is_valid():
        return JsonResponse({"errors": form.errors}, status=400)
    entry = form.save(commit=False)
    entry.patient = patient_for(request, pk)
    entry.save()
    return redirect("patient", pk=pk)


@login_required
def appointments(request):
    """The own appointments, narrowed by the filter that was saved among the preferences."""
    preference = Preference.objects.filter(user=request.user).first()
    sql = "SELECT id, starts_at, room FROM records_appointment WHERE doctor_id = %s"
    if preference and preference.filter_sql:
        sql += " AND room LIKE '" + preference.filter_sql + "%%'"
    with connection.cursor() as cursor:
        cursor.execute(sql, [request.user.pk])
        rows = cursor.fetchall()
    return render(request, "records/appointments.html", {"rows": rows})


@login_required
def book(request):
    form = AppointmentForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        slot = get_object_or_404(Slot, doctor=form.cleaned_data["doctor"], starts_at=form.cleaned_data["starts_at"])
        if slot.free > 0:
            form.save()
            slot.free -= 1
            slot.save()
            return redirect("appointments")
        form.add_error(None, "This slot is taken.")
    return render(request, "records/edit.html", {"form": form})


@login_required
@require_POST
def move_appointment(request, pk: int):
    with transaction.atomic():
        entry = get_object_or_404(Appointment.objects.select_for_update(), pk=pk, doctor=request.user)
        slot = get_object_or_404(Slot.objects.select_for_update(), pk=request.POST.get("slot"), doctor=request.user)
        if slot.free > 0:
            entry.starts_at = slot.starts_at
            slot.free -= 1
            slot.save()
            entry.save()
    return redirect("appointments")


@doctor_required
@require_POST
def import_lab(request):
    if "address" in request.POST:
        data = lab.fetch_from(request.POST["address"])
    else:
        data = lab.fetch_result(int(request.POST.get("sample", "0")))
    return JsonResponse({"values": lab.read_result(data), "sha1": lab.checksum(data)})


@doctor_required
@require_POST
def preview_lab(request):
    upload = request.FILES.get("result")
    if upload is None:
        raise Http404
    if upload.name.endswith(".yaml"):
        return JsonResponse(lab.read_panel(upload.read().decode()))
    return HttpResponse(lab.convert(upload.read(), request.POST.get("kind", "pdf")), content_type="application/pdf")


@csrf_exempt
@require_POST
def lab_callback(request):
    if not lab.signature_ok(request.body, request.headers.get("X-Signature", "")):
        return HttpResponseForbidden("bad signature")
    result = json.loads(request.body)
    log.info("result for sample %d", int(result["sample"]))
    return HttpResponse(status=204)


@csrf_exempt
@login_required
def avatar(request):
    upload = request.FILES["avatar"]
    target = Path(settings.MEDIA_ROOT, "avatars", f"{request.user.pk}-{request.POST.get('name', 'me.png')}")
    with target.open("wb") as file:
        for chunk in upload.chunks():
            file.write(chunk)
    messages.success(request, "The picture was changed.")
    return redirect("preferences")


@login_required
def preferences(request):
    preference, _ = Preference.objects.get_or_create(user=request.user)
    if request.method == "POST":
        preference.filter_sql = request.POST.get("filter", "")[:200]
        if "restore" in request.FILES:
            preference.blob = request.FILES["restore"].read()
        preference.save()
        return redirect(request.POST.get("back", "/"))
    values = lab.load_blob(bytes(preference.blob))
    greeting = strip_tags(request.GET.get("hello", ""))
    return render(request, "records/preferences.html", {"values": values, "greeting": greeting})
