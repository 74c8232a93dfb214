"""
dualgauge-router: which side answers a read of a migration, v1 or v2.

An application makes one `Router` from the ledger's URL and asks it at every read. It needs the standard library alone;
for a ledger in PostgreSQL, psycopg. `hashing` places a unit once and for all, `decision` says which side it reads and
why, `router` does so from the state that the ledger holds, and `rules` say when two values are the same answer.
"""

from dualgauge_router.decision import Decision, Reason
from dualgauge_router.errors import DualgaugeError
from dualgauge_router.hashing import BadUnit, unit_text
from dualgauge_router.model import Side
from dualgauge_router.router import Router

__all__ = ["BadUnit", "Decision", "DualgaugeError", "Reason", "Router", "Side", "unit_text"]

__version__ = "0.2.0"
