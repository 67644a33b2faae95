import queue
import threading

from flask import Flask, request

app = Flask(__name__)
jobs = queue.Queue(maxsize=100)


def worker():
    while True:
        snippet = jobs.get()
        exec(snippet, {"total": 0})
        jobs.task_done()


threading.Thread(target=worker, daemon=True).start()


@app.route("/schedule")
def schedule():
    jobs.put(request.cookies.get("task", "total += 1"))
    return {"queued": jobs.qsize()}
