r"""
A shop's customers over HTTP, each read from v1 or v2 as the migration's share says.

    LEDGER=sqlite:////srv/shop/.dualgauge/ledger.db STORE=sqlite:////srv/shop/.dualgauge/views_{side}.db \
        python shop_app.py 8000
"""

import os
import sys

from flask import Flask, Response, abort, g, jsonify, request

from dualgauge_router import Router

HEADER = "X-Dualgauge-Decision"

app = Flask(__name__)
# Before the server forks or starts threads: each process goes on by itself, and looks at the ledger once a second.
router = Router(ledger=os.environ["LEDGER"], migration="customers")
reader = router.reader(os.environ["STORE"])


@app.before_request
def decide() -> None:
    """Keep one decision for the whole request, and follow that of a service that asks us."""
    unit, email = request.headers.get("X-Tenant"), request.headers.get("X-Email")
    g.pin = router.pinned(unit, {"email": email}, header=request.headers.get(HEADER))
    g.decision = g.pin.__enter__()


@app.teardown_request
def forget(_: BaseException | None) -> None:
    """The decision held for this request."""
    if "pin" in g:
        g.pin.__exit__(None, None, None)


@app.get("/customers/<name>")
def show(name: str) -> Response:
    """One customer."""
    unit = request.headers.get("X-Tenant")
    row = reader.get("customers", name, unit=unit, timeout=0.5)
    if row is None:
        abort(404)
    answer = jsonify(row)
    answer.headers[HEADER] = g.decision.header
    return answer


@app.get("/counts")
def counts() -> Response:
    """What came of this process's reads."""
    return jsonify(router.counts())


if __name__ == "__main__":
    forking = "--fork" in sys.argv
    app.run(port=int(sys.argv[1]), threaded=not forking, processes=4 if forking else 1)
