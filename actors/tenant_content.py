"""Read what content a tenant has: his templates, and the list in `content.yaml` beside them."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path

from actors.relay.channels.render import entries_of
from actors.relay.contents import SUFFIXES, ContentFile, FolderContents
from actors.yaml_file import load_yaml
from core.content import Content, ContentItem
from core.errors import HeadraceError

TEMPLATES = "templates"
LIST = "content.yaml"


def tenant_content(folder: Path, used: Collection[str] = ()) -> Content:
    """The content in the data directory `folder`: its templates as items, and its list.

    Of what both name the template holds. Raises HeadraceError for a list that is wrong, and for a
    wrong template whose name is in `used`; other wrong templates are left out.
    """
    templates = folder / TEMPLATES
    files = sorted(templates.iterdir()) if templates.is_dir() else []
    known = FolderContents(templates)
    items: dict[str, ContentItem] = {}
    for path in files:
        if path.suffix not in SUFFIXES:
            continue
        try:
            found = known.template(path.stem)
        except HeadraceError:
            if path.stem in used:
                raise
            continue
        if found is not None:
            items[path.stem] = _item(found)
    content = Content(headrace_content=1, items=items)
    listed = folder / LIST
    if listed.is_file():
        content = content.joined(load_yaml(listed, Content, "the content list"))
    return content


def _item(file: ContentFile) -> ContentItem:
    said = {
        channel: {name: part.text for name, part in each.parts.items()}
        for channel, each in file.channels.items()
    }
    parts = [part for each in file.channels.values() for part in each.parts.values()]
    body = json.dumps([said, file.constants, file.defaults], sort_keys=True)
    return ContentItem(
        channel=list(file.channels),
        state=file.state,
        recipient=file.recipient,
        kind=file.kind,
        released=file.released,
        coupon=file.coupon,
        expires=file.expires,
        body=body,
        variables=sorted({each for part in parts for each in entries_of(part.text)}),
    )
