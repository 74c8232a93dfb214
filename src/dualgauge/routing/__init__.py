"""
Stage 5: which side answers a read.

`hashing` places a unit once and for all, `decision` says which side it reads and why, `router` does so in an
application, from the state that the ledger holds.
"""
