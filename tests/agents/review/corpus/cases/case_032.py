import queue
import threading

from flask import Flask, request

app = Flask(__name__)
jobs = queue.Queue(maxsize=100)


def worker():
    while True:
        step = jobs.get()
        exec("total += step", {"total": 0, "step": step})
        jobs.task_done()


threading.Thread(target=worker, daemon=True).start()


@app.route("/schedule")
def schedule():
    jobs.put(len(request.cookies.get("task", "")))
    return {"queued": jobs.qsize()}
