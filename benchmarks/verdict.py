"""How often two drawings of one nodule in one scan would be called a change.

``python benchmarks/verdict.py [--json FILE]``; needs ``NAPARI_LESION_DATA`` (docs/data.md).

Nothing changed between the drawings, so that every verdict "changed" is wrong. Two kinds of pairs are compared: the
voxels that at least two readers marked against those that at least three marked (LIDC nodules of four readers), and
each reader against each other one (the nodule of LIDC-IDRI-0314). Beside the verdict of ``napari-lesion compare``
stands the one that the digitisation bar alone would give.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import numpy as np

from napari_lesion.core.table import Row
from napari_lesion.core.volume import LabelMap, Modality, Source, Volume
from napari_lesion.io.masks import read_labels
from napari_lesion.io.records import write_json
from napari_lesion.measure.change import (
    Z_95,
    GrowthCategory,
    Verdict,
    VolumeBar,
    growth_category,
    log_ratio_interval,
    percent_change,
    verdict,
)
from napari_lesion.measure.engine import MeasureRequest, measure_lesions

COLUMNS = ("volume_mm3", "volume_low_mm3", "volume_high_mm3", "volume_err_mm3")
READERS = 4
GROWTH = (GrowthCategory.GROWING, GrowthCategory.SHRINKING)


def main() -> int:
    """Compare all pairs and print the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    data = Path(os.environ.get("NAPARI_LESION_DATA", "")) / "data"
    if not (data / "lidc_nodules").is_dir():
        sys.stderr.write("NAPARI_LESION_DATA does not name a folder with data/lidc_nodules in it\n")
        return 2
    results = {
        "two or more readers against three or more": counts(consensus_pairs(data / "lidc_nodules" / "masks")),
        "reader against reader, LIDC-IDRI-0314": counts(reader_pairs(data / "chest_ct" / "LIDC-IDRI-0314")),
    }
    for name, found in results.items():
        sys.stdout.write(f"{name}\n")
        for key, value in found.items():
            sys.stdout.write(f"  {key:<45} {value:g}\n")
    if arguments.json:
        write_json(arguments.json, results)
    return 0


def consensus_pairs(folder: Path) -> Iterator[tuple[Row, Row]]:
    """Of each nodule of four readers the voxels of two or more, and of three or more."""
    for path in sorted(folder.glob("*.nii.gz")):
        labels = read_labels(path)
        if labels.array.max() < READERS:
            continue
        yield measured(labels, labels.array >= 2), measured(labels, labels.array >= 3)


def reader_pairs(folder: Path) -> Iterator[tuple[Row, Row]]:
    """Every pair of the four readers of one nodule."""
    labels = read_labels(folder / "mask_readers_bits.nii.gz")
    rows = [measured(labels, (labels.array & (1 << bit)) > 0) for bit in range(READERS)]
    yield from combinations(rows, 2)


def measured(labels: LabelMap, mask: np.ndarray) -> Row:
    """Volume and its bars of one drawing."""
    volume = Volume(np.zeros(mask.shape, np.int16), labels.grid, Modality.CT, Source(modality_stated=True))
    request = MeasureRequest(features=COLUMNS)
    return measure_lesions(volume, LabelMap(mask.astype(np.uint8), labels.grid), request).rows[1]


def counts(pairs: Iterator[tuple[Row, Row]]) -> dict[str, float]:
    """Pairs, those that would be called changed or grown, and how far they really are apart."""
    found = list(pairs)
    bars = [tuple(VolumeBar(*(float(row[name]) for name in COLUMNS[:3])) for row in pair) for pair in found]
    changes = [percent_change(one.volume, other.volume) for one, other in bars]
    verdicts = [verdict(log_ratio_interval(one, other)) for one, other in bars]
    categories = [growth_category(change, said) for change, said in zip(changes, verdicts, strict=True)]
    return {
        "pairs": len(found),
        "median absolute difference of the volume, %": float(np.median(np.abs(changes))),
        "verdict changed": sum(said is Verdict.CHANGED for said in verdicts),
        "growing or shrinking": sum(category in GROWTH for category in categories),
        "changed by the digitisation bar alone": sum(by_digitisation(*pair) for pair in found),
    }


def by_digitisation(one: Row, other: Row) -> bool:
    """Whether ln(V2/V1) lies outside the calibrated bar of the digitisation."""
    volumes = [float(row["volume_mm3"]) for row in (one, other)]
    errors = [float(row["volume_err_mm3"]) / volume / Z_95 for row, volume in zip((one, other), volumes, strict=True)]
    return abs(math.log(volumes[1] / volumes[0])) > Z_95 * math.hypot(*errors)


if __name__ == "__main__":
    sys.exit(main())
