"""Real files that dualgauge lays out for a user, and the reference data's mapping."""
