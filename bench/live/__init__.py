"""Measures the live engine beside its rivals: each batch durable before it is acknowledged."""
