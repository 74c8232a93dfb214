"""
The Alembic environment of the serving store.

Plain `alembic upgrade head`, `alembic check` and the rest work here; so does `dualgauge migrate`. Only the
shapes of views (`*__shape`) are seen: builds come and go with replays.
"""

from pathlib import Path

from alembic import context

from dualgauge.migration import alembic_environment

alembic_environment(context, Path(__file__))
