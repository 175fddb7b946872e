"""Filters: what they are known to do, and agreement with the libraries that they wrap."""

from __future__ import annotations

import numpy as np
import pytest
from preprocess_images import biased_ball, volume_of

from napari_lesion.preprocess.chain import Chain, prepare
from napari_lesion.preprocess.images import image_of, native_of


def variation(array: np.ndarray, mask: np.ndarray) -> float:
    """Coefficient of variation inside a mask."""
    return float(array[mask].std() / array[mask].mean())


def test_n4_takes_a_known_bias_field_out() -> None:
    volume, inside, field = biased_ball()
    made = prepare(volume, Chain.parse(["n4"])).array
    assert variation(volume.array, inside) > 0.12
    assert variation(made, inside) < 0.05  # the noise alone is 0.02
    found = np.log(volume.array[inside] / made[inside])
    assert np.corrcoef(found, np.log(field[inside]))[0, 1] > 0.97


def test_n4_keeps_the_mean_brightness() -> None:
    volume, inside, _ = biased_ball()
    made = prepare(volume, Chain.parse(["n4"])).array
    assert np.log(made[inside]).mean() == pytest.approx(np.log(volume.array[inside]).mean(), abs=0.02)


def test_n4_agrees_with_simpleitk_at_full_resolution() -> None:
    import SimpleITK

    volume, inside, _ = biased_ball()
    made = prepare(volume, Chain.parse(["n4"])).array
    image = SimpleITK.GetImageFromArray(volume.array)
    image.SetSpacing(volume.grid.spacing)
    small = SimpleITK.Shrink(image, [2, 2, 1])
    n4 = SimpleITK.N4BiasFieldCorrectionImageFilter()
    n4.SetMaximumNumberOfIterations([50] * 4)
    n4.Execute(small, SimpleITK.OtsuThreshold(small, 0, 1, 200))
    field = np.exp(SimpleITK.GetArrayFromImage(n4.GetLogBiasFieldAsImage(image)))
    ratio = (volume.array / field)[inside] / made[inside]
    assert ratio.std() / ratio.mean() < 0.005


def test_clahe_is_that_of_scikit_image() -> None:
    from skimage.exposure import equalize_adapthist

    array = np.random.default_rng(0).gamma(2.0, 40.0, (16, 24, 32)).astype(np.float32)
    made = prepare(volume_of(array), Chain.parse(["clahe:clip_limit=0.02,regions=4"])).array
    scaled = (array - array.min()) / (array.max() - array.min())
    expected = equalize_adapthist(scaled.T, kernel_size=(8, 6, 4), clip_limit=0.02, nbins=256).T
    np.testing.assert_allclose(made, expected, atol=1e-6)


def test_clahe_with_one_region_is_monotone() -> None:
    array = np.random.default_rng(1).gamma(2.0, 40.0, (16, 16, 16))
    made = prepare(volume_of(array), Chain.parse(["clahe:regions=1"])).array
    order = np.argsort(array.ravel())
    assert (np.diff(made.ravel()[order]) >= -1e-6).all()
    assert made.min() == 0
    assert made.max() == 1


def test_clahe_of_a_constant_image_is_0() -> None:
    assert (prepare(volume_of(np.full((8, 8, 8), 5.0)), Chain.parse(["clahe"])).array == 0).all()


@pytest.mark.parametrize("step", ["curvature:iterations=10", "nlm", "median"])
def test_denoising_takes_noise_and_leaves_the_edge(step: str) -> None:
    rng = np.random.default_rng(2)
    clean = np.where(np.arange(40) < 20, 100.0, 300.0) * np.ones((12, 40, 1))
    noisy = clean + rng.normal(0, 15, clean.shape)
    made = prepare(volume_of(noisy, spacing=(1.0, 1.0, 1.0)), Chain.parse([step])).array
    flat = (slice(2, -2), slice(2, -2), slice(2, 16))
    assert made[flat].std() < 0.6 * noisy[flat].std()
    assert made[flat].mean() == pytest.approx(100, abs=2)
    edge = made[2:-2, 2:-2].mean(axis=(0, 1))
    assert edge[22] - edge[17] > 170


def test_curvature_flow_is_that_of_simpleitk() -> None:
    import SimpleITK

    array = np.random.default_rng(6).normal(100, 20, (10, 12, 14)).astype(np.float32)
    made = prepare(volume_of(array), Chain.parse(["curvature:iterations=3"])).array
    image = SimpleITK.GetImageFromArray(array)
    image.SetSpacing((2.0, 2.5, 3.0))
    expected = SimpleITK.GetArrayFromImage(SimpleITK.CurvatureFlow(image, timeStep=1 / 16, numberOfIterations=3))
    np.testing.assert_allclose(made, expected, rtol=1e-5)


def test_dictionary_form_equals_array_form_and_channels_are_apart() -> None:
    import torch

    from napari_lesion.preprocess.filters import CLAHE, CLAHEd

    image = image_of(biased_ball()[0])
    two = torch.cat([image, image.flip(1)])
    case = {"image": two, "label": "untouched"}
    before = two.clone()
    made = CLAHEd("image", clip_limit=0.03)(case)
    torch.testing.assert_close(made["image"], CLAHE(clip_limit=0.03)(two))
    torch.testing.assert_close(torch.as_tensor(two), torch.as_tensor(before))
    assert made["label"] == "untouched"
    np.testing.assert_array_equal(made["image"].affine, image.affine)
    np.testing.assert_array_equal(native_of(made["image"]), native_of(CLAHE(clip_limit=0.03)(image)))


def test_plain_arrays_and_tensors_are_taken_too() -> None:
    import torch

    from napari_lesion.preprocess.filters import CurvatureFlow

    array = np.random.default_rng(7).normal(100, 20, (1, 8, 9, 10)).astype(np.float32)
    made = CurvatureFlow(2)(array)
    assert isinstance(made, np.ndarray)
    torch.testing.assert_close(CurvatureFlow(2)(torch.as_tensor(array)), torch.as_tensor(made))
    with pytest.raises(ValueError, match="channel"):
        CurvatureFlow(2)(array[0])


def test_n4_corrects_a_plain_array_as_an_image_of_1_mm() -> None:
    import torch

    from napari_lesion.preprocess.filters import N4BiasFieldCorrection

    volume, inside, _ = biased_ball()
    made = N4BiasFieldCorrection(levels=2)(np.ascontiguousarray(volume.array.T)[None])
    assert isinstance(made, np.ndarray)
    assert variation(made[0].T, inside) < 0.7 * variation(volume.array, inside)
    tensor = N4BiasFieldCorrection(levels=2)(torch.as_tensor(np.ascontiguousarray(volume.array.T)[None]))
    np.testing.assert_allclose(np.asarray(tensor), made, rtol=1e-5)


def test_steps_stand_in_a_bundle_configuration() -> None:
    """What a training configuration writes: the transforms by name in a MONAI Compose."""
    from monai.bundle import ConfigParser

    config = {
        "preprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "napari_lesion.preprocess.filters.N4BiasFieldCorrectiond", "keys": "image", "levels": 2},
                {"_target_": "napari_lesion.preprocess.masks.BodyMaskd", "keys": "image", "outside": 0.0},
                {"_target_": "napari_lesion.preprocess.filters.CurvatureFlowd", "keys": ["image"], "iterations": 2},
                {"_target_": "ScaleIntensityRangePercentilesd", "keys": "image", "lower": 1, "upper": 99, "b_min": 0,
                 "b_max": 1, "clip": True},
            ],
        }
    }  # fmt: skip
    compose = ConfigParser(config).get_parsed_content("preprocessing")
    volume, inside, _ = biased_ball()
    made = native_of(compose({"image": image_of(volume)})["image"])
    line = "n4:levels=2 body:outside=0 curvature:iterations=2 percentiles:lower=1,upper=99"
    np.testing.assert_allclose(made, prepare(volume, Chain.parse_line(line)).array, atol=1e-6)
    assert made[inside].mean() > 0.8


def test_every_step_of_ours_has_a_dictionary_form_that_a_bundle_may_name() -> None:
    from importlib import import_module

    from monai.transforms import MapTransform

    from napari_lesion.models.config.allowed import COMPONENTS
    from napari_lesion.preprocess.steps import STEPS

    ours = [step.target for step in STEPS.values() if step.target.startswith("napari_lesion.")]
    assert len(ours) == 7
    for target in ours:
        module, _, name = COMPONENTS[f"{target}d"].rpartition(".")
        assert issubclass(getattr(import_module(module), name), MapTransform)
        assert COMPONENTS[target] == target
