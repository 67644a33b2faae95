"""Forms."""

from django import forms
from django.core.validators import FileExtensionValidator

from records.models import Appointment, Document, Note, Patient

DOCUMENT_BYTES_MAX = 10_000_000


class PatientForm(forms.ModelForm):
    class Meta:
        model = Patient
        fields = ["first_name", "last_name", "born", "ward", "insurance_number"]


class AppointmentForm(forms.ModelForm):
    class Meta:
        model = Appointment
        fields = "__all__"


class NoteForm(forms.ModelForm):
    class Meta:
        model = Note
        fields = ["text"]


class DocumentForm(forms.ModelForm):
    file = forms.FileField(validators=[FileExtensionValidator(["pdf", "png", "jpg"])])

    class Meta:
        model = Document
        fields = ["title", "file"]

    def clean_file(self):
        file = self.cleaned_data["file"]
        if file.size > DOCUMENT_BYTES_MAX:
            raise forms.ValidationError("Documents may have 10 MB.")
        return file


class SearchForm(forms.Form):
    text = forms.CharField(max_length=80, required=False)
    ward = forms.CharField(max_length=40, required=False)
    year = forms.IntegerField(required=False, min_value=1900, max_value=2100)
