"""A file is there whole, or the old one is."""

from __future__ import annotations

import errno
import os
import resource
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from napari_lesion.core.errors import LesionError, OutputError
from napari_lesion.core.grid import Grid
from napari_lesion.core.table import Column, LesionTable
from napari_lesion.core.volume import LabelMap, Source
from napari_lesion.io.atomic import atomic_path, extension, write_text
from napari_lesion.io.masks import write_labels
from napari_lesion.io.records import write_json
from napari_lesion.io.tables import write_table

FORMATS = (".nii.gz", ".nii", ".nrrd", ".mha")


def noise() -> LabelMap:
    """Labels that do not compress."""
    grid = Grid((40, 40, 40), (1, 1, 1))
    return LabelMap(np.random.default_rng(0).integers(0, 255, grid.shape).astype(np.uint8), grid)


@contextmanager
def small_files() -> Iterator[None]:
    """The operating system refuses files beyond 4 KiB, as a full disk does.

    Only around the writing: pytest itself reports to a file before the fixtures of a test are taken down.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_the_file_appears_at_the_end_and_nothing_else(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "mask.nii.gz") as temporary:
        assert temporary.parent == tmp_path
        assert temporary.name.endswith(".nii.gz")
        temporary.write_bytes(b"new")
        assert not (tmp_path / "mask.nii.gz").exists()
    assert [p.name for p in tmp_path.iterdir()] == ["mask.nii.gz"]


@pytest.mark.parametrize("error", [ValueError("bug"), KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left")])
def test_the_old_file_stays_when_writing_fails(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(b"old")
    expected = OutputError if isinstance(error, OSError) else type(error)
    with pytest.raises(expected):
        _write_half(path, error)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def _write_half(path: Path, error: BaseException) -> None:
    with atomic_path(path) as temporary:
        temporary.write_bytes(b"half of the new")
        raise error


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_disk_that_is_full_at_the_last_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(code, os.strerror(code))

    path = tmp_path / "run.json"
    write_text(path, "old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError) as caught:
        write_text(path, "new")
    assert os.strerror(code) in caught.value.message
    assert "another folder" in caught.value.todo
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_mask_that_does_not_fit_on_the_disk(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"mask{suffix}"
    path.write_bytes(b"old")
    labels = noise()
    with small_files(), pytest.raises(OutputError):
        write_labels(path, labels, Source())
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_table_and_a_record_that_do_not_fit_on_the_disk(tmp_path: Path) -> None:
    table = LesionTable((Column("label"), Column("text")), {k: {"label": k, "text": "x" * 100} for k in range(100)})
    with small_files(), pytest.raises(OutputError, match=r"lesions\.csv could not be written"):
        write_table(tmp_path / "lesions.csv", table)
    with small_files(), pytest.raises(OutputError, match=r"run\.json could not be written"):
        write_json(tmp_path / "run.json", {"text": "x" * 10_000})
    assert not list(tmp_path.iterdir())


def _write_all(folder: Path) -> list[LesionError]:
    """Write one file of every kind; the errors."""
    labels = LabelMap.empty(Grid((4, 4, 4), (1, 1, 1)))
    jobs = [partial(write_labels, folder / f"mask{suffix}", labels, Source()) for suffix in FORMATS]
    jobs += [partial(write_table, folder / "a.csv", LesionTable()), partial(write_json, folder / "a.json", {})]
    errors = []
    for job in jobs:
        try:
            job()
        except LesionError as error:
            errors.append(error)
    return errors


@contextmanager
def _as_nobody() -> Iterator[None]:
    """Root may write anywhere: be somebody else for a moment."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def test_a_read_only_folder(tmp_path: Path) -> None:
    assert not _write_all(tmp_path)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o555)
        with _as_nobody():
            errors = _write_all(folder)
        assert len(errors) == 6
        assert all(isinstance(error, OutputError) and "folder" in error.todo for error in errors)
        assert not list(folder.iterdir())


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_folder_that_is_not_there(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(LesionError):
        write_labels(tmp_path / "none" / f"mask{suffix}", noise(), Source())


def test_a_new_file_gets_the_usual_permissions(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "text")
    (tmp_path / "b.txt").write_text("text")
    assert (tmp_path / "a.txt").stat().st_mode == (tmp_path / "b.txt").stat().st_mode


@pytest.mark.parametrize(
    ("name", "suffix"),
    [("a.nii.gz", ".nii.gz"), ("a.NII.GZ", ".NII.GZ"), ("a.b.mha", ".mha"), ("a.csv", ".csv"), ("a", "")],
)
def test_extension(name: str, suffix: str) -> None:
    assert extension(Path(name)) == suffix
