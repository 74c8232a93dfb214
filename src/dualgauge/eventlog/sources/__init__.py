"""What is read: files, tables and objects, their mapping to events, and how far each was imported."""
