import io
import os
import zipfile

from flask import Flask, request

app = Flask(__name__)
TARGET = "/srv/themes"


@app.put("/themes")
def install():
    archive = zipfile.ZipFile(io.BytesIO(request.get_data()))
    for member in archive.infolist():
        destination = os.path.join(TARGET, member.filename)
        if member.is_dir():
            continue
        with open(destination, "wb") as out:
            out.write(archive.read(member))
    return {"members": len(archive.infolist())}
