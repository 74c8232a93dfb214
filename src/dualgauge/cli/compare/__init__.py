"""Commands that compare, check and report."""
