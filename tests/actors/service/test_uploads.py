"""CSV files of users: read into rows by the schema, line by line."""

from __future__ import annotations

import pytest

from actors.service import uploads
from actors.service.errors import InvalidError
from actors.service.uploads import Refused, read_upload
from core.tenant_schema import TenantSchema

SCHEMA = TenantSchema.of(
    {
        "attributes": {
            "age": {"type": "int64"},
            "rich": {"type": "float64"},
            "vip": {"type": "bool"},
            "born": {"type": "date"},
            "email": {"type": "string", "personal": True},
        }
    }
)


def test_cells_become_values_of_their_types() -> None:
    text = "id,age,rich,vip,born,email,zone\nc1, 31 ,2.5,yes,1990-02-03,a@x.example,Europe/Riga\n"
    found = read_upload(text.encode(), SCHEMA, ["g"])
    assert found.rows == [
        {
            "customer": "c1",
            "set": {
                "age": 31, "rich": 2.5, "vip": True, "born": "1990-02-03", "email": "a@x.example",
            },
            "zone": "Europe/Riga",
            "groups": {"add": ["g"]},
        }
    ]  # fmt: skip
    assert (found.lines, found.refused) == ([2], [])


def test_a_line_over_several_lines_has_the_number_of_its_last() -> None:
    text = 'customer,email\n\nc1,"a\nb"\nc2,x,y\n'
    found = read_upload(text.encode(), SCHEMA)
    assert found.lines == [4]
    assert found.rows[0]["set"] == {"email": "a\nb"}
    assert found.refused == [Refused(5, "", "wrong-number-of-cells")]


def test_a_bool_is_one_of_six_words() -> None:
    text = "customer,vip\na,TRUE\nb,0\nc,maybe\n"
    found = read_upload(text.encode(), SCHEMA)
    assert [row["set"]["vip"] for row in found.rows] == [True, False]
    assert found.refused == [Refused(4, "vip", "wrong-type")]


def test_a_file_with_too_many_lines_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "LINES_MAX", 2)
    assert len(read_upload(b"customer\na\nb\n", SCHEMA).rows) == 2
    with pytest.raises(InvalidError, match="more than 2 lines"):
        read_upload(b"customer\na\nb\nc\n", SCHEMA)
