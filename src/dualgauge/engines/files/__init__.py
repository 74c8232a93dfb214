"""Files of text as they stand, for whoever reads them: no digit, row or name is lost between a file and the engine."""
