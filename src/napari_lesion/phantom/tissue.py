"""CT numbers of tissues without contrast medium, 120 kV."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TissueHU:
    """Mean CT number of each tissue, HU.

    Notes
    -----
    Middle of the ranges in Hounsfield's scale as radiology textbooks give them (Hounsfield 1980,
    doi:10.1126/science.6997993; Hofer, CT Teaching Manual): fat -120 to -80, muscle 40 to 60, unenhanced
    blood 35 to 50, liver 50 to 65, spongy bone 100 to 300, cortical bone above 600, lung -900 to -800.
    """

    air: float = -1000.0
    lung: float = -868.0
    fissure: float = -650.0
    fat: float = -103.0
    skin: float = 20.0
    muscle: float = 52.0
    blood: float = 42.0
    myocardium: float = 48.0
    airway_wall: float = 30.0
    liver: float = 58.0
    spleen: float = 50.0
    stomach: float = 25.0
    cartilage: float = 95.0
    disc: float = 80.0
    cord: float = 35.0
    marrow: float = 190.0
    cortex: float = 950.0
    table: float = -350.0
    table_core: float = -960.0
