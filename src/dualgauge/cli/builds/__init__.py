"""Commands that build views, and show how they stand."""
