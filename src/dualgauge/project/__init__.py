"""Finds the project, hands raw settings to the rooms, pairs content files, loads Python content by path."""
