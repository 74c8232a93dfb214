"""
`timeout -s KILL SECONDS dualgauge ...`, for tests: the kill comes at a moment that $DIES names, not after seconds.

`before`: right before the command's decisive write; `after`: right behind it, before anybody is told.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from dualgauge.cli import main
from dualgauge.eventlog.table.event_log import EventLog
from dualgauge.ledger.ledger import Ledger
from dualgauge.stores.sqlite.bulk import SqliteLoading

DECISIVE: dict[str, tuple[type, str]] = {
    "import": (EventLog, "commit"),
    "compact": (EventLog, "transact"),
    "replay": (SqliteLoading, "finish"),
    "diff": (Ledger, "finish_evidence"),
    "switch": (Ledger, "move"),
}


def dies(owner: type, name: str, moment: str) -> None:
    """Let the process be killed at the first call of a method."""
    own = getattr(owner, name)

    def wrapped(*given: Any, **named: Any) -> None:
        if moment == "after":
            own(*given, **named)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, name, wrapped)


if __name__ == "__main__":
    arguments = sys.argv[sys.argv.index("dualgauge") :]
    dies(*DECISIVE[arguments[2] if arguments[1] == "log" else arguments[1]], os.environ["DIES"])
    sys.argv = arguments
    main()
