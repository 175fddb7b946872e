"""The synthetic chest as a whole: tissues, geometry, noise, and the same bits on every run."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import replace

import cc3d
import numpy as np
import pytest
from scipy import ndimage

from napari_lesion.core.grid import Grid
from napari_lesion.core.jobs import CancelToken, JobCancelled, JobContext, Progress
from napari_lesion.core.volume import Modality
from napari_lesion.phantom.anatomy import Anatomy, make_anatomy
from napari_lesion.phantom.chest import Chest, ChestSpec, make_chest
from napari_lesion.phantom.scanner import Scanner
from napari_lesion.phantom.space import Axes
from napari_lesion.phantom.tissue import TissueHU

TISSUE = TissueHU()

PRINT_HASH = """
import hashlib
from napari_lesion.phantom.chest import ChestSpec, make_chest
chest = make_chest(ChestSpec(size=(150, 128, 100), spacing=(2.2, 2.2, 2.5)))
print(hashlib.sha256(chest.volume.array.tobytes() + chest.truth.array.tobytes()).hexdigest())
"""


def digest(chest: Chest) -> str:
    return hashlib.sha256(chest.volume.array.tobytes() + chest.truth.array.tobytes()).hexdigest()


@pytest.fixture(scope="module")
def anatomy(chest: Chest) -> Anatomy:
    """Signed distances on every second voxel of the default study."""
    return make_anatomy(Axes.of(chest.volume.grid, 2))


def around(chest: Chest, place: tuple[float, float, float], half_mm: float = 4.0) -> np.ndarray:
    z, y, x = np.rint(chest.volume.grid.to_index(place)).astype(int)
    half = [int(half_mm / step) for step in chest.volume.grid.spacing_zyx]
    box = tuple(slice(c - h, c + h + 1) for c, h in zip((z, y, x), half, strict=True))
    return chest.volume.array[box]


def mode(values: np.ndarray) -> float:
    """Most frequent CT number, in bins of 8 HU."""
    counts, edges = np.histogram(values, bins=np.arange(-1024, 1024, 8))
    return float(edges[np.argmax(counts)] + 4)


def test_same_spec_gives_the_same_bits_in_another_process(quick_chest: Chest) -> None:
    other = subprocess.run([sys.executable, "-c", PRINT_HASH], capture_output=True, encoding="utf-8", check=True)
    assert other.stdout.strip() == digest(quick_chest)


def test_another_seed_gives_another_study(quick_spec: ChestSpec, quick_chest: Chest) -> None:
    other = make_chest(replace(quick_spec, seed=quick_spec.seed + 1))
    assert digest(other) != digest(quick_chest)
    assert [n.diameter_mm for n in other.nodules] == [n.diameter_mm for n in quick_chest.nodules]
    assert [n.centre_lps_mm for n in other.nodules] != [n.centre_lps_mm for n in quick_chest.nodules]


def test_volume_says_what_it_is(chest: Chest) -> None:
    assert chest.volume.array.dtype == np.int16
    assert not chest.volume.array.flags.writeable
    assert chest.volume.modality is Modality.CT
    assert chest.volume.source.case == "synthetic_chest"
    assert chest.volume.grid == chest.truth.grid == ChestSpec().grid
    assert chest.volume.grid.direction == (1, 0, 0, 0, 1, 0, 0, 0, 1)
    assert chest.volume.array.min() >= -1024


@pytest.mark.parametrize(
    ("place", "hu", "tolerance"),
    [
        ((0.0, -118.0, 0.0), TISSUE.air, 4),
        ((-60.0, -20.0, -110.0), TISSUE.liver, 8),
        ((20.0, -20.0, -55.0), TISSUE.myocardium, 10),
        ((21.0, 43.0, 0.0), TISSUE.blood, 8),
        ((-1.0, 13.0, 75.0), TISSUE.air, 25),
        ((0.0, 60.0, -8.0), TISSUE.marrow, 25),
    ],
    ids=["air", "liver", "heart", "aorta", "trachea", "marrow"],
)
def test_tissues_have_their_ct_numbers(
    chest: Chest, place: tuple[float, float, float], hu: float, tolerance: float
) -> None:
    assert around(chest, place).mean() == pytest.approx(hu, abs=tolerance)


def test_fat_muscle_and_lung_have_their_ct_numbers(chest: Chest, anatomy: Anatomy) -> None:
    coarse = chest.volume.array[::2, ::2, ::2]
    z, y, x = coarse.shape
    skin, lung = anatomy.skin[:z, :y, :x], anatomy.lung[:z, :y, :x]
    assert coarse[(skin > -7) & (skin < -4.5)].mean() == pytest.approx(TISSUE.fat, abs=6)
    assert mode(coarse[lung < -6]) == pytest.approx(TISSUE.lung, abs=16)  # parenchyma; vessels are the tail
    cage = anatomy.cage[:z, :y, :x]
    assert mode(coarse[(cage > 14) & (skin < -22)]) == pytest.approx(TISSUE.muscle, abs=10)
    assert (chest.volume.array > 700).sum() > 1000


def test_two_lungs_of_human_size(chest: Chest) -> None:
    pieces, count = cc3d.connected_components(chest.lungs, return_N=True)
    assert count == 2
    litres = np.bincount(pieces.ravel())[1:] * chest.volume.grid.voxel_volume_mm3 / 1e6
    assert ((litres > 1.0) & (litres < 3.5)).all()
    x = chest.volume.grid.to_physical(np.argwhere(chest.lungs)[::997])[:, 0]
    assert x.min() < -80
    assert x.max() > 80


def test_airways_are_open_from_the_trachea_to_both_main_bronchi(chest: Chest) -> None:
    air = ndimage.gaussian_filter(chest.volume.array.astype(np.float32), 0.7) < -930
    pieces = cc3d.connected_components(air, connectivity=6)

    def label(place: tuple[float, float, float]) -> int:
        z, y, x = np.rint(chest.volume.grid.to_index(place)).astype(int)
        return int(pieces[z, y, x])

    trachea = label((-1.0, 13.0, 75.0))
    assert trachea > 0
    assert label((-18.0, 15.0, 34.0)) == trachea
    assert label((16.0, 18.0, 32.0)) == trachea
    assert label((0.0, -120.0, 0.0)) != trachea


def test_noise_is_correlated_as_in_filtered_back_projection() -> None:
    axes = Axes.of(Grid((96, 96, 24), (0.8, 0.8, 1.0)))
    scanner = Scanner()
    noise = scanner.noise(axes, np.random.default_rng(3))
    assert noise.std() == pytest.approx(1, abs=0.01)
    power = (np.abs(np.fft.fft2(noise)) ** 2).mean(axis=0)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(96, 0.8), np.fft.fftfreq(96, 0.8), indexing="ij"))
    low, middle, high = (
        power[(frequency > a) & (frequency < b)].mean() for a, b in ((0, 0.05), (0.12, 0.25), (0.5, 0.6))
    )
    assert low < 0.4 * middle
    assert high < 0.1 * middle


def test_blur_keeps_the_mean_and_widens_an_edge() -> None:
    axes = Axes.of(Grid((64, 64, 16), (0.7, 0.7, 1.0)))
    step = np.where(np.arange(64) < 32, 0.0, 1000.0).astype(np.float32) * np.ones(axes.shape, np.float32)
    image = replace(Scanner(), noise_hu=0.0).scan(step, axes, np.random.default_rng(0))
    assert image.mean() == pytest.approx(500, abs=1)
    assert 50 < image[8, 32, 31] < 500 < image[8, 32, 32] < 950


def test_progress_and_cancel(quick_spec: ChestSpec) -> None:
    seen: list[Progress] = []
    token = CancelToken()

    def report(progress: Progress) -> None:
        seen.append(progress)
        if progress.done == 2:
            token.cancel()

    with pytest.raises(JobCancelled):
        make_chest(quick_spec, JobContext(token, report))
    assert [progress.done for progress in seen] == [0, 1, 2]
    assert all(progress.total > 2 for progress in seen)
