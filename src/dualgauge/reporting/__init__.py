"""From evidence to what people read. In this version: the status of a migration."""
