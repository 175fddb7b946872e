"""Read ``metadata`` and ``inference`` configurations (JSON or YAML) as plain, bounded data."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from napari_lesion.core.errors import ModelError
from napari_lesion.models.config.limits import MAX_BYTES, MAX_DEPTH, MAX_NODES
from napari_lesion.models.config.usual import with_usual_names
from napari_lesion.models.safety import inside, lookup

SUFFIXES: Final = (".json", ".yaml", ".yml")
SEPARATOR: Final = "::"
REFERENCE: Final = re.compile(r"@(\w+(?:(?:::|#)\w+)*)")
"""``@id`` with keys or indices behind ``::`` (or ``#``, MONAI's older spelling)."""


@dataclass(frozen=True)
class BundleConfig:
    """What a bundle states, as plain data; nothing of it has been evaluated.

    Parameters
    ----------
    root
        Folder of the bundle.
    metadata, inference
        Content of both configurations, macros (``%``) put in, parts under their usual names.
    """

    root: Path
    metadata: Mapping[str, Any]
    inference: Mapping[str, Any]

    def find(self, identity: str) -> Any:
        """Value of an id such as ``network_def::channels::0``; KeyError when there is none."""
        return lookup(self.inference, identity)

    def has(self, identity: str) -> bool:
        """Whether there is a value of this id."""
        try:
            self.find(identity)
        except KeyError:
            return False
        return True


def read_configuration(root: Path) -> BundleConfig:
    """Read both configurations of a bundle folder.

    Parameters
    ----------
    root
        Folder with ``configs/metadata.json`` and ``configs/inference.json`` (or ``.yaml``, ``.yml``).

    Raises
    ------
    ModelError
        When one is missing, garbled, too large, too deep, or leads out of the folder.
    """
    inference = _read_either(root, "configs/inference")
    return BundleConfig(root, read_metadata(root), with_usual_names(_with_macros(root, inference)))


def read_metadata(root: Path) -> dict[str, Any]:
    """Read the metadata of a bundle folder alone; raises as `read_configuration`."""
    return _read_either(root, "configs/metadata")


def _read_either(root: Path, stem: str) -> dict[str, Any]:
    present = (suffix for suffix in SUFFIXES if (root / f"{stem}{suffix}").is_file())
    return read_mapping(root, f"{stem}{next(present, SUFFIXES[0])}")


def read_mapping(root: Path, relative: str) -> dict[str, Any]:
    """One configuration file of a bundle, JSON or YAML."""
    path = inside(root, relative)
    damaged = f"The model {root.name} is damaged"
    if path.stat().st_size > MAX_BYTES:
        raise ModelError(damaged, f"{relative} is larger than {MAX_BYTES // 2**20} MiB")
    try:
        content = _parse(path.read_text(encoding="utf-8"), path.suffix)
    except (ValueError, RecursionError, OSError) as error:
        raise ModelError(damaged, f"{relative} is not readable", "Copy or install the bundle again") from error
    if not isinstance(content, dict):
        raise ModelError(damaged, f"{relative} does not hold a mapping")
    _require_bounded(root, relative, content)
    return content


def _parse(text: str, suffix: str) -> Any:
    if suffix == ".json":
        return json.loads(text)
    import yaml

    try:
        # no Python objects in a safe load; an anchor is one shared object, however often it is named
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError("not YAML") from error


def _require_bounded(root: Path, relative: str, content: Any) -> None:
    """Refuse what unfolds to more than it seems: aliases in aliases, depth without end, keys that are no text."""
    stack, nodes = [(content, 0)], 0
    while stack:
        value, depth = stack.pop()
        nodes += 1
        if nodes > MAX_NODES or depth > MAX_DEPTH:
            raise ModelError(
                f"The model {root.name} was refused", f"{relative} is nested too deep or unfolds to too many values"
            )
        if isinstance(value, dict):
            if not all(isinstance(key, int) or (isinstance(key, str) and key.isprintable()) for key in value):
                raise ModelError(f"The model {root.name} was refused", f"{relative} has a key that is no plain text")
            stack.extend((item, depth + 1) for item in value.values())
        elif isinstance(value, list):
            stack.extend((item, depth + 1) for item in value)
        elif isinstance(value, str) and not _is_unicode(value):
            raise ModelError(f"The model {root.name} was refused", f"{relative} holds text that is not Unicode")


def _is_unicode(text: str) -> bool:
    """Whether a text has no half of a surrogate pair, which no file or screen takes."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def printable(text: str) -> str:
    """A text of a stranger in one line: what moves the cursor, turns the direction or hides is shown as its code."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)


def _with_macros(root: Path, content: dict[str, Any]) -> dict[str, Any]:
    """Put in what ``%id`` and ``%file::id`` copy from this configuration or another file of the bundle."""
    budget = [MAX_NODES]

    def expand(value: Any, depth: int) -> Any:
        budget[0] -= 1
        if budget[0] < 0 or depth > MAX_DEPTH:
            raise ModelError(f"The model {root.name} was refused", "its macros run in circles or unfold without end")
        if isinstance(value, str) and value.startswith("%"):
            return expand(_macro(root, content, value[1:]), depth + 1)
        if isinstance(value, dict):
            return {str(key): expand(item, depth + 1) for key, item in value.items()}
        if isinstance(value, list):
            return [expand(item, depth + 1) for item in value]
        return value

    expanded = expand(content, 0)
    assert isinstance(expanded, dict)
    return expanded


def _macro(root: Path, content: Mapping[str, Any], text: str) -> Any:
    file, identity = "", text.replace("#", SEPARATOR)
    for suffix in SUFFIXES:
        head, found, tail = identity.partition(suffix)
        if found:
            file, identity = head + suffix, tail.removeprefix(SEPARATOR)
            break
    source = read_mapping(root, file if "/" in file else f"configs/{file}") if file else content
    try:
        return lookup(source, identity) if identity else source
    except KeyError as error:
        raise ModelError(f"The model {root.name} was refused", f"the macro %{text} leads nowhere") from error
