r"""
A shop's customers over HTTP, as `shop_app.py` serves them, in an application of asyncio.

    LEDGER=sqlite:////srv/shop/.dualgauge/ledger.db STORE=sqlite:////srv/shop/.dualgauge/views_{side}.db \
        python shop_fastapi.py 8000
"""

import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI, HTTPException, Request, Response

from dualgauge_router import Router

HEADER = "X-Dualgauge-Decision"


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """One router for the process, from its start to its end."""
    with Router(ledger=os.environ["LEDGER"], migration="customers") as router:
        app.state.router, app.state.reader = router, router.reader(os.environ["STORE"])
        yield


app = FastAPI(lifespan=lifespan)


@app.middleware("http")
async def decide(request: Request, go_on: Callable[[Request], Awaitable[Response]]) -> Response:
    """Keep one decision for the whole request, and follow that of a service that asks us."""
    unit, email = request.headers.get("X-Tenant"), request.headers.get("X-Email")
    with app.state.router.pinned(unit, {"email": email}, header=request.headers.get(HEADER)) as decision:
        answer = await go_on(request)
    answer.headers[HEADER] = decision.header
    return answer


@app.get("/customers/{name}")
async def show(name: str, request: Request) -> dict[str, Any]:
    """One customer. A read of a row takes less than it takes to hand it to a thread."""
    row = app.state.reader.get("customers", name, unit=request.headers.get("X-Tenant"))
    if row is None:
        raise HTTPException(404)
    return dict(row)


@app.get("/counts")
async def counts() -> dict[str, Any]:
    """What came of this process's reads."""
    return dict(app.state.router.counts())


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), log_level="warning")
