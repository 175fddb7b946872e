"""What a measure is: name, unit, definition, reference and the function that computes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from napari_lesion.core.table import Column, Value
from napari_lesion.core.volume import Modality, Volume
from napari_lesion.measure.extremes import stored_extremes

if TYPE_CHECKING:
    from napari_lesion.measure.context import LesionContext


class Family(StrEnum):
    """Groups of measures, in the order of the table."""

    IDENTITY = "identity"
    PLACE = "place"
    PROVENANCE = "provenance"
    SIZE = "size"
    SHAPE = "shape"
    DENSITY = "density"
    BOUNDARY = "boundary"
    UNCERTAINTY = "uncertainty"
    HISTOGRAM = "histogram"
    TEXTURE = "texture"


class Scale(StrEnum):
    """What the values of an image mean; the ending of every intensity column."""

    HU = "hu"
    AU = "au"
    SUV = "suv"

    @property
    def unit(self) -> str:
        """Unit for people."""
        return {"hu": "HU", "au": "a.u.", "suv": "g/ml"}[self.value]

    @property
    def ucum(self) -> str:
        """UCUM code of the unit."""
        return {"hu": "[hnsf'U]", "au": "[arb'U]", "suv": "g/ml{SUVbw}"}[self.value]


def scale_of(volume: Volume) -> Scale:
    """Scale of a volume: HU on CT, SUV on PET whose reader made SUVs, arbitrary units otherwise.

    A PET volume in Bq/ml is in arbitrary units here: a column that ends in ``_suv`` always holds a SUV. The reader
    says so with ``headers["units"] == "SUVbw"`` of the volume's source. A CT whose header states no rescaling
    (``headers["rescale_stated"]`` is false) and that has no value below 0 is not in HU either.
    """
    if volume.modality is Modality.CT:
        unscaled = volume.source.headers.get("rescale_stated", True) is False
        return Scale.AU if unscaled and stored_extremes(volume)[0] >= 0 else Scale.HU
    if volume.modality is Modality.PT and volume.source.headers.get("units") == "SUVbw":
        return Scale.SUV
    return Scale.AU


@dataclass(frozen=True)
class FeatureSpec:
    """One measure of one lesion.

    Parameters
    ----------
    name
        Column name. ``{s}`` stands for the scale of the image: ``density_mean_{s}`` becomes ``density_mean_hu``
        on CT and ``density_mean_au`` on MR.
    title
        Short header for people.
    family
        Group that the measure belongs to.
    function
        Computes the value from the context of one lesion. NaN where it is undefined, never 0.
    definition
        One or two sentences.
    unit, ucum
        Unit for people and its UCUM code; ``{s}`` stands for the unit of the scale. Empty for text and pure numbers.
    reference
        Paper or standard; empty for a definition of this project.
    code
        ``(scheme value)`` of DICOM where one exists.
    optional
        Computed only when asked for.
    scales
        Scales on which the measure means something; empty for all.
    decimals
        Digits after the point on the screen.
    invariance
        Classes that the tests hold the measure to: ``T`` translation by whole voxels, ``F`` flips and axis
        permutations that carry the spacing along, ``F2`` the same where the axial axis stays, ``Sn`` scaling of the
        spacing by k multiplies the value by k to the power n.
    error
        Name of the measure that holds the 95 % half width of this one.
    experimental
        Whether the measure did not follow the readers in validation, or was not compared with them.
    needs
        Names of the context attributes that the function reads, for those who ask what a measure costs.
    """

    name: str
    title: str
    family: Family
    function: Callable[[LesionContext], Value]
    definition: str
    unit: str = ""
    ucum: str = ""
    reference: str = ""
    code: str = ""
    optional: bool = False
    scales: tuple[Scale, ...] = ()
    decimals: int = 2
    invariance: tuple[str, ...] = ()
    error: str = ""
    experimental: bool = False
    needs: tuple[str, ...] = ()

    def applies_to(self, scale: Scale) -> bool:
        """Whether an image of this scale has the measure."""
        return not self.scales or scale in self.scales

    def column_name(self, scale: Scale) -> str:
        """Name of the column for images of this scale."""
        return self.name.format(s=scale.value)

    def column(self, scale: Scale) -> Column:
        """Description of the column for images of this scale."""
        return Column(
            name=self.column_name(scale),
            title=self.title,
            unit=self.unit.format(s=scale.unit),
            ucum=self.ucum.format(s=scale.ucum),
            definition=self.definition,
            reference=self.reference,
            code=self.code,
            decimals=self.decimals,
            error=self.error.format(s=scale.value),
            experimental=self.experimental,
        )
