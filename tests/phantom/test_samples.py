"""The two samples as they ship: what they hold, how they are cached, and that the real one is the real scan."""

from __future__ import annotations

import gzip
from pathlib import Path

import cc3d
import numpy as np
import pytest
import SimpleITK as sitk

from napari_lesion.core.errors import InputError
from napari_lesion.core.volume import Modality
from napari_lesion.phantom import chest as chest_module
from napari_lesion.phantom.chest import Chest
from napari_lesion.phantom.cut_sample import IMAGE_NAME, MASK_NAME, SampleBox, cut_sample, main
from napari_lesion.workflow.sample_data import SAMPLES, load_sample, sample_truth

SHIPPED = Path(chest_module.__file__).parents[1] / "resources" / "sample"
NODULE_LPS = (-57.2, 131.4, -520.4)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("NAPARI_LESION_CACHE_DIR", str(folder))
    return folder


@pytest.fixture
def made(chest: Chest, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Calls of `make_chest`, which hands out the phantom that is there already."""
    calls: list[object] = []

    def instead(spec: object = None, ctx: object = None) -> Chest:
        calls.append(spec)
        return chest

    monkeypatch.setattr(chest_module, "make_chest", instead)
    return calls


def test_every_sample_says_what_it_is() -> None:
    assert list(SAMPLES) == ["lidc_0314_part", "synthetic_chest"]
    for name, sample in SAMPLES.items():
        assert sample.name == name
        assert sample.title
        assert sample.description
        assert sample.attribution


def test_unknown_name_is_an_error() -> None:
    with pytest.raises(KeyError):
        load_sample("nothing")
    with pytest.raises(KeyError):
        sample_truth("nothing")


def test_synthetic_sample_is_made_once_and_read_from_the_cache(chest: Chest, made: list[object], cache: Path) -> None:
    first, second = load_sample("synthetic_chest"), load_sample("synthetic_chest")
    truth = sample_truth("synthetic_chest")
    assert len(made) == 1
    assert sorted(path.suffix for path in cache.iterdir()) == [".mha", ".mha"]
    for volume in (first, second):
        np.testing.assert_array_equal(volume.array, chest.volume.array)
        assert volume.grid.agrees_with(chest.volume.grid)
        assert volume.modality is Modality.CT
        assert volume.source.case == "synthetic_chest"
        assert volume.source.path is not None
        assert volume.source.path.parent == cache
        assert volume.source.notes == (SAMPLES["synthetic_chest"].attribution,)
    np.testing.assert_array_equal(truth.array, chest.truth.array)


def test_damaged_cache_is_made_again(made: list[object], cache: Path) -> None:
    load_sample("synthetic_chest")
    for path in cache.iterdir():
        path.write_bytes(path.read_bytes()[:2000])
    load_sample("synthetic_chest")
    assert len(made) == 2


def test_sample_opens_where_the_cache_cannot_be_written(
    made: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    monkeypatch.setenv("NAPARI_LESION_CACHE_DIR", str(blocked / "cache"))
    assert load_sample("synthetic_chest").source.path is None
    assert len(made) == 1


def test_real_sample_holds_lung_wall_and_nodule() -> None:
    volume, truth = load_sample("lidc_0314_part"), sample_truth("lidc_0314_part")
    assert volume.grid.size == (200, 200, 120)
    assert volume.grid.spacing == pytest.approx((0.78125, 0.78125, 1.0))
    assert volume.grid.agrees_with(truth.grid)
    assert volume.modality is Modality.CT
    assert volume.source.case == "lidc_0314_part"
    _, count = cc3d.connected_components(truth.array, return_N=True)
    assert count == 1
    centroid = volume.grid.to_physical(np.argwhere(truth.array)).mean(axis=0)
    assert np.linalg.norm(centroid - NODULE_LPS) < 1.0
    assert 1500 < truth.array.sum() * volume.grid.voxel_volume_mm3 < 2300  # between the smallest and largest reader
    assert 0.2 < ((volume.array < -700) & (volume.array > -980)).mean() < 0.8
    assert (volume.array > 300).sum() > 5000
    assert np.median(volume.array[truth.array > 0]) == pytest.approx(20, abs=60)


def test_real_sample_is_small_and_carries_no_patient_attributes() -> None:
    assert (SHIPPED / IMAGE_NAME).stat().st_size < 8 * 2**20
    for name in (IMAGE_NAME, MASK_NAME):
        header = gzip.decompress((SHIPPED / name).read_bytes())[:348]
        assert not header[148:228].strip(b"\0")  # descrip
        assert not header[228:252].strip(b"\0")  # aux_file
    assert "CC BY" in SAMPLES["lidc_0314_part"].attribution
    assert "10.7937/K9/TCIA.2015.LO9QL9SX" in (SHIPPED / "README.md").read_text(encoding="utf-8")


def test_cutting_needs_the_series_and_its_mask(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No DICOM series"):
        cut_sample(tmp_path, tmp_path / "out")


@pytest.mark.real
@pytest.mark.slow
def test_shipped_sample_is_what_the_script_cuts_out_of_the_scan(shared_data: Path, tmp_path: Path) -> None:
    main([str(shared_data / "data" / "chest_ct" / "LIDC-IDRI-0314"), str(tmp_path)])
    for name in (IMAGE_NAME, MASK_NAME):
        ours, shipped = sitk.ReadImage(str(tmp_path / name)), sitk.ReadImage(str(SHIPPED / name))
        np.testing.assert_array_equal(sitk.GetArrayViewFromImage(ours), sitk.GetArrayViewFromImage(shipped))
        assert ours.GetOrigin() == shipped.GetOrigin()
        assert ours.GetSpacing() == shipped.GetSpacing()
        assert ours.GetDirection() == shipped.GetDirection()
    box = SampleBox()
    assert box.start[1] + box.size[1] <= 505  # rows 505 to 511 of one slice are padding
