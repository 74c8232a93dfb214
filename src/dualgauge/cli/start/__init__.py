"""Commands to begin with: init, demo, doctor."""
