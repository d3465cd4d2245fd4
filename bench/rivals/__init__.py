"""Holds the reference journey as others would write it, each on the engine's own columns."""
