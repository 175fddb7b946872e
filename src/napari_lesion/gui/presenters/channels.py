"""Which open image is which channel of a model that takes several sequences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from napari_lesion.core.errors import InputError
from napari_lesion.core.volume import Volume
from napari_lesion.gui.session import Session
from napari_lesion.workflow.channels import Images, guess_channels
from napari_lesion.workflow.models import BundleInfo
from napari_lesion.workflow.study import Study


@dataclass(frozen=True)
class Choice:
    """An image that can be a channel.

    Parameters
    ----------
    name
        Of the case or the layer.
    fits
        Whether it lies on the grid of the study's image.
    """

    name: str
    fits: bool = True


class OpenImages(Protocol):
    """Who knows the image layers that are open; `gui.layers.LayerBridge` is the real one."""

    def images(self) -> list[tuple[str, Volume]]:
        """Name and volume of every image layer but the study's own."""
        ...


class ChannelsView(Protocol):
    """The choice of channels as the presenter knows it."""

    def show_channels(self, names: Sequence[str], choices: Sequence[Choice], chosen: Sequence[int | None]) -> None:
        """Ask for an image for each channel; no names take the question away."""

    def chosen(self) -> tuple[int | None, ...]:
        """Number of the image of each channel."""
        ...

    def resample(self) -> bool:
        """Whether images on another grid may be resampled."""
        ...


class ChannelsPresenter:
    """Offers the open images for the channels of the chosen model.

    Parameters
    ----------
    session
        The open study.
    layers
        Knows the other images.
    view
        The choice.
    """

    def __init__(self, session: Session, layers: OpenImages, view: ChannelsView) -> None:
        self._session = session
        self._layers = layers
        self._view = view
        self._model: BundleInfo | None = None
        self._offered: list[tuple[str, Volume]] = []
        session.study_changed.connect(self.show)

    def set_model(self, model: BundleInfo) -> None:
        """Ask for the channels of another model."""
        self._model, self._offered = model, []
        self.show()

    def show(self, *_: object) -> None:
        """Offer the images that are open now; what was chosen stays where the image is still there."""
        study, model = self._session.study, self._model
        if study is None or model is None or model.channels < 2:
            self._offered = []
            self._view.show_channels((), (), ())
            return
        before = self._chosen_volumes() if self._offered else []
        self._offered = [(study.volume.source.case, study.volume)]
        self._offered += [(name, volume) for name, volume in self._layers.images() if volume is not study.volume]
        volumes = [volume for _, volume in self._offered]
        names = channel_names(model)
        guessed = guess_channels(names, [name for name, _ in self._offered])
        kept = [
            next((i for i, volume in enumerate(volumes) if volume is old), guess)
            for old, guess in zip(before or [None] * len(names), guessed, strict=True)
        ]
        grid = study.volume.grid
        choices = [Choice(name, volume.grid.agrees_with(grid)) for name, volume in self._offered]
        self._view.show_channels(names, choices, kept)

    def images(self, study: Study, model: BundleInfo) -> Images:
        """The images that a model takes.

        Raises
        ------
        InputError
            When a channel has no image, or one on another grid that nobody agreed to resample.
        """
        if model.channels < 2:
            return Images()
        names, volumes = channel_names(model), self._chosen_volumes()
        missing = [name for name, volume in zip(names, volumes, strict=False) if volume is None]
        if missing or not volumes:
            raise InputError(
                f"The model takes {model.channels} images of one study",
                f"none is chosen for {', '.join(missing or names)}",
                "Drop its file into napari, so that it stands in the layer list, and choose it",
            )
        chosen = tuple(volume for volume in volumes if volume is not None)
        elsewhere = [volume.source.case for volume in chosen if not volume.grid.agrees_with(study.volume.grid)]
        if elsewhere and not self._view.resample():
            raise InputError(
                f"{', '.join(elsewhere)} lies on another grid than the study's image",
                "the channels of a model must show the same place in the same voxel",
                "Allow resampling below the channels, or register the images first",
            )
        return Images(chosen, bool(elsewhere))

    def _chosen_volumes(self) -> list[Volume | None]:
        count = len(self._offered)
        return [
            self._offered[place][1] if place is not None and place < count else None for place in self._view.chosen()
        ]


def channel_names(model: BundleInfo) -> tuple[str, ...]:
    """A name for each channel of a model."""
    stated = model.channel_names
    return tuple(stated[i] if i < len(stated) else f"channel {i + 1}" for i in range(model.channels))
