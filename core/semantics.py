"""Name the rules of execution by a number that changes whenever two releases may decide otherwise.

A journal's tail is replayed by the release that wrote it (semantics 3). The number is a part of an
engine's version, so that what differs in rules never has one name.
"""

SEMANTICS = 2
"""Counts up with each change of docs/semantics.md, or of code, that changes any decision."""
