"""Turn journeys of other products into flow documents, and say what can't come along.

Each product has a module with a pure function from its document to a `Converted`; `products` tells
the products apart. Nothing of a document is dropped silently: whatever is read neither as a node,
an edge nor a setting becomes a `Note` with its place, the reason, and what stands in for it.
"""
