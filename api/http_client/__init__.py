"""Ask the HTTP API from Python: one method for each operation, retried and paged.

    with HttpClient("http://127.0.0.1:8000", key) as client:
        for flow in client.list_flows(status=["running"]):
            print(flow["flow"])

Methods take what an operation's path, query and body have, by name, and return what its body has.
"""

from api.http_client.client import HttpClient
from api.http_client.connection import ApiError

__all__ = ["ApiError", "HttpClient"]
