"""YAML whose numbers are read as DVC reads them."""

from __future__ import annotations

import re
from typing import Any, TypeVar

import yaml

L = TypeVar("L", bound=type)


def with_exponents(loader: L) -> L:
    """Make a PyYAML loader read 2e-4 as the number that it is in YAML 1.2 (class decorator)."""
    loader.add_implicit_resolver(  # type: ignore[attr-defined]
        "tag:yaml.org,2002:float",
        re.compile(r"^[-+]?(?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9_]+)[eE][-+]?[0-9]+$"),
        list("-+0123456789."),
    )
    return loader


@with_exponents
class _FastLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """In C where PyYAML was built with it: dvc.lock is long."""


def load_yaml(content: bytes) -> Any:
    """What a YAML file says; yaml.YAMLError if it is none."""
    return yaml.load(content, Loader=_FastLoader)


@with_exponents
class _UniqueKeyLoader(yaml.SafeLoader):
    """Refuses a key said twice."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def load_strictly(content: bytes) -> Any:
    """What a YAML file that people write says.

    Raises:
        ValueError: it is no YAML, no UTF-8, or says a key twice.
    """
    try:
        return yaml.load(content.decode("utf-8"), Loader=_UniqueKeyLoader)
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error
