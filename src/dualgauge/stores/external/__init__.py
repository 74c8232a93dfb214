"""Tables of any database, read and never written."""
