"""Port: serving stores. Point reads (`points`) are kept apart from bulk work; shapes and builds are in `schema`."""
