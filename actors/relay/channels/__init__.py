"""Channels hand rendered messages to providers."""
