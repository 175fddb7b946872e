"""What lies around the lesions of a study: found by the detection, or given as masks; never searched for unasked."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from napari_lesion.core.errors import InputError
from napari_lesion.core.grid import Grid, require_same_grid
from napari_lesion.core.jobs import JobContext
from napari_lesion.core.surroundings import Region, Surroundings
from napari_lesion.core.volume import Volume
from napari_lesion.inference.organs import find_organ, found_surroundings
from napari_lesion.io.masks import read_labels
from napari_lesion.io.series import case_name, is_image_file
from napari_lesion.measure.boxes import find_boxes

LUNG: Final = "lung"
LOBE: Final = "lobe"
SIDE_WORD: Final = re.compile(r"(?:^|[^a-z])(left|right)(?:[^a-z]|$)")


@dataclass(frozen=True)
class StatedSurroundings:
    """Organ and parts that somebody names on the command line.

    Parameters
    ----------
    organ
        ``lung`` to search the lungs in the image, or the file of a mask; empty for none.
    lobes
        File of a label map, or folder with one mask a lobe; empty for none.
    """

    organ: str = ""
    lobes: str = ""


def surroundings_of(volume: Volume) -> Surroundings:
    """What the detection found around the lesions of this volume, where it is trusted; nothing is searched anew."""
    return found_surroundings(volume)


def read_surroundings(
    volume: Volume, stated: StatedSurroundings, ctx: JobContext | None = None
) -> tuple[Surroundings, tuple[str, ...]]:
    """Surroundings that were asked for, and sentences about what could not be had.

    Names of the values of a label map come from a JSON file beside it with the same stem (``lobes.nii.gz``,
    ``lobes.json``: ``{"1": "left upper lobe"}``); a value without a name is called by its number. In a folder, every
    mask with ``lobe`` in its file name is one lobe of that name. Names with the word left or right give the sides.

    Raises
    ------
    InputError
        When a file cannot be read, or a folder holds no lobe.
    GeometryError
        When a mask lies on another grid than the image.
    """
    ctx = ctx or JobContext()
    found, named = Surroundings(), list[Region]()
    notes: tuple[str, ...] = ()
    if stated.organ == LUNG:
        found, notes = _searched(volume, ctx)
    elif stated.organ:
        named = _file_regions(Path(stated.organ), volume.grid, ctx)
        found = Surroundings(_united(case_name(Path(stated.organ)), named, volume.grid))
    if stated.lobes:
        lobes = _lobes(Path(stated.lobes), volume.grid, ctx)
        found = replace(found, parts=tuple(lobes))
        named = lobes if _sides(lobes, volume.grid) else named
    return replace(found, sides=_sides(named, volume.grid) or found.sides), notes


def _searched(volume: Volume, ctx: JobContext) -> tuple[Surroundings, tuple[str, ...]]:
    mask = find_organ(volume, LUNG, volume.modality, ctx)
    if mask.trusted:
        return mask.surroundings, ()
    return Surroundings(), (f"{mask.reason.split(';')[0]}: side and distance to the pleura stay empty",)


def _lobes(path: Path, grid: Grid, ctx: JobContext) -> list[Region]:
    if not path.is_dir():
        return _file_regions(path, grid, ctx)
    files = [file for file in sorted(path.iterdir()) if is_image_file(file) and LOBE in file.name.lower()]
    if not files:
        raise InputError(
            f"The folder {path} holds no lobes", f"no mask in it has {LOBE!r} in its name", "Give a label map"
        )
    return [_united(case_name(file), _file_regions(file, grid, ctx), grid) for file in files]


def _file_regions(path: Path, grid: Grid, ctx: JobContext) -> list[Region]:
    """One region for each value of a label map."""
    ctx.step(f"Reading {path.name}")
    labels = read_labels(path)
    require_same_grid(grid, labels.grid, f"The mask {path.name}")
    names = _names(path)
    boxes = find_boxes(labels.array)
    if not boxes:
        raise InputError(f"The mask {path.name} is empty", "", "Give the mask of an organ")
    return [
        _region(names.get(str(value), str(value)), labels.array, value, grid, box) for value, box in boxes.items()
    ]


def _names(path: Path) -> Mapping[str, str]:
    """Names of the values, from the JSON file beside a label map."""
    beside = path.with_name(f"{case_name(path)}.json")
    if not beside.is_file():
        return {}
    try:
        names = json.loads(beside.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise InputError(f"{beside.name} cannot be read", "it is no JSON", "Correct or remove it") from error
    if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
        raise InputError(f"{beside.name} holds no names", 'it must look like {"1": "left upper lobe"}')
    return names


def _region(name: str, array: npt.NDArray[np.integer], value: int, grid: Grid, box: tuple[slice, ...]) -> Region:
    """One value of a label map, on its box and a voxel more: what it borders on belongs to it."""
    z, y, x = (slice(max(0, b.start - 1), min(n, b.stop + 1)) for b, n in zip(box, grid.shape, strict=True))
    return Region(name, array[z, y, x] == value, grid.cropped((z, y, x)))


def _united(name: str, regions: Iterable[Region], grid: Grid) -> Region:
    """Several regions of one grid as one."""
    regions = tuple(regions)
    if len(regions) == 1:
        return replace(regions[0], name=name)
    places = [np.rint(grid.to_index(region.grid.origin)).astype(int) for region in regions]
    start = np.min(places, axis=0)
    stop = np.max([at + region.array.shape for at, region in zip(places, regions, strict=True)], axis=0)
    z, y, x = (slice(int(a), int(b)) for a, b in zip(start, stop, strict=True))
    array = np.zeros(stop - start, dtype=bool)
    for at, region in zip(places - start, regions, strict=True):
        inner = tuple(slice(a, a + n) for a, n in zip(at, region.array.shape, strict=True))
        array[inner] |= region.array
    return Region(name, array, grid.cropped((z, y, x)))


def _sides(regions: Iterable[Region], grid: Grid) -> tuple[Region, ...]:
    """Left and right from the names of regions; nothing unless both are named."""
    members: dict[str, list[Region]] = {"left": [], "right": []}
    for region in regions:
        words = set(SIDE_WORD.findall(region.name.lower()))
        if len(words) == 1:
            members[words.pop()].append(region)
    if not all(members.values()):
        return ()
    return tuple(_united(name, parts, grid) for name, parts in members.items())
