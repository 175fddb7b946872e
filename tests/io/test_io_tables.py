"""lesions.csv keeps names, order, six digits and empty cells."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_lesion.core.errors import InputError
from napari_lesion.core.table import Column, LesionTable
from napari_lesion.io.tables import format_value, read_table, write_table

COLUMNS = (Column("label"), Column("status"), Column("probability"), Column("volume_mm3"), Column("flags"))


def test_the_file_is_as_documented(tmp_path: Path) -> None:
    rows = {
        3: {"label": 3, "status": "model", "probability": 0.123456789, "volume_mm3": 1234567.0, "flags": "thin;tiny"},
        1: {"label": 1, "status": "manual", "probability": math.nan, "volume_mm3": 2.0, "flags": 'a "b", c'},
    }
    write_table(tmp_path / "lesions.csv", LesionTable(COLUMNS, rows))
    assert (tmp_path / "lesions.csv").read_bytes() == (
        b"label,status,probability,volume_mm3,flags\n"
        b"3,model,0.123457,1.23457e+06,thin;tiny\n"
        b'1,manual,,2,"a ""b"", c"\n'
    )


def test_an_empty_table_is_a_header(tmp_path: Path) -> None:
    write_table(tmp_path / "lesions.csv", LesionTable(COLUMNS))
    assert (tmp_path / "lesions.csv").read_text(encoding="utf-8") == "label,status,probability,volume_mm3,flags\n"
    again = read_table(tmp_path / "lesions.csv")
    assert again.names == [c.name for c in COLUMNS]
    assert not again.rows


def test_the_label_stands_in_for_a_row_without_one(tmp_path: Path) -> None:
    write_table(tmp_path / "a.csv", LesionTable(COLUMNS, {5: {"status": "model"}}))
    assert (tmp_path / "a.csv").read_text(encoding="utf-8").splitlines()[1] == "5,model,,,"


@given(
    st.dictionaries(
        st.integers(1, 10**6),
        st.tuples(
            st.floats(allow_nan=True, allow_infinity=False), st.integers(), st.text(st.characters(codec="utf-8"))
        ),
        max_size=5,
    )
)
def test_what_is_written_is_read_again(tmp_path_factory: pytest.TempPathFactory, content: dict) -> None:
    path = tmp_path_factory.mktemp("tables") / "lesions.csv"
    columns = (Column("label"), Column("number"), Column("whole"), Column("words"))
    rows = {k: {"label": k, "number": f, "whole": n, "words": f"w{t}"} for k, (f, n, t) in content.items()}
    write_table(path, LesionTable(columns, rows))
    again = read_table(path)
    assert again.labels == list(content)
    for label, row in rows.items():
        read = again.rows[label]
        assert (read["whole"], read["words"]) == (row["whole"], _one_line_end(row["words"]))
        if not all(math.isnan(r["number"]) for r in rows.values()):
            np.testing.assert_allclose(read["number"], row["number"], rtol=1e-5)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (np.float32("nan"), ""),
        (np.int64(7), "7"),
        (0.1 + 0.2, "0.3"),
        (-0.0, "-0"),
        (1e-9, "1e-09"),
        (True, "True"),
    ],
)
def test_cells(value: object, text: str) -> None:
    assert format_value(value) == text  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    ["", "a,b\n1,2\n", "label\nx\n", "label\n1.5\n", "label,a\n1,2\n1,3\n", "label,label\n1,2\n", "label,a\n1,2,3\n"],
)
def test_what_is_no_table_of_lesions(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(InputError, match=r"a\.csv"):
        read_table(tmp_path / "a.csv")


def test_a_table_that_is_not_there_or_no_text(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_table(tmp_path / "none.csv")
    (tmp_path / "a.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="cannot be read"):
        read_table(tmp_path / "a.csv")


def test_names_and_dates_stay_texts(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("label,lesion_id,series_date,lesion_uid,volume_mm3\n1,007,20200101,2.25,3\n\n")
    row = read_table(tmp_path / "a.csv").rows[1]
    assert row == {"label": 1, "lesion_id": "007", "series_date": "20200101", "lesion_uid": "2.25", "volume_mm3": 3}


def _one_line_end(text: str) -> str:
    """Every kind of line end as the one that a table keeps."""
    return text.replace("\r\n", "\n").replace("\r", "\n")
