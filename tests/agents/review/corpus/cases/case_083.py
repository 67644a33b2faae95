#!/usr/bin/env python3
import os
import subprocess
import sys
from urllib.parse import parse_qs

print("Content-Type: text/plain\n")
fields = parse_qs(os.environ.get("QUERY_STRING", ""))
month = fields.get("month", ["1"])[0]
if not month:
    sys.exit(0)
calendar = subprocess.run(f"cal {month} 2024", shell=True, capture_output=True, text=True)
print(calendar.stdout)
