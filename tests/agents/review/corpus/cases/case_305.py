import random

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    help = "Pick users for the yearly survey"

    def add_arguments(self, parser):
        parser.add_argument("count", type=int)

    def handle(self, *args, **options):
        names = list(User.objects.values_list("username", flat=True))
        chosen = random.sample(names, min(options["count"], len(names)))
        for name in sorted(chosen):
            self.stdout.write(name)
