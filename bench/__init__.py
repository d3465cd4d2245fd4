"""Measures speed and size beside rivals; `python -m bench` runs all of it."""
