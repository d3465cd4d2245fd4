"""Declare the node types of flows: one class for each, in one module for each family.

A class is all that there is to say about a type: what it is configured with, through which ports a
token leaves it, how the palette and a report speak of it, and what it does: either the operation it
compiles to (`compiled`) or the simpler nodes it stands for (`lowered`). `registry` finds them by
itself, so a new type is a class in the module of its family, and its test.

What a node compiles to is imported where it is compiled: `core.program` needs the flow's model, and
that needs these modules.
"""
