"""Looks at a set-up, changes nothing, and says of each part whether it is in order and how to mend it."""
