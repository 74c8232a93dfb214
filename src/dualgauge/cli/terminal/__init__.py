"""How every command answers: options, text or JSON, errors, progress, completion."""
