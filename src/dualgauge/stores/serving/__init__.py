"""The port of serving stores, and what every store shares: table schemas, types, builds, checkpoints, revisions."""
