import xml.etree.ElementTree as ET

from fastapi import FastAPI

app = FastAPI()
catalogue = ET.parse("catalogue.xml").getroot()


@app.get("/albums/{artist}")
def albums(artist: str):
    matches = catalogue.findall(f"./album[artist='{artist}']")
    return {"titles": [match.findtext("title") for match in matches]}
