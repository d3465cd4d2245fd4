"""Runs flows fast: Cython modules that know arrays only."""
