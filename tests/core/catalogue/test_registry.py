"""Every declared node type says all that others read of it, and adding one is adding a class."""

import importlib
import pkgutil

import pytest

import core.catalogue
from core.catalogue.base import CATEGORIES, NodeBase
from core.catalogue.registry import FAMILIES, NODE_TYPES

SHARED = {"base", "registry"}


def test_every_module_of_the_package_is_a_family_or_shared_by_them() -> None:
    found = {module.name for module in pkgutil.iter_modules(core.catalogue.__path__)}
    assert found == {*FAMILIES, *SHARED}


def test_every_family_declares_a_type() -> None:
    owners = {model.__module__.rpartition(".")[2] for model in NODE_TYPES.values()}
    assert owners == set(FAMILIES)


@pytest.mark.parametrize("name", NODE_TYPES)
def test_a_type_has_texts_for_the_palette(name: str) -> None:
    model = NODE_TYPES[name]
    assert model.category in CATEGORIES
    assert 3 <= len(model.label) <= 40
    assert model.label[0].isupper()
    assert not model.label.endswith(".")
    assert model.help.endswith(".")
    assert model.help != model.label


def test_no_two_types_have_one_label() -> None:
    labels = [model.label for model in NODE_TYPES.values()]
    assert sorted(set(labels)) == sorted(labels)


@pytest.mark.parametrize("name", NODE_TYPES)
def test_a_type_is_an_operation_or_stands_for_other_nodes(name: str) -> None:
    model = NODE_TYPES[name]
    compiles = model.compiled is not NodeBase.compiled
    lowers = model.lowered is not NodeBase.lowered
    assert compiles != lowers
    assert model.describe is not NodeBase.describe


def test_a_family_is_imported_by_its_name() -> None:
    for family in FAMILIES:
        module = importlib.import_module(f"core.catalogue.{family}")
        assert module.__doc__
