"""Records are plain JSON, and a pseudonym is a valid UID that only the key can repeat."""

from __future__ import annotations

import datetime
import json
import math
import os
import stat
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import UID

from napari_lesion.core.errors import InputError, OutputError
from napari_lesion.core.volume import Modality
from napari_lesion.io.records import KEY_NAME, local_key, pseudonymous_uid, read_json, to_plain, write_json


@dataclass(frozen=True)
class Parameters:
    threshold: float
    where: Path


def test_values_of_every_kind_become_plain(tmp_path: Path) -> None:
    record = {
        "numbers": np.arange(3),
        "one": np.float32(0.5),
        "undefined": math.nan,
        "endless": np.array([np.inf, 1.0]),
        "path": Path("a") / "b",
        "modality": Modality.CT,
        "parameters": Parameters(0.25, Path("x")),
        "set": {3, 1, 2},
        "day": datetime.date(2026, 1, 2),
        5: (None, True, "ü"),
    }
    write_json(tmp_path / "run.json", record)
    assert read_json(tmp_path / "run.json") == {
        "schema_version": 1,
        "numbers": [0, 1, 2],
        "one": 0.5,
        "undefined": None,
        "endless": [None, 1.0],
        "path": str(Path("a") / "b"),
        "modality": "CT",
        "parameters": {"threshold": 0.25, "where": "x"},
        "set": [1, 2, 3],
        "day": "2026-01-02",
        "5": [None, True, "ü"],
    }
    assert "NaN" not in (tmp_path / "run.json").read_text(encoding="utf-8")


def test_the_version_of_the_record_stays(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"schema_version": 4})
    assert read_json(tmp_path / "a.json") == {"schema_version": 4}


@pytest.mark.parametrize("value", [object(), b"bytes", {"a": [object()]}, Parameters])
def test_a_value_without_a_plain_form_is_a_bug(value: object) -> None:
    with pytest.raises(TypeError, match="no plain form"):
        to_plain(value)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False),
        lambda s: st.lists(s, max_size=4) | st.dictionaries(st.text(), s, max_size=4),
        max_leaves=12,
    )
)
def test_plain_values_stay_as_they_are(value: object) -> None:
    assert to_plain(value) == value
    json.dumps(to_plain(value), allow_nan=False)


@pytest.mark.parametrize("text", ["", "{", "[1]", "\xff"])
def test_what_is_no_record(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match="as a record"):
        read_json(tmp_path / "a.json")


@given(st.text(st.sampled_from("0123456789."), min_size=1, max_size=64), st.binary(min_size=32, max_size=32))
def test_a_pseudonym_is_a_valid_uid_made_from_key_and_uid(uid: str, key: bytes) -> None:
    pseudonym = pseudonymous_uid(uid, key)
    assert UID(pseudonym).is_valid
    assert pseudonym.startswith("2.25.")
    assert len(pseudonym) <= 64
    assert pseudonym == pseudonymous_uid(uid, key)
    assert pseudonym != pseudonymous_uid(uid + "1", key)
    assert pseudonym != pseudonymous_uid(uid, bytes([key[0] ^ 1]) + key[1:])


def test_a_known_pseudonym() -> None:
    """HMAC-SHA256 by another road: Python's one-shot digest, and the UUID arithmetic by hand."""
    import hmac

    digest = int.from_bytes(hmac.digest(b"k" * 32, b"1.2.840.1", "sha256")[:16], "big")
    digest = digest & ~(0xF << 76) | (4 << 76)
    digest = digest & ~(0x3 << 62) | (0x2 << 62)
    assert pseudonymous_uid("1.2.840.1", b"k" * 32) == f"2.25.{digest}"


def test_padding_of_a_uid_does_not_matter() -> None:
    assert pseudonymous_uid("1.2.3\0", b"k") == pseudonymous_uid("1.2.3", b"k")


def test_the_local_key_is_made_once_and_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAPARI_LESION_STATE_DIR", str(tmp_path / "state"))
    first = pseudonymous_uid("1.2.3")
    assert first == pseudonymous_uid("1.2.3")
    path = tmp_path / "state" / KEY_NAME
    assert [p.name for p in path.parent.iterdir()] == [KEY_NAME]
    assert len(path.read_bytes()) == 32
    if os.name == "posix":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.unlink()
    assert pseudonymous_uid("1.2.3") != first


def test_a_damaged_or_unwritable_key_gives_no_pseudonym(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAPARI_LESION_STATE_DIR", str(tmp_path))
    (tmp_path / KEY_NAME).write_bytes(b"short")
    with pytest.raises(InputError, match="damaged"):
        local_key()
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NAPARI_LESION_STATE_DIR", str(tmp_path / "file"))
    with pytest.raises(OutputError):
        local_key()
