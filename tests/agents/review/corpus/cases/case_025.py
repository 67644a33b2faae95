import numpy as np
from fastapi import FastAPI

app = FastAPI()
latencies_ms: list[float] = []


def bootstrap(values: list[float], rounds: int) -> list[float]:
    generator = np.random.default_rng(7)
    return [float(generator.choice(values, len(values)).mean()) for _ in range(rounds)]


@app.get("/latency")
def latency():
    means = sorted(bootstrap(latencies_ms or [0.0], 200))
    return {"low": means[5], "high": means[-6]}
