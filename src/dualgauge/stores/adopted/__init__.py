"""Tables of the user's own that serve as v1."""
