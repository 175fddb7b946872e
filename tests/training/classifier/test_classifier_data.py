"""Slices, targets and crops of the classifier."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from classifier_tiny import collection, disc, nodule, write_slices

from napari_lesion.core.errors import InputError
from napari_lesion.inference.rating.crops import CropSpec, signed_depth
from napari_lesion.training.classifier.crops import (
    Augmentation,
    CropSource,
    augmented_crops,
    crop_source,
    plain_crops,
)
from napari_lesion.training.classifier.slices import load_slices, votes_of
from napari_lesion.training.classifier.targets import (
    LEVELS,
    N_OUTPUTS,
    calcified,
    expected_rating,
    ordinal_targets,
    outputs_of,
    suspicious,
    texture_class,
)
from napari_lesion.training.folds import TEST_ONLY, load_folds


def test_slices_are_read_as_they_were_written(tmp_path: Path) -> None:
    made = collection(10)
    read = load_slices(write_slices(tmp_path, made))
    assert [n.name for n in read] == [n.name for n in made]
    for ours, theirs in zip(read, made, strict=True):
        assert np.array_equal(ours.image, theirs.image)
        assert np.array_equal(ours.masks, theirs.masks)
        assert (ours.fold, ours.ratings, ours.agreed) == (theirs.fold, theirs.ratings, True)


def test_the_test_patient_and_strangers_are_refused(tmp_path: Path) -> None:
    for number, patient in enumerate([*sorted(TEST_ONLY), "NOBODY"]):
        data = write_slices(tmp_path / str(number), [nodule(0, 0, patient=patient)])
        with pytest.raises(InputError, match=patient):
            load_slices(data)


def test_missing_and_mismatched_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="missing"):
        load_slices(tmp_path)
    data = write_slices(tmp_path / "a", [nodule(0, 0)])
    shard = data / "lidc_slices" / "slices_0.npz"
    np.savez(shard, image=np.zeros((1, 31, 31), np.int16), readers=np.zeros((2, 31, 31), np.uint8))
    with pytest.raises(InputError, match="differ in shape"):
        load_slices(data)
    shard.unlink()
    with pytest.raises(InputError, match="missing"):
        load_slices(data)


@pytest.mark.parametrize("text", ["0;1", "7"])
def test_votes_out_of_range_are_refused(text: str) -> None:
    with pytest.raises(InputError):
        votes_of(text)


def test_votes_skip_readers_who_did_not_rate() -> None:
    assert votes_of("5;4;;3") == (5, 4, 3)
    assert votes_of("") == ()


def test_consensus_is_half_of_the_readers() -> None:
    one = nodule(0, 0, radius=4)
    assert np.array_equal(one.consensus, disc(31, (15, 15), 4))


def test_cut_offs_of_the_classes() -> None:
    assert [texture_class(mean) for mean in (2.49, 2.5, 4.25, 4.26)] == [0, 1, 1, 2]
    assert texture_class(float("nan")) == -1
    nodules = [nodule(k, 0, malignancy=rating) for k, rating in enumerate((2, 3, 4))]
    assert np.array_equal(suspicious(nodules), [0, np.nan, 1], equal_nan=True)
    assert calcified([nodule(0, 0, hu=400), nodule(1, 0, hu=0)]).tolist() == [1, 0]


def test_ordinal_targets_are_shares_of_readers_and_give_back_the_mean() -> None:
    one = nodule(0, 0)
    one.ratings["malignancy"] = (2, 4, 5)
    shares = ordinal_targets([one])[0, outputs_of("malignancy")]
    assert shares.tolist() == pytest.approx([1, 2 / 3, 2 / 3, 1 / 3])
    logits = np.zeros((1, N_OUTPUTS), dtype=np.float32)
    logits[0, outputs_of("malignancy")] = np.log(shares.clip(1e-6, 1 - 1e-6) / (1 - shares.clip(1e-6, 1 - 1e-6)))
    assert len(LEVELS) == 4
    assert expected_rating(logits, "malignancy")[0] == pytest.approx(11 / 3, abs=1e-4)


def test_signed_depth_is_zero_at_the_border_between_pixels() -> None:
    mask = np.zeros((9, 9), dtype=bool)
    mask[:, 4:] = True
    depth = signed_depth(mask, (0.5, 0.5))
    assert depth[4, 3:6].tolist() == pytest.approx([-0.25, 0.25, 0.75])


def test_a_plain_crop_is_centred_scaled_and_of_the_right_size() -> None:
    one = nodule(0, 0, radius=5, hu=0)
    shifted = nodule(1, 0, radius=5, hu=0)
    shifted.image[:] = np.roll(shifted.image, (4, -3), axis=(0, 1))
    shifted.masks[:] = np.roll(shifted.masks, (4, -3), axis=(1, 2))
    crops = plain_crops(crop_source([one, shifted]), CropSpec(size=25, pixel_mm=0.7), np.array([0, 1]))
    assert crops.shape == (2, 2, 25, 25)
    assert np.allclose(crops[0], crops[1], atol=1e-3)
    mask = crops[0, 1].numpy()
    assert mask.sum() == pytest.approx(one.consensus.sum(), rel=0.05)
    assert np.argwhere(mask).mean(axis=0) == pytest.approx([12, 12])
    assert crops[0, 0, 12, 12] == pytest.approx(0.5)
    assert crops[0, 0, 0, 0] == pytest.approx(0.075, abs=1e-3)


def test_a_crop_has_the_same_size_in_mm_at_any_pixel_size() -> None:
    one = nodule(0, 0, radius=6)
    for pixel in (0.35, 0.7, 1.0):
        mask = plain_crops(crop_source([one]), CropSpec(size=48, pixel_mm=pixel), np.array([0]))[0, 1]
        area = float(mask.sum()) * pixel**2
        assert area == pytest.approx(one.consensus.sum() * 0.49, rel=0.08)


def test_augmentation_follows_its_seed_and_never_loses_the_mask() -> None:
    source = crop_source([nodule(k, 0, radius=1.2 + k) for k in range(5)])
    chosen = np.arange(5)
    first = augmented_crops(source, CropSpec(), Augmentation(), chosen, seed=4)
    assert np.array_equal(first, augmented_crops(source, CropSpec(), Augmentation(), chosen, seed=4))
    for seed in range(12):
        crops = augmented_crops(source, CropSpec(), Augmentation(border_mm=3.0), chosen, seed)
        assert not np.array_equal(crops, first)
        assert (crops[:, 1].sum(dim=(1, 2)) > 0).all()
        assert float(crops.min()) >= 0
        assert float(crops.max()) <= 1


def test_no_augmentation_leaves_a_round_nodule_as_it_is() -> None:
    still = Augmentation(0, 0, 0, 0, 0, 0, 0, 0)
    source = crop_source([nodule(0, 0, radius=6)])
    plain = plain_crops(source, CropSpec(), np.array([0]))
    turned = augmented_crops(source, CropSpec(), still, np.array([0]), seed=1)
    assert float(turned[:, 1].sum()) == pytest.approx(float(plain[:, 1].sum()), rel=0.03)


def test_prepared_crops_survive_a_file(tmp_path: Path) -> None:
    source = crop_source(collection(5))
    np.savez(tmp_path / "a.npz", **source.to_arrays())
    with np.load(tmp_path / "a.npz") as kept:
        again = CropSource.from_arrays(kept)
    crops = [plain_crops(one, CropSpec(), np.arange(5)) for one in (source, again)]
    assert np.allclose(crops[0][:, 0], crops[1][:, 0], atol=1e-4)
    assert float((crops[0][:, 1] != crops[1][:, 1]).float().mean()) < 0.01


@pytest.mark.real
def test_the_real_slices(shared_data: Path) -> None:
    nodules = load_slices(shared_data / "data")
    assert len(nodules) == 2317
    assert len({n.patient_id for n in nodules}) == 750
    assert sum(n.agreed for n in nodules) == 1240
    decided = suspicious([n for n in nodules if n.agreed])
    assert (np.nansum(decided == 1), np.nansum(decided == 0)) == (375, 355)
    folds = load_folds().fold_of
    assert all(n.fold == folds[n.patient_id] for n in nodules)
    assert all(n.consensus.any() for n in nodules)
