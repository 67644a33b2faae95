"""`manage.py purge`: remove what is older than a number of days."""

import os
import subprocess
from datetime import timedelta

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import connection
from django.utils import timezone

TABLES = ("records_appointment", "records_slot")


class Command(BaseCommand):
    help = "Remove old appointments, slots and exported files."

    def add_arguments(self, parser) -> None:
        parser.add_argument("--days", type=int, default=365)
        parser.add_argument("--dry-run", action="store_true")

    def handle(self, *args, **options) -> None:
        before = timezone.now() - timedelta(days=options["days"])
        with connection.cursor() as cursor:
            for table in TABLES:
                cursor.execute(f"DELETE FROM {table} WHERE starts_at < %s", [before])
                self.stdout.write(f"{table}: {cursor.rowcount} removed")
        for entry in os.scandir(settings.EXPORT_DIR):
            if entry.is_file() and entry.stat().st_mtime < before.timestamp():
                os.unlink(entry.path)
        settings.EXPORT_DIR.mkdir(exist_ok=True)
        os.chmod(settings.EXPORT_DIR, 0o777)
        subprocess.run(["sync"], check=False)
