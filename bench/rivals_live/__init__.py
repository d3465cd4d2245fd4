"""Runs the reference journey live as others would: by hand over a store, or on an engine."""
