"""Files, tables and data frames as the two sides of a comparison, without a project."""
