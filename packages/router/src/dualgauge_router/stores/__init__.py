"""Point reads of the serving store: what an application asks, by the standard library."""
