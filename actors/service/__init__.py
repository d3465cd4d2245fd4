"""Run the service behind the HTTP API: its control plane, its tenants, and who may do what.

Start at `plane`, the one store of everything that is not an engine's; what stands beside it keeps
its records there. Nothing here knows of HTTP, and nothing but the caller knows what time it is.
"""
