"""Tests of `actors.live.starting`: what an engine is started with, and what it goes on with."""

from pathlib import Path

import pytest

from actors.live.errors import RefusedError
from actors.live.shard import ShardOptions
from actors.live.starting import Hosting, Making, grouped, start_engine
from actors.live.watermarks import Marks
from actors.store.errors import FormatError, InUseError
from core.options import DEFAULT_SALT
from serving import SCHEMA, WELCOME, customers, signups

OPTIONS = ShardOptions(marks=Marks(disk_full=1.1), driven=True)
INLINE = Hosting(inline=True, shards=2, relays=False, options=OPTIONS)
START_MS = 1_800_000_000_000


@pytest.mark.parametrize(
    ("partitions", "shards", "groups"),
    [
        (1, 4, [(0,)]),
        (4, 1, [(0, 1, 2, 3)]),
        (4, 2, [(0, 1), (2, 3)]),
        (5, 3, [(0,), (1, 2), (3, 4)]),
        (3, 3, [(0,), (1,), (2,)]),
    ],
)
def test_partitions_are_shared_out(
    partitions: int, shards: int, groups: list[tuple[int, ...]]
) -> None:
    assert grouped(partitions, shards) == groups


@pytest.mark.parametrize("shards", [0, 257])
def test_a_number_of_shards_that_cannot_be_is_refused(shards: int) -> None:
    with pytest.raises(RefusedError, match=f"{shards} shards: expected 1 to 256"):
        grouped(4, shards)


def test_a_new_folder_is_made_with_what_is_stated(tmp_path: Path) -> None:
    making = Making("shop", 3, "pepper", "Europe/Berlin")
    with start_engine(tmp_path / "d", making, INLINE) as engine:
        found = engine.data.manifest
        assert (found.tenant, found.partitions, found.salt, found.zone) == (
            *("shop", 3, "pepper", "Europe/Berlin"),
        )
    with start_engine(tmp_path / "e", None, INLINE) as engine:
        assert (engine.data.manifest.tenant, engine.data.manifest.salt) == ("e", DEFAULT_SALT)
    for stated in (Making("x"), Making(partitions=2), Making(salt=""), Making(zone="UTC")):
        with pytest.raises(RefusedError, match="the data directory has"):
            start_engine(tmp_path / "d", stated, INLINE)
    start_engine(tmp_path / "d", making, INLINE).close()


def test_one_folder_has_one_engine(tmp_path: Path) -> None:
    refused = pytest.raises(InUseError, match="in use by process")
    with start_engine(tmp_path, Making(partitions=1), INLINE), refused:
        start_engine(tmp_path, None, INLINE)
    start_engine(tmp_path, None, INLINE).close()


def test_what_fails_to_start_leaves_the_folder_free(tmp_path: Path) -> None:
    start_engine(tmp_path, Making(partitions=1), INLINE).close()
    (tmp_path / "control" / "format").write_text("{}")
    for _ in range(2):
        with pytest.raises(FormatError, match="does not say what the folder holds"):
            start_engine(tmp_path, None, INLINE)


def test_a_journey_goes_on_where_it_was_with_other_shards(tmp_path: Path) -> None:
    with start_engine(tmp_path, Making(partitions=4), INLINE) as engine:
        engine.advance(START_MS)
        engine.set_schema(SCHEMA)
        engine.publish(WELCOME)
        engine.send(customers(200))
        engine.send(signups(200))
        begun = engine.counts("welcome").entered.tolist()
        assert begun[:4] == [200] * 4
        engine.advance(START_MS + 2 * 86_400_000)
        assert engine.counts("welcome").entered.tolist() == begun
    with start_engine(tmp_path, None, Hosting(True, 1, None, False, OPTIONS)) as engine:
        assert engine.counts("welcome").entered.tolist() == begun
        engine.advance(START_MS + 3 * 86_400_000 + 60_000)
        engine.send([{"customer": "c1", "event": "email_clicked", "message_id": "late"}])
        later = engine.counts("welcome")
        names = list(engine_nodes())
        assert later.entered[names.index("interested")] == 0
        assert later.waiting.sum() == 200
        assert later.entered[names.index("morning")] == 200


def engine_nodes() -> list[str]:
    """The nodes of the flow, in order."""
    from core.document import read_flow

    flow, _ = read_flow(WELCOME, name="welcome.yaml")
    assert flow is not None
    return list(flow.nodes)
