"""Says what a flow means: pure Python and NumPy, no I/O and no clock."""
