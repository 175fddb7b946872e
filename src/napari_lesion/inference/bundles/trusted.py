"""Parts of a bundle that the user trusts: its own code is imported, and MONAI's parser evaluates its expressions."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from napari_lesion.core.errors import ModelError
from napari_lesion.models.config.reading import BundleConfig
from napari_lesion.models.config.trusting import trusted_configuration


class Parsed:
    """Objects of a trusted configuration, made by MONAI's parser.

    Parameters
    ----------
    config
        Configuration of a bundle that the user trusts.
    device
        ``cpu`` or ``cuda``.
    """

    def __init__(self, config: BundleConfig, device: str) -> None:
        from monai.bundle import ConfigParser

        self._name = config.root.name
        self._parser = ConfigParser(trusted_configuration(config, device))

    def get(self, identity: str) -> Any:
        """Object of an id; ModelError for whatever its making raises."""
        try:
            with _whole_checkpoints():
                return self._parser.get_parsed_content(identity)
        except Exception as error:
            # whatever the code of a bundle raises is a fault of the bundle
            reason = str(error.__cause__ or error).strip().splitlines() or [type(error).__name__]
            raise ModelError(f"The model {self._name} cannot be built", f"{identity}: {reason[0][:200]}") from error


@contextmanager
def _whole_checkpoints() -> Iterator[None]:
    """Let a trusted bundle's own ``torch.load`` read what it was saved with, arrays too."""
    name = "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


@contextmanager
def importable(root: Path) -> Iterator[None]:
    """Let the code of one bundle be imported; another bundle's ``scripts`` are not mistaken for it."""
    known = {path.stem if path.suffix == ".py" else path.name for path in root.iterdir()}
    _forget(known)
    sys.path.insert(0, str(root))
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = writes
        if str(root) in sys.path:
            sys.path.remove(str(root))
        _forget(known)


def _forget(names: set[str]) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] in names & {"scripts", "src"}]:
        del sys.modules[name]
