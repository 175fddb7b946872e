"""The factor from PET activity to the standardised uptake value by body weight, as QIBA's vendor-neutral pseudo-code.

Source: QIBA FDG-PET/CT Profile 1.13, appendix on the computation of SUV ("vendor-neutral pseudo-code for SUV
calculation, happy path only"). Beside it, a value that cannot be true counts as missing, an injection before midnight
is known as such, and images whose decay is corrected to the time of injection need no decay.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

CORRECTIONS: Final = {"ATTN": "attenuation", "DECY": "decay"}
DOSE_BQ: Final = (1e5, 1e11)
"""Doses from a mouse to a therapy; a dose that was entered in MBq, against the standard, lies below."""
WEIGHT_KG: Final = (0.01, 650.0)
HALF_LIFE_S: Final = (60.0, 1e6)
MOST_HALF_LIVES: Final = 10.0
"""After so many half lives a thousandth is left: no scan is made then, and the times are wrong."""
DAYLONG_HALF_LIFE_S: Final = 4 * 3600.0
"""Nuclides that live longer are scanned days after the injection: the time of day alone says too little."""


@dataclass(frozen=True, slots=True)
class PetHeader:
    """What one PET image says about its values; a number that is not stated is NaN, a time None.

    Parameters
    ----------
    units, suv_type
        Units (0054,1001) and SUV Type (0054,1006).
    corrections
        Corrected Image (0028,0051).
    decay_correction
        Decay Correction (0054,1102): ``NONE``, ``START`` (of the scan) or ``ADMIN`` (injection).
    dose_bq, half_life_s
        Radionuclide Total Dose (0018,1074) in Bq and Half Life (0018,1075) in s.
    injected
        Radiopharmaceutical Start Date Time (0018,1078).
    injected_time
        Radiopharmaceutical Start Time (0018,1072): a time of day, on any date.
    series, acquired, ge_scan
        Series and Acquisition Date and Time; that of the scan in GE's private group (0009,100D).
    frame_reference_s, frame_duration_s
        Frame Reference Time (0054,1300) and Actual Frame Duration (0018,1242), s.
    weight_kg
        Patient's Weight (0010,1030).
    philips_suv, philips_activity
        Philips' private factors from counts to SUV (7053,1000) and to Bq/ml (7053,1009).
    """

    units: str = ""
    suv_type: str = ""
    corrections: tuple[str, ...] = ()
    decay_correction: str = ""
    dose_bq: float = math.nan
    half_life_s: float = math.nan
    injected: datetime | None = None
    injected_time: datetime | None = None
    series: datetime | None = None
    acquired: datetime | None = None
    ge_scan: datetime | None = None
    frame_reference_s: float = math.nan
    frame_duration_s: float = math.nan
    weight_kg: float = math.nan
    philips_suv: float = math.nan
    philips_activity: float = math.nan


@dataclass(frozen=True)
class SuvFactor:
    """How rescaled values become SUV.

    Parameters
    ----------
    factor
        g/ml in a unit of the rescaled values; NaN when no SUV can be made.
    statement
        One sentence: what the factor was made from, or why there is none.
    """

    factor: float
    statement: str

    @property
    def known(self) -> bool:
        """Whether SUV can be made."""
        return math.isfinite(self.factor)


class _NoSuvError(Exception):
    """Why no SUV can be made, as a clause."""


def suv_bw_factor(header: PetHeader) -> SuvFactor:
    """Factor from the rescaled values of a PET image to SUV by body weight, g/ml.

    Parameters
    ----------
    header
        Header of one image; of a series, that of its earliest acquisition.

    Returns
    -------
    SuvFactor
        ``weight in g / (dose in Bq · 2^(-t / half life))`` for values in Bq/ml; t runs from the injection to the
        time that the decay is corrected to. Without a factor when an attribute that it needs is missing or cannot be
        true; the statement names it.
    """
    try:
        return _factor(header)
    except _NoSuvError as why:
        return SuvFactor(math.nan, f"The values are not SUV: {why}")


def _factor(header: PetHeader) -> SuvFactor:
    if header.units == "GML":
        if header.suv_type not in ("", "BW"):
            raise _NoSuvError(f"the scanner stored SUV of the type {header.suv_type}, not by body weight")
        return SuvFactor(1.0, "The values are SUV (body weight), as the scanner stored them")
    scale = 1.0
    if header.units == "CNTS":
        if header.philips_suv > 0:
            return SuvFactor(header.philips_suv, "The values are SUV (body weight), by the factor of the scanner")
        if not header.philips_activity > 0:
            raise _NoSuvError("they are counts, and no factor to activity is stated")
        scale = header.philips_activity
    elif header.units != "BQML":
        raise _NoSuvError(f"their unit is {header.units or 'not stated'}, not Bq/ml")
    _require_corrections(header)
    weight = _within(header.weight_kg, WEIGHT_KG, "the weight of the patient", "kg")
    dose = _within(header.dose_bq, DOSE_BQ, "the injected dose", "Bq")
    delay, half_life = _delay(header)
    left = dose * math.pow(2.0, -delay / half_life) if delay else dose
    when = f"{delay / 60:.0f} min before the scan" if delay else "decay corrected to the injection"
    return SuvFactor(
        scale * weight * 1000.0 / left,
        f"The values are SUV (body weight): {weight:g} kg, {dose / 1e6:.0f} MBq injected, {when}",
    )


def _require_corrections(header: PetHeader) -> None:
    for word, what in CORRECTIONS.items():
        if word not in header.corrections:
            raise _NoSuvError(f"the images are not corrected for {what}")


def _within(value: float, limits: tuple[float, float], what: str, unit: str) -> float:
    if math.isnan(value):
        raise _NoSuvError(f"{what} is missing")
    if not limits[0] <= value <= limits[1]:
        raise _NoSuvError(f"{what} cannot be {value:g} {unit}")
    return value


def _delay(header: PetHeader) -> tuple[float, float]:
    """Seconds from the injection to the time that decay is corrected to, and the half life in s."""
    if header.decay_correction == "ADMIN":
        return 0.0, math.inf
    if header.decay_correction != "START":
        raise _NoSuvError(f"the decay correction is {header.decay_correction or 'not stated'}")
    half_life = _within(header.half_life_s, HALF_LIFE_S, "the half life", "s")
    scan = _scan_start(header, half_life)
    delay = (scan - _injection(header, scan, half_life)).total_seconds()
    if not 0 <= delay <= MOST_HALF_LIVES * half_life:
        raise _NoSuvError(f"the injection cannot be {delay / 3600:.1f} h before the scan")
    return delay, half_life


def _scan_start(header: PetHeader, half_life: float) -> datetime:
    """Time that the decay is corrected to.

    Series Date and Time, unless they come after the acquisition: then the series was made later, and GE's private
    time counts, or else the acquisition less the frame reference time, at which a frame has its mean count rate.
    """
    if header.series is not None and (header.acquired is None or header.series <= header.acquired):
        return header.series
    if header.ge_scan is not None:
        return header.ge_scan
    if header.acquired is None:
        raise _NoSuvError("the time of the scan is missing")
    if not (header.frame_reference_s > 0 and header.frame_duration_s > 0):
        return header.acquired
    decay = math.log(2.0) / half_life
    during = decay * header.frame_duration_s
    mean_rate = math.log(during / -math.expm1(-during)) / decay
    return header.acquired - timedelta(seconds=header.frame_reference_s - mean_rate)


def _injection(header: PetHeader, scan: datetime, half_life: float) -> datetime:
    """Date and time of the injection; a time of day alone is that of the scan's day, or of the day before."""
    if header.injected is not None:
        return header.injected
    if header.injected_time is None:
        raise _NoSuvError("the time of the injection is missing")
    if half_life > DAYLONG_HALF_LIFE_S:
        raise _NoSuvError("the date of the injection is missing, and the nuclide lives long")
    same_day = datetime.combine(scan.date(), header.injected_time.time())
    return same_day if same_day <= scan else same_day - timedelta(days=1)


def series_suv(headers: list[PetHeader]) -> SuvFactor:
    """The one factor of a series: all images must agree in everything but their times.

    Parameters
    ----------
    headers
        One an image; at least one.
    """
    stated = {(h.units, h.suv_type, h.corrections, h.decay_correction) for h in headers}
    numbers = {str((h.dose_bq, h.half_life_s, h.weight_kg, h.philips_suv, h.philips_activity)) for h in headers}
    if len(stated) > 1 or len(numbers) > 1:
        return SuvFactor(math.nan, "The values are not SUV: the images differ in unit, correction, dose or weight")
    return suv_bw_factor(min(headers, key=lambda h: h.acquired or datetime.max))
