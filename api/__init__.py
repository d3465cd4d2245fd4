"""Serves whoever asks: the command line and the HTML page."""
