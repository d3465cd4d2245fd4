"""Keep a tenant's templates and pools of coupons in the files that his messages are made of.

A template that is put here becomes `templates/NAME.json`, in the place of a file of that name with
another ending. Pools stand in `content.yaml`. Each file is changed whole or not at all.
"""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from actors.relay.contents import SUFFIXES, ContentFile, FolderContents
from actors.relay.vault import write_whole
from actors.tenant_content import LIST, TEMPLATES
from actors.yaml_file import load_yaml
from core.content import Content, CouponPool, Recipient
from core.errors import HeadraceError


def template_names(folder: Path) -> list[str]:
    """The names of all templates in a data directory, in order."""
    templates = folder / TEMPLATES
    paths = templates.iterdir() if templates.is_dir() else ()
    return sorted({p.stem for p in paths if p.suffix in SUFFIXES and not p.name.startswith(".")})


def read_template(folder: Path, name: str) -> ContentFile | None:
    """The template of a name, None if there is none. Raises HeadraceError for a wrong file."""
    return FolderContents(folder / TEMPLATES).template(name)


def put_template(folder: Path, name: str, content: ContentFile) -> None:
    """Store a template; when it returns, the disk has it. Raises OSError."""
    templates = folder / TEMPLATES
    templates.mkdir(mode=0o700, parents=True, exist_ok=True)
    document = content.model_dump(mode="json", exclude_defaults=True)
    text = json.dumps(document, indent=1, ensure_ascii=False)
    write_whole(templates / f"{name}.json", text.encode())
    for suffix in SUFFIXES:
        if suffix != ".json":
            (templates / f"{name}{suffix}").unlink(missing_ok=True)


def delete_template(folder: Path, name: str) -> None:
    """Delete a template. Raises OSError."""
    for suffix in SUFFIXES:
        (folder / TEMPLATES / f"{name}{suffix}").unlink(missing_ok=True)


def read_list(folder: Path) -> Content:
    """The content list, an empty one if there is none. Raises HeadraceError for a wrong one."""
    path = folder / LIST
    if not path.is_file():
        return Content(headrace_content=1)
    return load_yaml(path, Content, "the content list")


def put_pools(folder: Path, pools: dict[str, CouponPool]) -> None:
    """Let these be the pools of coupons. Raises HeadraceError for a list that is wrong, OSError."""
    _put_list(folder, read_list(folder).model_copy(update={"pools": pools}))


def put_recipients(folder: Path, segments: dict[str, Recipient]) -> None:
    """Let these be the kinds of records in groups. Raises as `put_pools`."""
    _put_list(folder, read_list(folder).model_copy(update={"segments": segments}))


def _put_list(folder: Path, content: Content) -> None:
    document = {"headrace_content": 1, **content.model_dump(mode="json", exclude_defaults=True)}
    write_whole(folder / LIST, yaml.safe_dump(document, allow_unicode=True).encode())


def with_coupon(folder: Path, pool: str) -> list[str]:
    """The templates and listed items that carry coupons of a pool."""
    found = {name for name, item in read_list(folder).items.items() if item.coupon == pool}
    for name in template_names(folder):
        try:
            template = read_template(folder, name)
        except HeadraceError:
            continue  # it is sent to nobody
        if template is not None and template.coupon == pool:
            found.add(name)
    return sorted(found)
