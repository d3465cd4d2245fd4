"""A backup has what links in messages that were sent need, and who is left alone."""

from __future__ import annotations

import stat
from pathlib import Path

from actors.live.backup import copy_config
from actors.relay.link_settings import LINKS
from actors.relay.marks import KEY_FILE, Mark, load_key
from actors.relay.suppression import Suppressions


def test_links_still_lead_on_and_nobody_who_bounced_is_sent_to_after_a_restore(
    tmp_path: Path,
) -> None:
    first, copy, restored = (tmp_path / name for name in ("first", "copy", "restored"))
    for folder in (first, copy, restored):
        folder.mkdir()
    (first / LINKS).write_text("public_url: https://links.test\n")
    key = load_key(first)
    assert key is not None
    mark = Mark("click", 1, 2, 3, 4, 5, "f", "n", "email", "t", "m", target="https://a.test")
    listed = Suppressions(first, key)
    listed.put(listed.subject("email", "ada@x.test"), "bounce", 7)
    copy_config(first, copy)
    copy_config(copy, restored)
    found = load_key(restored, make=False)
    assert found is not None
    assert found.open(key.seal(mark)) == mark
    again = Suppressions(restored, found)
    assert again.find(again.subject("email", "ada@x.test")) is not None
    assert stat.S_IMODE((restored / KEY_FILE).stat().st_mode) == 0o600
    assert (restored / LINKS).read_text() == (first / LINKS).read_text()
