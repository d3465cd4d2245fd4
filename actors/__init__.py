"""Runs flows somewhere: readers, writers and the driver of dry runs."""
