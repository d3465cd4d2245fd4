"""Times single parts of the engine with pytest-benchmark, held against a stored baseline."""
