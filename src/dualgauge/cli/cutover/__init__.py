"""Commands that read, move and look back."""
