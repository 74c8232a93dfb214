"""What a user writes: comparators, rules and checks."""
