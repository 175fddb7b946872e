"""JSON records of what was done (run.json), and pseudonyms of UIDs."""

from __future__ import annotations

import hashlib
import hmac
import json
import math
import os
import secrets
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from datetime import date
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np

from napari_lesion.core.errors import InputError
from napari_lesion.io.atomic import output_error, write_text

SCHEMA_VERSION = 1
STATE_VARIABLE = "NAPARI_LESION_STATE_DIR"
KEY_NAME = "pseudonym.key"
KEY_BYTES = 32


def write_json(path: Path, record: Mapping[str, Any]) -> None:
    """Write a record as indented UTF-8 JSON, atomically; it carries a ``schema_version`` (1 unless it says another).

    Raises
    ------
    OutputError
        When the file cannot be written.
    TypeError
        When a value has no plain form.
    """
    versioned = {"schema_version": SCHEMA_VERSION, **record}
    text = json.dumps(to_plain(versioned), ensure_ascii=False, indent=2, allow_nan=False)
    write_text(path, text + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Read a record that `write_json` wrote.

    Raises
    ------
    InputError
        When the file cannot be read or is no JSON object.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path.name} cannot be read as a record", str(error)) from error
    if not isinstance(record, dict):
        raise InputError(f"{path.name} cannot be read as a record", "it is not a JSON object")
    return record


def to_plain(value: Any) -> Any:
    """Numbers, texts, lists and dictionaries for JSON, of NumPy values, paths, enumerations and dataclasses.

    NaN and the infinities become None: JSON has no word for them.

    Raises
    ------
    TypeError
        When a value has no plain form.
    """
    if isinstance(value, Enum):
        return to_plain(value.value)
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, (np.ndarray, np.generic)):
        return to_plain(value.tolist())
    if isinstance(value, (Path, date)):
        return str(value)
    return _plain_container(value)


def _plain_container(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: to_plain(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, Mapping):
        return {str(to_plain(key)): to_plain(item) for key, item in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted(to_plain(item) for item in value)
    if isinstance(value, Iterable) and not isinstance(value, (bytes, bytearray)):
        return [to_plain(item) for item in value]
    raise TypeError(f"{type(value).__name__} has no plain form for JSON")


def pseudonymous_uid(uid: str, key: bytes | None = None) -> str:
    """A UID that stands for another one and cannot be turned back without the key.

    Parameters
    ----------
    uid
        DICOM UID.
    key
        Secret; that of this user on this machine when None, so that one series always gets one pseudonym.

    Returns
    -------
    str
        ``2.25.`` and a UUID as a decimal number (ITU-T X.667), made from HMAC-SHA256 (RFC 2104) of the UID.
    """
    digest = hmac.new(key or local_key(), uid.strip("\0 ").encode("utf-8"), hashlib.sha256).digest()
    return f"2.25.{uuid.UUID(bytes=digest[:16], version=4).int}"


def state_folder() -> Path:
    """Folder of this user for keys and autosaves; ``NAPARI_LESION_STATE_DIR`` puts it elsewhere."""
    value = os.environ.get(STATE_VARIABLE)
    if value:
        return Path(value)
    from platformdirs import user_state_path

    return Path(user_state_path("napari-lesion", appauthor=False))


def local_key() -> bytes:
    """The secret of this user on this machine: 32 random bytes, made when first needed, readable by the user alone.

    Raises
    ------
    OutputError
        When the key cannot be stored: a pseudonym that the next run could not repeat is not given out.
    """
    path = state_folder() / KEY_NAME
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _store_key(path)
        key = path.read_bytes()
    except OSError as error:
        raise output_error(path, error) from error
    if len(key) != KEY_BYTES:
        raise InputError("The key for pseudonyms is damaged", f"{path} has {len(key)} bytes", "Delete this file")
    return key


def _store_key(path: Path) -> None:
    """Store a new key in one step; the first of two processes wins."""
    temporary = path.with_name(f".{KEY_NAME}-{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(descriptor, secrets.token_bytes(KEY_BYTES))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass
    except OSError:
        os.replace(temporary, path)  # a file system without hard links
        return
    temporary.unlink()
