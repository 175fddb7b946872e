"""Names of cases, one bad input among good ones, resuming, tables of all, and a cluster that loses a worker."""

from __future__ import annotations

import csv
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_lesion.core.errors import InputError, LesionError
from napari_lesion.core.jobs import CancelToken, JobCancelled, JobContext
from napari_lesion.workflow import export
from napari_lesion.workflow.cohort import CaseResult, CohortRequest, detect_cases, plan_cases, unique_names
from napari_lesion.workflow.cohort_tables import CohortTables
from napari_lesion.workflow.models import find_model
from napari_lesion.workflow.parameters import CohortParameters, DetectParameters, ExportParameters


def test_collisions_get_a_number() -> None:
    assert unique_names(["ct", "ct", "mr", "CT", "ct"]) == ["ct", "ct-2", "mr", "CT-3", "ct-4"]
    assert unique_names(["a", "a-2", "a"]) == ["a", "a-2", "a-3"]


@given(st.lists(st.sampled_from(["a", "A", "a-2", "b", "a-3"])))
def test_names_are_unique_whatever_comes(names: Sequence[str]) -> None:
    unique = unique_names(names)
    assert len({name.casefold() for name in unique}) == len(names)
    assert all(new.startswith(old) for old, new in zip(names, unique, strict=True))


def _quiet(*_: Any) -> JobContext:
    return JobContext()


@pytest.fixture(scope="module")
def model(write_bundle: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with random weights that marks something nearly everywhere."""
    root: Path = write_bundle(
        tmp_path_factory.mktemp("cohort") / "tiny",
        own={"organ": "", "default_threshold": 0.45, "refinement": None},
    )
    return root


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("scans")
    paths = []
    for seed in range(4):
        hu = np.random.default_rng(seed).normal(-300, 300, (32, 32, 24)).astype(np.int16)
        paths.append(folder / f"scan{seed}.nii.gz")
        nibabel.save(nibabel.Nifti1Image(hu, np.diag([1.0, 1.0, 1.0, 1.0])), paths[-1])
    return paths


def _request(scans: Sequence[Path], out: Path, model: Path, **more: Any) -> CohortRequest:
    opening = CohortParameters(modality="CT", scheduler=more.pop("scheduler", ""))
    return CohortRequest(list(scans), out, find_model(model), opening, **more)


def test_every_bad_input_is_told_and_none_stops_the_others(tmp_path: Path, model: Path, scans: list[Path]) -> None:
    (tmp_path / "text.nii").write_text("not an image")
    (tmp_path / "empty").mkdir()
    inputs = [tmp_path / "text.nii", tmp_path / "empty", scans[0], tmp_path / "missing.nii.gz"]
    results = list(detect_cases(_request(inputs, tmp_path / "out", model), _quiet))
    assert [result.case for result in results] == ["text", "empty", "scan0", "missing"]
    assert [result.error is None for result in results] == [False, False, True, False]
    assert all(result.error is None or result.error.message.count(".") >= 1 for result in results)
    states = {row["folder"]: row["state"] for row in _rows(tmp_path / "out" / "cases.csv")}
    assert states == {"text": "failed", "empty": "failed", "scan0": "done", "missing": "failed"}


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def test_the_tables_hold_every_lesion_once(tmp_path: Path, model: Path, scans: list[Path]) -> None:
    results = list(detect_cases(_request(scans, tmp_path, model), _quiet))
    rows = _rows(tmp_path / "cohort.csv")
    assert len(rows) == sum(result.lesions for result in results) > 0
    for result in results:
        mine = [{k: v for k, v in row.items() if k != "folder"} for row in rows if row["folder"] == result.case]
        assert mine == _rows(tmp_path / result.case / "lesions.csv")


def test_a_case_is_measured_once(
    tmp_path: Path, model: Path, scans: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ExportParameters(features="core,volume_mm3")
    list(detect_cases(_request(scans[:1], tmp_path / "again", model, export=asked), _quiet))

    def refuse(*_: object) -> None:
        raise AssertionError("measured a second time")

    monkeypatch.setattr(export, "measure_study", refuse)
    (result,) = detect_cases(_request(scans[:1], tmp_path / "once", model), _quiet)
    tables = [(tmp_path / name / "scan0" / "lesions.csv").read_bytes() for name in ("again", "once")]
    assert result.lesions > 0
    assert tables[0] == tables[1]


def test_a_column_of_a_later_case_gets_a_cell_in_all(tmp_path: Path) -> None:
    tables = CohortTables(tmp_path)
    for case, header, line in (("a", "label,x", "1,2"), ("b", "label,x,y", "1,3,4"), ("c", "label,y", "2,5")):
        (tmp_path / case).mkdir()
        (tmp_path / case / "lesions.csv").write_text(f"{header}\n{line}\n", encoding="utf-8")
        tables.add(CaseResult(case, tmp_path / case, tmp_path / case, 1))
    found = [tuple(row[name] for name in ("folder", "label", "x", "y")) for row in _rows(tmp_path / "cohort.csv")]
    assert found == [("a", "1", "2", ""), ("b", "1", "3", "4"), ("c", "2", "", "5")]
    assert [row["folder"] for row in _rows(tmp_path / "cases.csv")] == ["a", "b", "c"]


def test_what_is_done_is_not_done_again(tmp_path: Path, model: Path, scans: list[Path]) -> None:
    first = list(detect_cases(_request(scans[:2], tmp_path, model), _quiet))
    table = (tmp_path / "cohort.csv").read_text(encoding="utf-8")
    written = {case.case: (tmp_path / case.case / "run.json").stat().st_mtime_ns for case in first}
    again = list(detect_cases(_request(scans[:3], tmp_path, model), _quiet))
    assert [case.resumed for case in again] == [True, True, False]
    assert [case.lesions for case in again[:2]] == [case.lesions for case in first]
    assert {case.case: (tmp_path / case.case / "run.json").stat().st_mtime_ns for case in first} == written
    assert (tmp_path / "cohort.csv").read_text(encoding="utf-8").startswith(table)


@pytest.mark.parametrize("change", ["choice", "input", "record", "table"])
def test_what_changed_is_done_again(tmp_path: Path, model: Path, scans: list[Path], change: str) -> None:
    scan = Path(shutil.copy(scans[0], tmp_path / "scan.nii.gz"))
    out = tmp_path / "out"
    list(detect_cases(_request([scan], out, model), _quiet))
    parameters = DetectParameters(threshold=0.6) if change == "choice" else DetectParameters()
    if change == "input":
        os.utime(scan, (1, 1))
    elif change == "record":
        (out / "scan" / "case.json").write_text("{")
    elif change == "table":
        (out / "scan" / "lesions.csv").unlink()
    (result,) = detect_cases(_request([scan], out, model, parameters=parameters), _quiet)
    assert not result.resumed
    assert (out / "scan" / "lesions.csv").is_file()


def test_a_cancel_keeps_what_is_done(tmp_path: Path, model: Path, scans: list[Path]) -> None:
    token = CancelToken()
    results: list[CaseResult] = []

    def stopped_after_the_first() -> None:
        for result in detect_cases(_request(scans, tmp_path, model), lambda *_: JobContext(token)):
            results.append(result)
            token.cancel()

    with pytest.raises(JobCancelled):
        stopped_after_the_first()
    assert 1 <= len(results) < len(scans)
    again = list(detect_cases(_request(scans, tmp_path, model), _quiet))
    assert again[0].resumed
    assert not again[-1].resumed
    assert all(case.error is None for case in again)


def test_pseudonymised_tables_name_nobody(tmp_path: Path, model: Path, scans: list[Path]) -> None:
    request = _request(scans[:2], tmp_path, model, export=ExportParameters(pseudonymise=True))
    list(detect_cases(request, _quiet))
    for name in ("cohort.csv", "cases.csv"):
        assert "scan0" not in (tmp_path / name).read_text(encoding="utf-8")


def test_further_images_belong_to_one_input(tmp_path: Path, model: Path, scans: list[Path]) -> None:
    request = CohortRequest(scans, tmp_path, find_model(model), CohortParameters(also=str(scans[0])))
    with pytest.raises(LesionError, match="--also"):
        list(detect_cases(request, _quiet))


def test_an_error_travels(tmp_path: Path) -> None:
    error = InputError("The file cannot be read", "it is torn", "Copy it again")
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is InputError
    assert (back.message, back.todo) == (error.message, error.todo)


@contextmanager
def _started(*command: str, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-m", *command], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(30)


def _awaited(path: Path, seconds: float = 60.0) -> dict[str, Any]:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if path.is_file() and path.stat().st_size:
            found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            return found
        time.sleep(0.1)
    raise TimeoutError(path)


def test_a_cluster_that_loses_a_worker_loses_nothing(tmp_path: Path, model: Path, scans: list[Path]) -> None:
    distributed = pytest.importorskip("distributed")
    environment = {**os.environ, "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "5"}
    file = tmp_path / "scheduler.json"
    inputs = [Path(shutil.copy(scans[i % 4], tmp_path / f"case{i}.nii.gz")) for i in range(6)]
    scheduler = ("distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard")
    worker = ("distributed.cli.dask_worker", "--nworkers", "1", "--nthreads", "1", "--no-nanny", "--no-dashboard")
    with _started(*scheduler, "--scheduler-file", str(file), environment=environment):
        address = str(_awaited(file)["address"])
        with (
            _started(*worker, address, environment=environment) as first,
            _started(*worker, address, environment=environment),
        ):
            with distributed.Client(address) as client:
                client.wait_for_workers(2, timeout=60)
            results: list[CaseResult] = []
            for result in detect_cases(_request(inputs, tmp_path / "out", model, scheduler=address), _quiet):
                if not results:
                    first.send_signal(signal.SIGKILL)  # while it works on another case
                results.append(result)
    assert sorted(result.case for result in results) == [f"case{i}" for i in range(6)]
    assert [result.error for result in results] == [None] * 6
    rows = _rows(tmp_path / "out" / "cohort.csv")
    assert len(rows) == sum(result.lesions for result in results)
    assert len({(row["folder"], row["label"]) for row in rows}) == len(rows)
    here = list(detect_cases(_request(inputs, tmp_path / "here", model), _quiet))
    assert {case.case: case.lesions for case in here} == {case.case: case.lesions for case in results}


def test_a_scheduler_that_is_not_there(tmp_path: Path, model: Path, scans: list[Path], monkeypatch: Any) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr("napari_lesion.workflow.cohort_cluster.TIMEOUT_S", 0.5)
    with pytest.raises(LesionError, match="does not answer"):
        list(detect_cases(_request(scans[:1], tmp_path, model, scheduler="tcp://127.0.0.1:9"), _quiet))


def test_plan_gives_each_case_its_folder(tmp_path: Path, model: Path, scans: list[Path]) -> None:
    tasks = plan_cases(_request([scans[0], scans[0]], tmp_path, model))
    assert [task.folder.name for task in tasks] == ["scan0", "scan0-2"]
    assert tasks[0].fingerprint() == tasks[1].fingerprint()
