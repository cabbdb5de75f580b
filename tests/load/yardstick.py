"""A plain worker of procrastinate, to compare ours with: `python -m tests.load.yardstick`.

Each of its jobs makes the same two HTTP calls as ours, and one UPDATE. It has no claims, leases,
budgets or events.
"""

import asyncio
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import procrastinate
import psycopg
import requests
from procrastinate import PsycopgConnector

THREADS = 8
QUEUE, JOB = "yardstick", "yardstick"
COMPLETION = {"model": "m", "messages": [{"role": "user", "content": "Analyze sentiment"}]}
SCREENING = {"text": "fine", "user_id": None, "check_pii": True, "check_injection": True}

url, arm_url, reflex_url = sys.argv[1:]
app = procrastinate.App(connector=PsycopgConnector(conninfo=url))
own = threading.local()


@app.task(name=JOB, queue=QUEUE)
def carry_out(task: str) -> None:
    if not hasattr(own, "session"):
        own.session, own.database = requests.Session(), psycopg.connect(url, autocommit=True)
    for address, body in (
        (f"{arm_url}/v1/chat/completions", COMPLETION),
        (f"{reflex_url}/process", SCREENING),
    ):
        own.session.post(address, json=body, timeout=5).raise_for_status()
    own.database.execute("UPDATE tasks SET status = 'completed' WHERE id = %s", [task])


async def main() -> None:
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS))
    async with app.open_async():
        await app.run_worker_async(
            queues=[QUEUE], concurrency=THREADS, delete_jobs="successful", wait=True
        )


asyncio.run(main())
