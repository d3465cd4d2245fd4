"""Typed face of ext/couplings.pyx: nothing of it is seen from Python."""

__all__: list[str] = []
