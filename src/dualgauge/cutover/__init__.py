"""
Stage 6: moving reads from v1 to v2 and back.

`stages` is the one table of moves, `percent` reads shares, `switch` makes the moves in the ledger.
"""
