"""When work is due, what becomes of slots that nobody ran in time, and how other schedulers are told of it."""
