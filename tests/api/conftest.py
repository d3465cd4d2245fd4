"""Makes the audiences that the tests of the command line share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from actors.sample import make_sample
from importing import import_files


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop with 2,000 customers and 90 days of events."""
    folder = tmp_path_factory.mktemp("sample") / "shop"
    make_sample(folder, customers=2000)
    return folder


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ada, Bob and Cyd, what they did in May 2026, and mails that two other flows sent them.

    Ada is in Auckland, Bob in a zone that does not exist. Attributes are as of 1 July; `country`
    is constant, `plan` has a log of changes for Ada, `age` has neither.
    """
    mapping: dict[str, Any] = {
        "headrace_mapping": 1,
        "as_of": "2026-07-01T00:00:00Z",
        "zone": "UTC",
        "customers": {
            "file": "customers.csv",
            "id": "id",
            "zone": "zone",
            "attributes": {
                "country": {"column": "country", "constant": True},
                "age": {"column": "age", "type": "int64"},
                "plan": "plan",
            },
        },
        "events": {
            "file": "events.csv",
            "customer": "who",
            "time": "when",
            "event": "what",
            "properties": {"flow": "flow", "amount": {"column": "amount", "type": "float64"}},
        },
        "changes": {
            "file": "changes.csv",
            "customer": "who",
            "time": "when",
            "attribute": {"constant": "plan"},
            "value": "plan",
        },
    }
    files = {
        "customers.csv": "id,zone,country,age,plan\n"
        "ada,Pacific/Auckland,NZ,36,gold\nbob,Mars/Olympus,DE,20,free\ncyd,,DE,,free\n",
        "events.csv": "who,when,what,flow,amount\n"
        "ada,2026-05-01T10:00:00Z,signup,,\n"
        "bob,2026-05-02T10:00:00Z,signup,,\n"
        "ada,2026-05-03T10:00:00Z,mail_sent,welcome,\n"
        "bob,2026-05-04T10:00:00Z,mail_sent,newsletter,\n"
        "ada,2026-05-05T10:00:00Z,purchase,,9.5\n"
        "bob,2026-05-20T10:00:00Z,purchase,welcome,20\n"
        "cyd,2026-05-21T10:00:00Z,visit,,\n",
        "changes.csv": "who,when,plan\n"
        "ada,2026-04-01T00:00:00Z,free\nada,2026-05-04T00:00:00Z,gold\n",
    }
    return import_files(tmp_path_factory.mktemp("tiny"), mapping, files).folder
