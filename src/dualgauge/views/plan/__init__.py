"""
How a view is kept current, and what can be said of its rows, derived from the parsed SQL.

Nothing is rewritten by a library: what is run is the view's own text, at most with one column put before its
FROM. Where the parsed tree does not prove something, the plan says so and takes the safe way.
"""
