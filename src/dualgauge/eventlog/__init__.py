"""The event log (a Delta Lake table), its sources and imports."""
