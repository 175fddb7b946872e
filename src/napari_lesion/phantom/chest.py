"""A synthetic chest CT with nodules of known place, size and density."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from napari_lesion.core.grid import Grid
from napari_lesion.core.jobs import JobContext
from napari_lesion.core.volume import LabelMap, Modality, Source, Volume
from napari_lesion.phantom.anatomy import Anatomy, make_anatomy
from napari_lesion.phantom.nodules import CORE_HU, NoduleKind, NoduleSpec, PlacedNodule, TrueNodule
from napari_lesion.phantom.placing import Placer
from napari_lesion.phantom.scanner import Scanner
from napari_lesion.phantom.skeleton import paint_skeleton
from napari_lesion.phantom.soft import (
    LungTrees,
    grow_lung_trees,
    paint_abdomen,
    paint_central_airways,
    paint_lung_trees,
    paint_lungs,
    paint_mediastinum,
    paint_table,
    paint_trunk,
)
from napari_lesion.phantom.space import Canvas, coverage
from napari_lesion.phantom.tissue import TissueHU

VERSION = 1
"""Changes whenever the same spec gives other voxels; caches are keyed by it."""

HU_RANGE = (-1024, 3071)
STAGE, STEPS = "Making the synthetic study", 7

DEFAULT_NODULES = (
    NoduleSpec(NoduleKind.SOLID, 6.0),
    NoduleSpec(NoduleKind.SOLID, 11.0, lobules=3, lobule_height=0.5),
    NoduleSpec(NoduleKind.SOLID, 20.0, lobules=4, lobule_height=0.4, spicules=9, spicule_height=0.45),
    NoduleSpec(NoduleKind.PART_SOLID, 15.0, lobules=4, lobule_height=0.4),
    NoduleSpec(NoduleKind.GROUND_GLASS, 12.0, lobules=3, lobule_height=0.4),
    NoduleSpec(NoduleKind.CALCIFIED, 5.0),
    NoduleSpec(NoduleKind.JUXTAVASCULAR, 8.0),
    NoduleSpec(NoduleKind.JUXTAPLEURAL, 10.0),
    NoduleSpec(NoduleKind.JUXTAPLEURAL, 7.0),
    NoduleSpec(NoduleKind.SOLID, 4.0),
)


@dataclass(frozen=True)
class ChestSpec:
    """What to synthesise; the same spec gives the same voxels, bit for bit, on the same machine.

    Parameters
    ----------
    seed
        Seed of everything that is random: trees, places, texture, noise.
    size, spacing
        Voxels and their distance along (x, y, z), mm. The default covers the trunk from below the
        costophrenic angles to above the lung apices.
    nodules
        What to put in.
    tissue
        True CT numbers.
    scanner
        Blur and noise.
    """

    seed: int = 2026
    size: tuple[int, int, int] = (300, 256, 200)
    spacing: tuple[float, float, float] = (1.1, 1.1, 1.25)
    nodules: tuple[NoduleSpec, ...] = DEFAULT_NODULES
    tissue: TissueHU = field(default_factory=TissueHU)
    scanner: Scanner = field(default_factory=Scanner)

    @property
    def grid(self) -> Grid:
        """Grid of the image: the middle of the chest is in its middle, LPS (0, 10, -18)."""
        middle = (0.0, 10.0, -18.0)
        half = [0.5 * step * (n - 1) for n, step in zip(self.size, self.spacing, strict=True)]
        origin = (middle[0] - half[0], middle[1] - half[1], middle[2] - half[2])
        return Grid(self.size, self.spacing, origin)


@dataclass(frozen=True, eq=False)
class Chest:
    """The synthetic study and everything that is known about it.

    Parameters
    ----------
    volume
        The CT, int16 HU.
    truth
        Label of each nodule where the voxel's centre lies inside it (uint16).
    nodules
        What is known about each label, in label order.
    lungs
        Inside of the pleura, with vessels, airways and nodules, bool (z, y, x).
    trees
        Vessels and airways as tubes.
    """

    volume: Volume
    truth: LabelMap
    nodules: tuple[TrueNodule, ...]
    lungs: npt.NDArray[np.bool_]
    trees: LungTrees


def make_chest(spec: ChestSpec | None = None, ctx: JobContext | None = None) -> Chest:
    """Synthesise a chest CT without contrast medium.

    Parameters
    ----------
    spec
        What to synthesise; the default study when None.
    ctx
        Progress and cancelling.

    Returns
    -------
    Chest

    Raises
    ------
    LesionError
        When a nodule finds no room.
    JobCancelled
        When the user cancels.
    """
    spec = spec or ChestSpec()
    ctx = ctx or JobContext()
    rng = np.random.default_rng(spec.seed)
    canvas, tissue = Canvas(spec.grid, spec.tissue.air), spec.tissue
    ctx.step(STAGE, 0, STEPS)
    anatomy = make_anatomy(canvas.coarse)
    paint_table(canvas, anatomy, tissue)
    paint_trunk(canvas, anatomy, tissue, rng)
    ctx.step(STAGE, 1, STEPS)
    paint_abdomen(canvas, anatomy, tissue, rng)
    paint_mediastinum(canvas, tissue)
    ctx.step(STAGE, 2, STEPS)
    paint_skeleton(canvas, anatomy, tissue)
    ctx.step(STAGE, 3, STEPS)
    paint_lungs(canvas, anatomy, tissue, rng)
    paint_central_airways(canvas, tissue)
    ctx.step(STAGE, 4, STEPS)
    trees = grow_lung_trees(anatomy, rng)
    placed = Placer(anatomy, trees, rng).place(spec.nodules)
    for nodule in placed:
        _paint_ground_glass(canvas, nodule)
    paint_lung_trees(canvas, anatomy, trees, tissue)
    ctx.step(STAGE, 5, STEPS)
    for nodule in placed:
        _paint_solid(canvas, anatomy, nodule, tissue)
    truth, nodules = _truth(canvas, anatomy, placed)
    ctx.step(STAGE, 6, STEPS)
    hu = spec.scanner.scan(canvas.hu, canvas.axes, rng)
    lungs = canvas.fine(anatomy.lung) < 0
    ctx.step(STAGE, 7, STEPS)
    array = np.clip(np.rint(hu), *HU_RANGE).astype(np.int16)
    array.flags.writeable = False
    return Chest(Volume(array, spec.grid, Modality.CT, _source(spec)), truth, nodules, lungs, trees)


def _source(spec: ChestSpec) -> Source:
    return Source(
        case="synthetic_chest",
        description=f"Synthetic chest CT, seed {spec.seed}",
        modality_stated=True,
        notes=("Synthetic study with known nodules; no patient.",),
    )


def _is_ground_glass(nodule: PlacedNodule) -> bool:
    return nodule.spec.kind in (NoduleKind.GROUND_GLASS, NoduleKind.PART_SOLID)


def _paint_ground_glass(canvas: Canvas, nodule: PlacedNodule) -> None:
    """Ground glass goes under the vessels, which stay visible in it."""
    if _is_ground_glass(nodule):
        box = nodule.box(canvas.axes)
        canvas.blend(box, nodule.share(canvas, box), nodule.spec.hu)


def _paint_solid(canvas: Canvas, anatomy: Anatomy, nodule: PlacedNodule, tissue: TissueHU) -> None:
    """Solid tissue replaces lung and vessels; the chest wall keeps its share of a voxel that it crosses."""
    box = nodule.box(canvas.axes)
    spec = nodule.spec
    if spec.kind is NoduleKind.GROUND_GLASS:
        return
    if spec.kind is NoduleKind.PART_SOLID:
        canvas.blend(box, nodule.share(canvas, box, ratio=spec.core_diameter_mm / spec.diameter_mm), CORE_HU)
        return
    hu: float | npt.NDArray[np.float32] = spec.hu
    if spec.kind is NoduleKind.JUXTAPLEURAL:
        lung = coverage(canvas.fine(anatomy.lung)[box], canvas.width)
        hu = lung * spec.hu + (1 - lung) * np.maximum(canvas.hu[box], tissue.fat)
    canvas.blend(box, nodule.share(canvas, box), hu)


def _truth(canvas: Canvas, anatomy: Anatomy, placed: list[PlacedNodule]) -> tuple[LabelMap, tuple[TrueNodule, ...]]:
    labels = LabelMap.empty(canvas.grid)
    lung = canvas.fine(anatomy.lung)
    facts = []
    for label, nodule in enumerate(placed, start=1):
        box = nodule.box(canvas.axes)
        inside = nodule.shape.contains(nodule.offsets(canvas.axes, box))
        volume = nodule.shape.volume_mm3
        if nodule.spec.kind is NoduleKind.JUXTAPLEURAL:
            inside &= lung[box] < 0
            volume = nodule.true_volume(anatomy.lung, canvas.coarse)
        labels.array[box][inside] = label
        facts.append(_facts(label, nodule, volume))
    return labels, tuple(facts)


def _facts(label: int, nodule: PlacedNodule, volume: float) -> TrueNodule:
    x, y, z = (float(c) for c in nodule.centre)
    core = nodule.spec.core_diameter_mm
    return TrueNodule(
        label=label,
        kind=nodule.spec.kind,
        centre_lps_mm=(x, y, z),
        diameter_mm=nodule.spec.diameter_mm,
        volume_mm3=volume,
        hu=nodule.spec.hu,
        core_diameter_mm=core,
        core_hu=CORE_HU if core else float("nan"),
    )
