"""Three sequences of one patient on one grid: offered as channels by their names, and run with random weights."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import MagicMock

import numpy as np
import pytest
import zoo_shapes as zoo

from napari_lesion.core.errors import InputError
from napari_lesion.gui.presenters.channels import ChannelsPresenter, ChannelsView, OpenImages
from napari_lesion.gui.session import Session
from napari_lesion.workflow.detect import detect_lesions, request_for
from napari_lesion.workflow.models import BundleInfo, find_model
from napari_lesion.workflow.open_study import OpenRequest, open_study


def _model(root: Path) -> BundleInfo:
    """Three sequences, three regions; the network has a single layer, the steps are those of BraTS."""
    import torch

    config = zoo.brats()
    config["network_def"] = {"_target_": "torch.nn.Conv3d", "in_channels": 3, "out_channels": 3, "kernel_size": 1}
    config["postprocessing"]["transforms"] = [
        step for step in config["postprocessing"]["transforms"] if step["_target_"] != "Lambdad"
    ]
    stated = zoo.metadata(3, 3)
    stated["network_data_format"]["inputs"]["image"]["channel_def"] = {"0": "T1", "1": "FLAIR", "2": "T2"}
    zoo.write(root, config, stated)
    (root / "models").mkdir()
    weight = torch.zeros(3, 3, 1, 1, 1)
    weight[:, 1] = torch.tensor([0.5, 1.0, 2.0])[:, None, None, None]  # FLAIR alone decides
    torch.save({"weight": weight, "bias": torch.tensor([-1.5, -1.5, -6.0])}, root / "models" / "model.pt")
    return find_model(root)


def test_sequences_of_one_patient(tmp_path: Path, shared_data: Path) -> None:
    folder = shared_data / "data" / "brain_flair" / "ljubljana_ms_p07"
    study, t2, t1 = (open_study(OpenRequest(folder / f"{name}.nii.gz")) for name in ("flair", "t2", "t1"))
    model = _model(tmp_path / "brats")
    layers, view, session = MagicMock(spec=OpenImages), MagicMock(spec=ChannelsView), Session()
    layers.images.return_value = [("t2", t2.volume), ("t1", t1.volume)]
    presenter = ChannelsPresenter(session, layers, view)
    session.open(study)
    view.chosen.return_value = ()
    presenter.set_model(model)
    names, choices, chosen = view.show_channels.call_args.args
    assert names == ("T1", "FLAIR", "T2")
    assert all(choice.fits for choice in choices)
    assert chosen == [2, 0, 1]
    view.chosen.return_value = tuple(chosen)
    images = presenter.images(study, model)
    assert [volume.source.case for volume in images.volumes] == ["t1", "flair", "t2"]
    detection = detect_lesions(request_for(study, model, images=images))
    marks = detection.marks
    assert marks.lesions
    bright = study.volume.array >= np.quantile(study.volume.array[study.volume.array > 0], 0.5)
    found = np.zeros_like(bright)
    assert marks.box is not None
    found[marks.box] = marks.labels > 0
    assert bright[found].mean() > 0.99, "the channel that decides is the FLAIR, voxel by voxel"


def test_two_of_four_sequences_are_named_as_missing(shared_data: Path) -> None:
    folder = shared_data / "data" / "brain_flair" / "ljubljana_ms_p19"
    study, t1 = (open_study(OpenRequest(folder / f"{name}.nii.gz")) for name in ("flair", "t1"))
    layers, view, session = MagicMock(spec=OpenImages), MagicMock(spec=ChannelsView), Session()
    layers.images.return_value = [("t1", t1.volume)]
    presenter = ChannelsPresenter(session, layers, view)
    session.open(study)
    view.chosen.return_value = ()
    model = MagicMock(channels=4, channel_names=("T1c", "T1", "T2", "FLAIR"))
    presenter.set_model(model)
    assert view.show_channels.call_args.args[2] == [None, 1, None, 0]
    view.chosen.return_value = (None, 1, None, 0)
    with pytest.raises(InputError, match="None is chosen for T1c, T2"):
        presenter.images(study, model)
