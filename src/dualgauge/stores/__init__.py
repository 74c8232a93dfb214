"""Port: serving stores. Point reads (`points`) are kept apart from bulk work; the port is `serving.port`."""
