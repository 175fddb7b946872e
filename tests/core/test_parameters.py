"""Parameter dataclasses describe themselves and refuse values out of range."""

from __future__ import annotations

import pytest

from napari_lesion.core.parameters import parameter_fields
from napari_lesion.workflow.detect import DetectParameters
from napari_lesion.workflow.export import ExportParameters


@pytest.mark.parametrize("cls", [DetectParameters, ExportParameters])
def test_every_field_is_described(cls: type) -> None:
    fields = list(parameter_fields(cls))
    assert [f.name for f in fields] == list(cls.__dataclass_fields__)
    assert all(f.param.help for f in fields)


def test_label_has_the_unit() -> None:
    fields = {f.name: f for f in parameter_fields(DetectParameters)}
    assert fields["min_volume_mm3"].label == "Smallest volume (mm³)"
    assert fields["device"].default == "auto"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"threshold": 1.5}, "at most"),
        ({"threshold": 0.0}, "at least"),
        ({"device": "tpu"}, "one of"),
        ({"overlap": 0.9}, "at most"),
        ({"threshold": float("nan")}, "a number"),
    ],
)
def test_values_out_of_range_are_refused(change: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        DetectParameters(**change)  # type: ignore[arg-type]
