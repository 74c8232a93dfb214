"""Events from an application, appended exactly once."""
