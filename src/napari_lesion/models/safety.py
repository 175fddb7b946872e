"""What of a bundle may be used: networks named one by one, literal arguments, plain tensors, files inside the folder.

A bundle is data from a stranger. Nothing in this module evaluates an expression, imports a module that a
bundle names, or unpickles an object; what does not fit is refused with a `ModelError`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from napari_lesion.core.errors import ModelError

if TYPE_CHECKING:
    import torch

MAX_REFERENCE_DEPTH: Final = 16
NAME_PATTERN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")

NETWORKS: Final[Mapping[str, str]] = {
    "AttentionUnet": "attentionunet",
    "BasicUNet": "basic_unet",
    "BasicUNetPlusPlus": "basic_unetplusplus",
    "DynUNet": "dynunet",
    "SegResNet": "segresnet",
    "SegResNetDS": "segresnet_ds",
    "SwinUNETR": "swin_unetr",
    "UNETR": "unetr",
    "UNet": "unet",
    "VNet": "vnet",
}
"""Network classes that may be built, and the module of ``monai.networks.nets`` each one stands in."""

_OTHER_SPELLINGS: Final = {"Unet": "UNet", "unet": "UNet"}
_EXPRESSIONS: Final = ("$", "%")
_AGAIN: Final = "Copy or install the bundle again"


def require_name(name: str) -> str:
    """Give back a plain bundle name; ModelError for anything that could walk to another folder."""
    if not NAME_PATTERN.fullmatch(name):
        raise ModelError(
            f"{name!r} is not the name of a model",
            "a name holds letters, digits, dots, dashes and underscores",
            "Give a name that `napari-lesion models` lists, or the path of a bundle folder",
        )
    return name


def inside(root: Path, relative: str) -> Path:
    """Path of an existing file below ``root``; ModelError when it is missing or leads out of it."""
    path = root / relative
    if not path.resolve().is_relative_to(root.resolve()):
        raise ModelError(f"The model {root.name} was refused", f"{relative} leads out of its folder")
    if not path.is_file():
        raise ModelError(
            f"The model {root.name} is incomplete",
            f"the file {relative} is missing",
            "Copy or install the bundle again",
        )
    return path


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def network_class_name(target: object) -> str:
    """Name in `NETWORKS` of a ``_target_``; ModelError when the class is not on the list.

    ``UNet``, ``monai.networks.nets.UNet`` and ``monai.networks.nets.unet.UNet`` are the same class.
    """
    text = target if isinstance(target, str) else ""
    prefix, _, last = text.rpartition(".")
    name = _OTHER_SPELLINGS.get(last, last)
    module = NETWORKS.get(name)
    if module is None or prefix not in ("", "monai.networks.nets", f"monai.networks.nets.{module}"):
        raise ModelError(
            f"The network {target!r} is not built",
            "it is not on the list of network classes that are safe to build",
            f"Use one of {', '.join(NETWORKS)}",
        )
    return name


def literal(value: Any, config: Mapping[str, Any], depth: int = 0) -> Any:
    """Resolve ``@`` references of a configuration value to literals.

    Parameters
    ----------
    value
        Part of a bundle configuration.
    config
        The whole configuration that references point into (``@channels``, ``@net::channels``, ``@net#channels``).
    depth
        Nesting so far.

    Raises
    ------
    ModelError
        For expressions (``$``), macros (``%``), nested components (``_target_``), references that lead
        nowhere or in circles.
    """
    if depth > MAX_REFERENCE_DEPTH:
        raise ModelError(
            "The model configuration was refused", "its references run in circles or are nested too deep"
        )
    if isinstance(value, Mapping):
        special = [key for key in value if str(key).startswith("_") and str(key).endswith("_") and key != "_desc_"]
        if special:
            raise ModelError("The model configuration was refused", f"an argument holds {special[0]}")
        return {str(key): literal(item, config, depth + 1) for key, item in value.items() if key != "_desc_"}
    if isinstance(value, list):
        return [literal(item, config, depth + 1) for item in value]
    if isinstance(value, str) and value.startswith(_EXPRESSIONS):
        raise ModelError("The model configuration was refused", f"{value[:60]!r} is an expression, not a literal")
    if isinstance(value, str) and value.startswith("@"):
        return literal(_follow(value, config), config, depth + 1)
    return value


def lookup(config: Any, identity: str) -> Any:
    """Value of an id such as ``network_def::channels::0`` (or ``#``) below a configuration; KeyError without one."""
    found = config
    for part in identity.replace("#", "::").split("::"):
        if isinstance(found, Mapping) and part in found:
            found = found[part]
        elif isinstance(found, list) and part.isdecimal() and int(part) < len(found):
            found = found[int(part)]
        else:
            raise KeyError(identity)
    return found


def _follow(reference: str, config: Mapping[str, Any]) -> Any:
    try:
        return lookup(config, reference[1:])
    except KeyError as error:
        raise ModelError(
            "The model configuration was refused", f"the reference {reference!r} leads nowhere"
        ) from error


def load_state_dict(root: Path, relative: str) -> dict[str, torch.Tensor]:
    """Plain tensors of a checkpoint by name, floating ones in float32; nothing else is ever unpickled.

    Raises
    ------
    ModelError
        When the file is missing, truncated, holds anything but tensors, or numbers that are not finite.
    """
    content = _load(root, relative)
    if isinstance(content, dict):
        content = next(
            (content[key] for key in ("state_dict", "model") if isinstance(content.get(key), dict)), content
        )
    return _plain_tensors(content, root, relative)


def load_state_dicts(root: Path, relative: str) -> dict[str, dict[str, torch.Tensor]]:
    """Plain tensors of several networks by name of the network, as `load_state_dict` gives those of one."""
    content = _load(root, relative)
    if not isinstance(content, dict) or not content:
        raise ModelError(_damaged(root), f"{relative} holds no networks", _AGAIN)
    return {str(name): _plain_tensors(part, root, relative) for name, part in content.items()}


def _load(root: Path, relative: str) -> Any:
    import pickle
    import zipfile

    import torch

    path = inside(root, relative)
    if _unfolds(path):
        raise ModelError(_damaged(root), f"{relative} would unfold to far more than it holds", _AGAIN)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        why = f"{relative} holds something else than plain tensors, or is damaged; nothing of it was run"
        raise ModelError(_damaged(root), why, "Save the bundle with a plain state_dict") from error
    except (RuntimeError, EOFError, OSError, ValueError, LookupError, zipfile.BadZipFile, MemoryError) as error:
        raise ModelError(_damaged(root), f"{relative} is truncated or no PyTorch file", _AGAIN) from error


def _plain_tensors(content: Any, root: Path, relative: str) -> dict[str, torch.Tensor]:
    import torch

    if not isinstance(content, dict) or not content or not all(isinstance(v, torch.Tensor) for v in content.values()):
        raise ModelError(
            _damaged(root), f"{relative} does not hold a state_dict", "Save the bundle with a plain state_dict"
        )
    if not all(_is_plain(v) for v in content.values()):
        raise ModelError(_damaged(root), f"{relative} holds tensors that are no plain arrays", _AGAIN)
    state = {str(k): v.float() if v.is_floating_point() else v for k, v in content.items()}
    if not all(bool(torch.isfinite(v).all()) for v in state.values() if v.is_floating_point()):
        raise ModelError(_damaged(root), f"{relative} holds numbers that are not finite", _AGAIN)
    return state


def _damaged(root: Path) -> str:
    return f"The weights of the model {root.name} are not usable"


def _unfolds(path: Path) -> bool:
    """Whether a file of weights, whose parts PyTorch stores as they are, holds packed ones that grow."""
    import zipfile

    try:
        with zipfile.ZipFile(path) as archive:
            total = sum(entry.file_size for entry in archive.infolist())
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError):
        return False
    return total > 2 * path.stat().st_size + 2**20


def _is_plain(tensor: torch.Tensor) -> bool:
    """Whether a tensor is an array with a number of its own for each place; one that repeats a number is not."""
    import torch

    if tensor.layout is not torch.strided or tensor.device.type != "cpu" or tensor.is_quantized:
        return False
    return bool(tensor.numel() * tensor.element_size() <= tensor.untyped_storage().nbytes())
