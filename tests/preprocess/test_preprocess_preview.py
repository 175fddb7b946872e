"""The preview of a slice shows what the whole image will show."""

from __future__ import annotations

import numpy as np
import pytest
from preprocess_images import biased_ball, head

from napari_lesion.core.errors import InputError
from napari_lesion.core.volume import Modality, Volume
from napari_lesion.phantom.chest import Chest
from napari_lesion.preprocess.chain import Chain, prepare
from napari_lesion.preprocess.preview import Previewer
from napari_lesion.preprocess.steps import STEPS

EXACT = ("window", "curvature", "nlm", "median")
SUITED = [name for name, step in STEPS.items() if Modality.MR in (step.modalities or (Modality.MR,))]


def compared(volume: Volume, line: str, index: int) -> tuple[np.ndarray, np.ndarray, float]:
    """The previewed slice, the same of the whole image, and the range of the image."""
    chain = Chain.parse_line(line)
    whole = prepare(volume, chain)
    shown = Previewer(volume, chain).slice(index).volume
    first = round(float(whole.grid.to_index(shown.grid.to_physical((0, 0, 0)))[0]))
    low, high = np.percentile(whole.array, (0.5, 99.5))
    return shown.array[0], whole.array[first], float(high - low)


@pytest.mark.parametrize("step", [name for name in SUITED if name != "brain"])
def test_a_slice_is_like_that_of_the_whole(step: str) -> None:
    shown, whole, span = compared(biased_ball()[0], step, 20)
    if step in EXACT:
        np.testing.assert_allclose(shown, whole, atol=1e-4)
    else:
        assert np.abs(shown - whole).mean() < 0.05 * span
        assert np.corrcoef(shown.ravel(), whole.ravel())[0, 1] > 0.97


def test_a_chain_with_another_grid_lies_at_its_place() -> None:
    volume, _, _ = biased_ball()
    shown = Previewer(volume, Chain.parse_line("median resample:spacing_mm=4 normalise")).slice(11).volume
    assert shown.grid.spacing == pytest.approx((4.0, 4.0, 4.0))
    middle = shown.grid.to_physical((0, 0, 0))[2]
    wanted = volume.grid.to_physical((11, 0, 0))[2]
    assert abs(middle - wanted) <= 2.0


def test_masks_come_from_the_whole() -> None:
    volume, brain = head()
    shown = Previewer(volume, Chain.parse_line("brain:as_mask=yes")).slice(50).volume.array[0] > 0
    assert 2 * (shown & brain[50]).sum() / (shown.sum() + brain[50].sum()) > 0.95


def test_ct_slices_too(small_chest: Chest) -> None:
    shown, whole, span = compared(small_chest.volume, "lungs:outside=-1000 window", 50)
    assert np.abs(shown - whole).mean() < 0.05 * span


def test_what_is_known_of_the_first_steps_is_not_computed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    from napari_lesion.preprocess import filters

    calls = []
    original = filters.N4BiasFieldCorrection.log_field

    def counted(self: filters.N4BiasFieldCorrection, *arguments: object) -> object:
        calls.append(1)
        return original(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(filters.N4BiasFieldCorrection, "log_field", counted)
    volume, _, _ = biased_ball()
    first = Previewer(volume, Chain.parse_line("n4:levels=1"))
    first.slice(5)
    first.slice(6)
    Previewer(volume, Chain.parse_line("n4:levels=1 clahe"), first).slice(6)
    assert len(calls) == 1
    Previewer(volume, Chain.parse_line("median n4:levels=1"), first).slice(6)
    assert len(calls) == 2


def test_a_step_that_does_not_suit_is_refused() -> None:
    with pytest.raises(InputError, match="made for CT"):
        Previewer(biased_ball()[0], Chain.parse_line("lungs")).slice(3)
