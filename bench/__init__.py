"""Measures throughput and size; `python -m bench` runs all of it."""
