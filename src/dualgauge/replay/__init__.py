"""Replay: the bounded run over the history that fills a build and lets readers have it."""
