"""Chains of steps: read from text, written as text, run on a volume; order matters and is kept."""

from __future__ import annotations

import types
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Union, get_args, get_origin

import numpy as np
import numpy.typing as npt

from napari_lesion.core.errors import InputError, LesionError
from napari_lesion.core.jobs import JobContext
from napari_lesion.core.parameters import ParameterField, parameter_fields
from napari_lesion.core.volume import Modality, Volume
from napari_lesion.preprocess.steps import STEPS, Step

YES = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
LARGEST_VOXELS = 2**31


@dataclass(frozen=True)
class Chosen:
    """One step with its parameters."""

    step: Step
    parameters: Any

    @classmethod
    def of(cls, name: str, **values: Any) -> Chosen:
        """A step by name, with values other than the defaults."""
        return cls(STEPS[name], STEPS[name].parameters(**values))

    @property
    def text(self) -> str:
        """As it is given on the command line: ``clahe:clip_limit=0.02``; defaults are left out."""
        given = [
            f"{item.name}={_word(value)}"
            for item in parameter_fields(self.step.parameters)
            if (value := getattr(self.parameters, item.name)) != item.default
        ]
        return f"{self.step.name}:{','.join(given)}" if given else self.step.name

    def as_dict(self) -> dict[str, Any]:
        """Name, transform and every parameter, for records."""
        values = {item.name: getattr(self.parameters, item.name) for item in parameter_fields(self.step.parameters)}
        return {"step": self.step.name, "transform": self.step.target, "parameters": values}


@dataclass(frozen=True)
class Chain:
    """Steps in the order in which they are done.

    Parameters
    ----------
    chosen
        The steps.
    """

    chosen: tuple[Chosen, ...] = field(default=())

    def __bool__(self) -> bool:
        return bool(self.chosen)

    @classmethod
    def parse(cls, texts: Sequence[str]) -> Chain:
        """Chain of steps as they are given on the command line, each ``NAME`` or ``NAME:KEY=VALUE,KEY=VALUE``.

        Raises
        ------
        InputError
            For a step or parameter that does not exist, or a value that it cannot have.
        """
        return cls(tuple(_chosen(text) for text in texts))

    @property
    def text(self) -> str:
        """The steps with blanks between them, as `parse_line` reads them."""
        return " ".join(item.text for item in self.chosen)

    @classmethod
    def parse_line(cls, line: str) -> Chain:
        """Chain of one line of steps with blanks between them; nothing for an empty line."""
        return cls.parse(line.split())

    @property
    def changes_grid(self) -> bool:
        """Whether the result lies on another grid."""
        return any(item.step.changes_grid for item in self.chosen)

    @property
    def keeps_unit(self) -> bool:
        """Whether HU stay HU, and SUV SUV."""
        return all(item.step.keeps_unit for item in self.chosen) and not any(
            getattr(item.parameters, "as_mask", False) for item in self.chosen
        )

    def as_list(self) -> list[dict[str, Any]]:
        """The steps for records."""
        return [item.as_dict() for item in self.chosen]


def _chosen(text: str) -> Chosen:
    name, _, rest = text.strip().partition(":")
    step = STEPS.get(name)
    if step is None:
        raise InputError(f"There is no step {name!r}", f"the steps are {', '.join(STEPS)}", "Check the name")
    fields = {item.name: item for item in parameter_fields(step.parameters)}
    values: dict[str, Any] = {}
    for part in (part for part in rest.split(",") if part.strip()):
        key, equals, word = (piece.strip() for piece in part.partition("="))
        if key not in fields or not equals:
            offered = ", ".join(fields)
            raise InputError(f"{part!r} means nothing to the step {name}", f"it takes {offered}", "Write KEY=VALUE")
        values[key] = _value(name, fields[key], word)
    try:
        return Chosen(step, step.parameters(**values))
    except ValueError as error:
        raise InputError(f"The step {name} cannot be done so", str(error), "Choose another value") from error


def _value(name: str, item: ParameterField, word: str) -> Any:
    kinds = get_args(item.type) if get_origin(item.type) in (Union, types.UnionType) else (item.type,)
    kind = next(kind for kind in kinds if kind is not types.NoneType)
    if word == "" and types.NoneType in kinds:
        return None
    try:
        return YES[word.lower()] if kind is bool else kind(word)
    except (KeyError, ValueError) as error:
        wanted = {bool: "yes or no", int: "a whole number", float: "a number"}.get(kind, "a word")
        raise InputError(
            f"The step {name} cannot be done so", f"{item.name} takes {wanted}, not {word!r}", "Correct the value"
        ) from error


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else "" if value is None else str(value)


def check_modality(volume: Volume, chain: Chain) -> None:
    """Raise `InputError` when a step is not made for the modality of the image; an unknown one passes."""
    for item in chain.chosen:
        made_for = item.step.modalities
        if made_for and volume.modality not in (*made_for, Modality.UNKNOWN):
            raise InputError(
                f"The step {item.step.name} is made for {' and '.join(made_for)}",
                f"this image is {volume.modality}",
                "Leave the step out, or correct the modality",
            )


def prepare(volume: Volume, chain: Chain, ctx: JobContext | None = None) -> Volume:
    """Do the steps of a chain, one after the other, on a copy of a volume.

    Parameters
    ----------
    volume
        The image; never changed.
    chain
        The steps.
    ctx
        Progress and cancel.

    Returns
    -------
    Volume
        float32; its modality is unknown when HU or SUV are lost; a note says what was done.

    Raises
    ------
    InputError
        When a step does not suit the image.
    """
    from napari_lesion.preprocess.images import grid_of, image_of, native_of

    ctx = ctx or JobContext()
    check_modality(volume, chain)
    for item in chain.chosen:
        _require_room(volume, item)
    image = image_of(replace(volume, array=finite(volume.array)))
    total = len(chain.chosen)
    for k, item in enumerate(chain.chosen):
        ctx.step(f"{item.step.title} (step {k + 1} of {total})")
        transform = item.step.build(item.parameters)
        if hasattr(transform, "report"):
            transform.report = partial(ctx.step, f"{item.step.title} (step {k + 1} of {total})")
        image = attempt(item, partial(transform, image))
    ctx.step("Prepared", 1, 1)
    array = native_of(image).astype(np.float32, copy=False)
    array.flags.writeable = False
    return labelled(replace(volume, array=array, grid=grid_of(image) if chain.changes_grid else volume.grid), chain)


def attempt(item: Chosen, function: Any) -> Any:
    """Call a function of a step; what a library says against its input becomes an `InputError`."""
    try:
        return function()
    except LesionError:
        raise
    except MemoryError as error:
        raise InputError(
            f"The step {item.step.name} needs more memory than there is", "", "Resample first"
        ) from error
    except (ValueError, RuntimeError) as error:
        why = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
        raise InputError(
            f"The step {item.step.name} cannot be done on this image",
            why,
            "Leave it out, or change what is before it",
        ) from error


def labelled(volume: Volume, chain: Chain) -> Volume:
    """A prepared volume with what was done to it in its notes, and a modality that its values still have."""
    source = volume.source
    kept = chain.keeps_unit or volume.modality == Modality.MR
    source = replace(source, notes=(*source.notes, f"Prepared: {chain.text}"))
    if chain.changes_grid:
        source = replace(source, sop_uids=(), files=(), headers={})
    return replace(volume, source=source, modality=volume.modality if kept else Modality.UNKNOWN)


def finite(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The array itself, or a copy with the smallest finite value in place of what is not finite."""
    if array.dtype.kind != "f" or np.isfinite(array).all():
        return array
    values = array[np.isfinite(array)]
    lowest = float(values.min()) if values.size else 0.0
    made: npt.NDArray[Any] = np.nan_to_num(array, nan=lowest, posinf=lowest, neginf=lowest)
    return made


def _require_room(volume: Volume, item: Chosen) -> None:
    """Refuse a resampling that would make an image that no machine holds."""
    if not item.step.changes_grid:
        return
    ratios = (s / new for s, new in zip(volume.grid.spacing, item.parameters.pixdim, strict=True))
    voxels = float(np.prod(volume.grid.size)) * float(np.prod(list(ratios)))
    if voxels > LARGEST_VOXELS:
        raise InputError(
            "The image would be too large", f"{voxels / 1e9:.1f} billion voxels at this spacing", "Choose a wider one"
        )
