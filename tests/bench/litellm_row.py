"""LiteLLM Router's row of `llm_call.py`, which runs this in an environment that has litellm and nothing of ours.

uv run --no-project --isolated --with litellm python litellm_row.py URL WARM_S SECONDS CALLERS [CALLERS ...]
"""

import asyncio
import json
import logging
import sys
import time

from litellm import Router


async def drive(router: Router, callers: int, warm_s: float, seconds: float) -> dict[str, float]:
    """As `llm_call.drive`."""
    took: list[float] = []
    starts = time.perf_counter() + warm_s
    ends = starts + seconds

    async def caller(number: int) -> None:
        index = 0
        while (began := time.perf_counter()) < ends:
            prompt = f"What is {number} times {index}?"
            answer = await router.acompletion(
                model="m", messages=[{"role": "user", "content": prompt}], max_tokens=64
            )
            ended = time.perf_counter()
            if answer.choices[0].message.content != "Hello.":
                raise AssertionError(answer)
            if began >= starts and ended <= ends:
                took.append(ended - began)
            index += 1

    await asyncio.gather(*map(caller, range(callers)))
    took.sort()
    return {
        f"calls_s_{callers}": len(took) / seconds,
        f"p50_ms_{callers}": took[len(took) // 2] * 1e3,
        f"p99_ms_{callers}": took[len(took) * 99 // 100] * 1e3,
    }


async def main() -> None:
    url, warm_s, seconds, *callers = sys.argv[1:]
    logging.getLogger("LiteLLM").setLevel(logging.ERROR)
    deployment = {
        "model_name": "m",
        "litellm_params": {"model": "openai/m", "api_base": url, "api_key": "none"},
    }
    router = Router(model_list=[deployment], num_retries=0)
    row: dict[str, float] = {}
    for count in map(int, callers):
        row |= await drive(router, count, float(warm_s), float(seconds))
    print(json.dumps(row))


if __name__ == "__main__":
    asyncio.run(main())
