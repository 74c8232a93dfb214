"""
What "the same answer" means, and whether v1 and v2 give it.

A `Comparator` (content/comparator.py) says which columns are the key, by which rule (content/rules.py) each other
column agrees, and which differences are expected. `compare_relations` (engine/diff.py) judges two queries by it in
DuckDB and gives a `Comparison` (values.py): matched, expected and mismatched rows, never folded into one another.
"""
