"""Reports and downloads."""

import csv
import os
from pathlib import Path

from django.conf import settings
from django.contrib.auth.decorators import login_required, permission_required
from django.db import connection
from django.http import FileResponse, Http404, HttpResponse
from django.template import Context, Template
from django.template.loader import render_to_string
from django.utils._os import safe_join

from records.access import patient_for
from records.models import Patient

REPORT_SQL = """
SELECT ward, COUNT(*) AS patients, MIN(born) AS oldest
FROM records_patient
WHERE NOT blocked
GROUP BY ward
ORDER BY {column}
"""
FORMULA_STARTS = ("=", "+", "-", "@")


def run_report(column: str, ward: str | None = None) -> list[tuple]:
    with connection.cursor() as cursor:
        if ward is None:
            cursor.execute(REPORT_SQL.format(column=column))
        else:
            cursor.execute(f"SELECT ward, COUNT(*) FROM records_patient WHERE ward = '{ward}' GROUP BY ward")
        return cursor.fetchall()


@login_required
@permission_required("records.view_patient", raise_exception=True)
def report(request):
    column = settings.REPORT_COLUMNS.get(request.GET.get("by", "ward"))
    if column is None:
        raise Http404
    rows = run_report(column, request.GET.get("ward"))
    lines = "".join(f"<tr><td>{ward}</td><td>{count}</td></tr>" for ward, count, *_ in rows)
    return HttpResponse(f"<table>{lines}</table>")


def plain_cell(value: object) -> str:
    """A cell that no spreadsheet takes for a formula."""
    text = str(value)
    return "'" + text if text.startswith(FORMULA_STARTS) else text


@login_required
def patients_csv(request):
    response = HttpResponse(content_type="text/csv")
    response["Content-Disposition"] = 'attachment; filename="patients.csv"'
    writer = csv.writer(response)
    for entry in Patient.objects.of(request.user):
        writer.writerow([plain_cell(entry.last_name), plain_cell(entry.first_name), entry.born])
    return response


@login_required
def download(request):
    """A report that was made over night."""
    name = request.GET.get("file", "")
    if name.startswith("archive/"):
        try:
            path = Path(safe_join(settings.EXPORT_DIR, name))
        except ValueError:
            raise Http404 from None
        return FileResponse(path.open("rb"))
    path = os.path.join(settings.EXPORT_DIR, name)
    if not os.path.isfile(path):
        raise Http404
    return FileResponse(open(path, "rb"))


@login_required
def letter(request, pk: int):
    """A letter to a patient, from the standard text or one's own."""
    found = patient_for(request, pk)
    text = request.POST.get("text", "")
    if text:
        body = Template("Dear {{ patient }},\n" + text).render(Context({"patient": found}))
    else:
        body = render_to_string("records/letter.txt", {"patient": found, "greeting": request.GET.get("greeting", "")})
    return HttpResponse(body, content_type="text/plain; charset=utf-8")
