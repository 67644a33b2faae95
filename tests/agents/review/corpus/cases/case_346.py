import tarfile
import tempfile

from fastapi import FastAPI, UploadFile

app = FastAPI()


@app.post("/datasets")
async def dataset(bundle: UploadFile):
    folder = tempfile.mkdtemp(prefix="dataset-")
    with tarfile.open(fileobj=bundle.file, mode="r:gz") as archive:
        archive.extractall(folder, filter="data")
    return {"folder": folder}
