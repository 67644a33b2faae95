"""Addresses of the portal."""

from django.contrib import admin
from django.contrib.auth import views as auth_views
from django.urls import path

from records import exports, views

urlpatterns = [
    path("admin/", admin.site.urls),
    path("login/", auth_views.LoginView.as_view(), name="login"),
    path("sso/", views.sso, name="sso"),
    path("", views.PatientList.as_view(), name="patients"),
    path("patients/search/", views.search, name="search"),
    path("patients/<int:pk>/", views.patient, name="patient"),
    path("patients/<int:pk>/edit/", views.edit_patient, name="edit-patient"),
    path("patients/<int:pk>/delete/", views.delete_patient, name="delete-patient"),
    path("patients/<int:pk>/notes/", views.add_note, name="add-note"),
    path("notes/<int:pk>/", views.note, name="note"),
    path("documents/<int:pk>/", views.document, name="document"),
    path("documents/upload/<int:pk>/", views.upload_document, name="upload-document"),
    path("appointments/", views.appointments, name="appointments"),
    path("appointments/book/", views.book, name="book"),
    path("appointments/<int:pk>/move/", views.move_appointment, name="move-appointment"),
    path("lab/import/", views.import_lab, name="import-lab"),
    path("lab/preview/", views.preview_lab, name="preview-lab"),
    path("lab/callback/", views.lab_callback, name="lab-callback"),
    path("exports/report/", exports.report, name="report"),
    path("exports/csv/", exports.patients_csv, name="patients-csv"),
    path("exports/file/", exports.download, name="download"),
    path("exports/letter/<int:pk>/", exports.letter, name="letter"),
    path("profile/avatar/", views.avatar, name="avatar"),
    path("profile/preferences/", views.preferences, name="preferences"),
]
