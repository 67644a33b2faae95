import logging
import subprocess
import uuid
from dataclasses import dataclass, field
from pathlib import Path

from fastapi import BackgroundTasks, FastAPI, Form

app = FastAPI()
log = logging.getLogger(__name__)
MEDIA = Path("/srv/media")
CODECS = {"h264": "libx264", "vp9": "libvpx-vp9"}


@dataclass
class Transcode:
    source: Path
    codec: str
    metadata: dict[str, str] = field(default_factory=dict)

    @property
    def target(self) -> Path:
        return self.source.with_suffix(".out.mp4")

    def words(self) -> list[str]:
        words = ["ffmpeg", "-y", "-i", str(self.source), "-c:v", CODECS[self.codec]]
        for key, value in self.metadata.items():
            words += ["-metadata", f'{key}="{value}"']
        return [*words, str(self.target)]


def work(job: Transcode) -> None:
    line = " ".join(job.words())
    log.info("transcoding %s", job.source)
    subprocess.run(line, shell=True, check=True, timeout=3600)


@app.post("/transcode/{video}")
def transcode(
    video: uuid.UUID, tasks: BackgroundTasks, codec: str = Form("h264"), title: str = Form("")
):
    if codec not in CODECS:
        return {"error": "codec"}
    job = Transcode(MEDIA / f"{video}.mov", codec, {"title": title})
    tasks.add_task(work, job)
    return {"target": job.target.name}
