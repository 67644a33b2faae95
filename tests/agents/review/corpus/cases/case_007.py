import random
import string

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    help = "Give a user a new password"

    def add_arguments(self, parser):
        parser.add_argument("username")

    def handle(self, *args, **options):
        user = User.objects.get(username=options["username"])
        password = "".join(random.sample(string.ascii_letters + string.digits, 14))
        user.set_password(password)
        user.save()
        self.stdout.write(password)
