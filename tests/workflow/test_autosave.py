"""What a crash leaves behind is found again, whole and bit for bit."""

from __future__ import annotations

import hashlib
import json
import math
import os
import signal
import subprocess
import sys
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_lesion.core.errors import InputError, OutputError
from napari_lesion.core.findings import Check
from napari_lesion.core.grid import Grid
from napari_lesion.core.lesion import Lesion, Review, Status
from napari_lesion.core.probability import ProbabilityMap
from napari_lesion.core.table import LesionTable
from napari_lesion.core.volume import Source, Volume
from napari_lesion.workflow.autosave import AutosaveStore, image_key
from napari_lesion.workflow.autosave_state import Snapshot
from napari_lesion.workflow.detect import Detection, DetectParameters
from napari_lesion.workflow.edit import Editor
from napari_lesion.workflow.models import find_model
from napari_lesion.workflow.study import EditRecord, Study
from napari_lesion.workflow.threshold import mark_lesions, rethreshold

GRID = Grid(size=(30, 26, 20), spacing=(0.7, 0.7, 1.5), origin=(1.0, -2.0, 3.5))
SOURCE = Source(path=Path("/data/MUSTERMANN^ERIKA/ct.nii.gz"), case="MUSTERMANN^ERIKA", series_uid="1.2.840.99.7")


def make_study(seed: int = 0, source: Source = SOURCE) -> Study:
    rng = np.random.default_rng(seed)
    volume = Volume(rng.normal(0, 100, GRID.shape).astype(np.int16), GRID, source=source)
    return Study.of(volume, Check())


def worked_on(seed: int = 0, source: Source = SOURCE) -> Study:
    """A study after a detection, a stroke, a deletion, a new lesion and two reviews."""
    study = make_study(seed, source)
    study.labels.array[2:6, 3:9, 4:12] = 1
    study.labels.array[10:13, 10:13, 20:24] = 2
    study.labels.array[15, 20, 5] = 3
    study.model_labels.array[...] = study.labels.array
    study.lesions = {
        1: Lesion(1, Status.MODEL, 0.97),
        2: Lesion(2, Status.MODEL, 0.5),
        3: Lesion(3, Status.MODEL, 0.4),
    }
    study.threshold, study.min_volume_mm3, study.dismissed = 0.35, 12.5, ((1, 2, 3),)
    study.log.append(EditRecord("threshold", (1, 2, 3)))
    editor = Editor(study)
    editor.paint((slice(4, 8), slice(8, 11), slice(11, 14)), np.ones((4, 3, 3), dtype=bool), 1)
    editor.delete([3])
    editor.paint((slice(18, 20), slice(0, 2), slice(0, 2)), np.ones((2, 2, 2), dtype=bool), editor.new_label())
    study.review(2, Review.REJECTED)
    return study


def assert_same(one: Study, other: Study) -> None:
    np.testing.assert_array_equal(one.labels.array, other.labels.array)
    np.testing.assert_array_equal(one.model_labels.array, other.model_labels.array)
    assert one.lesions.keys() == other.lesions.keys()
    for label, lesion in one.lesions.items():
        twin = other.lesions[label]
        assert (lesion.status, lesion.review) == (twin.status, twin.review)
        assert lesion.probability == twin.probability or (
            math.isnan(lesion.probability) and math.isnan(twin.probability)
        )
    assert (one.threshold, one.min_volume_mm3, one.dismissed) == (
        other.threshold,
        other.min_volume_mm3,
        other.dismissed,
    )


@pytest.fixture
def store(tmp_path: Path) -> AutosaveStore:
    return AutosaveStore(tmp_path / "kept")


def test_a_study_comes_back_as_it_was(store: AutosaveStore) -> None:
    study = worked_on()
    store.save(study)
    again = make_study()
    array = again.labels.array
    saved = store.find(again.volume)
    assert saved is not None
    assert (saved.lesions, saved.edited, saved.reviewed) == (3, 2, 1)
    assert saved.same_file
    assert "3 lesions, 2 edited, 1 reviewed" in saved.sentence
    store.restore(again, saved)
    assert_same(again, study)
    assert again.labels.array is array, "views of the array stay valid"
    assert again.log[:-1] == study.log
    assert again.log[-1].action == "restore"
    assert again.next_label == study.next_label
    assert again.table == LesionTable()


def test_restoring_replaces_what_was_there(store: AutosaveStore) -> None:
    study = worked_on()
    store.save(study)
    again = worked_on()
    editor = Editor(again)
    editor.delete([1, 2])
    saved = store.find(again.volume)
    assert saved is not None
    store.restore(again, saved)
    assert_same(again, study)
    assert editor.undo() is None, "the history before does not fit any more"


def test_another_image_has_no_autosave(store: AutosaveStore) -> None:
    store.save(worked_on())
    assert store.find(make_study(seed=1).volume) is None
    volume = make_study().volume
    moved = replace(volume, grid=replace(GRID, origin=(1.0, -2.0, 3.6)))
    assert store.find(moved) is None
    copy = replace(volume, source=Source(path=Path("/elsewhere/copy.nrrd")))
    found = store.find(copy)
    assert found is not None
    assert not found.same_file


def test_nothing_on_the_disk_names_the_patient(store: AutosaveStore) -> None:
    store.save(worked_on())
    for path in store.folder.parent.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            if zipfile.is_zipfile(path):
                with zipfile.ZipFile(path) as archive:
                    content = b"".join(archive.read(name) for name in archive.namelist())
            for word in (b"MUSTERMANN", b"ERIKA", b"1.2.840.99.7", b"/data"):
                assert word not in content
                assert word.decode() not in str(path)


def test_an_edit_while_the_file_is_written_does_not_reach_it(store: AutosaveStore) -> None:
    study = worked_on()
    snapshot = Snapshot.of(study)
    reference = worked_on()
    Editor(study).delete([1])
    store.write(study.volume, snapshot)
    again = make_study()
    saved = store.find(again.volume)
    assert saved is not None
    store.restore(again, saved)
    assert_same(again, reference)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 10_000), st.integers(0, 40))
def test_any_label_map_is_kept_bit_for_bit(store: AutosaveStore, seed: int, labels: int) -> None:
    rng = np.random.default_rng(seed)
    study = make_study(seed)
    for _ in range(labels):
        z, y, x = (int(rng.integers(0, n)) for n in GRID.shape)
        part = study.labels.array[z : z + 5, y : y + 6, x : x + 7]
        part[rng.random(part.shape) < 0.6] = rng.integers(1, 65536)
    study.lesions = {int(label): Lesion(int(label)) for label in np.unique(study.labels.array) if label}
    store.save(study)
    again = make_study(seed)
    saved = store.find(again.volume)
    assert saved is not None
    store.restore(again, saved)
    assert_same(again, study)


def test_the_oldest_studies_go_first(tmp_path: Path) -> None:
    store = AutosaveStore(tmp_path / "kept", limit_studies=3)
    for seed in range(5):
        path = store.save(worked_on(seed))
        os.utime(path, (1_000_000 + seed, 1_000_000 + seed))
    assert [store.find(make_study(seed).volume) is not None for seed in range(5)] == [False, False, True, True, True]


def test_bytes_are_bounded_and_the_present_study_is_kept(tmp_path: Path) -> None:
    store = AutosaveStore(tmp_path / "kept", limit_bytes=1)
    store.save(worked_on(0))
    store.save(worked_on(1))
    assert store.find(make_study(0).volume) is None
    assert store.find(make_study(1).volume) is not None


def test_discard_and_clear(store: AutosaveStore) -> None:
    store.save(worked_on(0))
    store.save(worked_on(1))
    saved = store.find(make_study(0).volume)
    assert saved is not None
    store.discard(saved)
    assert store.find(make_study(0).volume) is None
    assert store.nbytes > 0
    assert store.clear() == 1
    assert store.nbytes == 0
    assert not list(store.folder.iterdir())


@pytest.mark.parametrize("damage", ["cut", "noise", "json", "masks", "version"])
def test_a_damaged_file_is_not_offered(store: AutosaveStore, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    path = store.save(worked_on())
    volume = make_study().volume
    assert store.find(volume) is not None
    content = path.read_bytes()
    if damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "noise":
        middle = len(content) // 3
        path.write_bytes(content[:middle] + bytes(200) + content[middle + 200 :])
    else:
        _rewrite(path, damage)
    assert store.find(volume) is None
    assert "cannot be read" in caplog.text
    store.save(worked_on())
    assert store.find(volume) is not None


def test_work_on_another_image_is_not_restored(store: AutosaveStore) -> None:
    study = worked_on()
    store.save(study)
    saved = store.find(study.volume)
    assert saved is not None
    other = make_study(seed=1)
    with pytest.raises(InputError, match="another image"):
        store.restore(other, saved)
    assert not other.labels.array.any()


def test_what_was_found_can_be_restored_after_its_file_is_gone(store: AutosaveStore) -> None:
    study = worked_on()
    store.save(study)
    again = make_study()
    saved = store.find(again.volume)
    assert saved is not None
    store.clear()
    store.restore(again, saved)
    assert_same(again, study)


def _rewrite(path: Path, damage: str) -> None:
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    state = json.loads(entries["state.json"])
    if damage == "json":
        del state["log"]
    elif damage == "version":
        state["format"] = 99
    else:
        entries["labels.bits"] = entries["labels.bits"][:-1]
    entries["state.json"] = json.dumps(state).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in entries.items():
            archive.writestr(name, data)


def test_a_full_or_read_only_folder_is_an_error_that_says_so(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("a file where the folder should be")
    with pytest.raises(OutputError, match="not autosaved"):
        AutosaveStore(tmp_path / "kept").save(worked_on())


def test_the_key_of_an_image_depends_on_values_type_and_grid() -> None:
    volume = make_study().volume
    assert image_key(volume) == image_key(make_study().volume)
    assert image_key(replace(volume, array=volume.array.astype(np.float32))) != image_key(volume)
    assert image_key(make_study(1).volume) != image_key(volume)


# Killed

CHILD = """
import hashlib, os, sys, time
from pathlib import Path
import numpy as np
sys.path.insert(0, {tests!r})
import test_autosave as t
from napari_lesion.workflow.edit import Editor
from napari_lesion.workflow.autosave import AutosaveStore

study, store = t.worked_on(), AutosaveStore(Path({folder!r}))
editor, rng = Editor(study), np.random.default_rng(5)
for round in range(10000):
    z, y, x = (int(rng.integers(0, n - 3)) for n in study.labels.array.shape)
    box = slice(z, z + 3), slice(y, y + 3), slice(x, x + 3)
    editor.paint(box, rng.random((3, 3, 3)) < 0.7, int(rng.integers(0, 6)))
    digest = t.digest(study)
    print("saving", digest, flush=True)
    if round == {stop_at}:
        os.fsync = lambda _: (print("inside", flush=True), time.sleep(60))
    store.save(study)
    print("saved", digest, flush=True)
"""

READER = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
import test_autosave as t
from napari_lesion.workflow.autosave import AutosaveStore

study, store = t.make_study(), AutosaveStore(Path({folder!r}))
saved = store.find(study.volume)
store.restore(study, saved)
print(t.digest(study))
"""


def digest(study: Study) -> str:
    """Hash of everything that an edit changes."""
    state = hashlib.sha256(study.labels.array.tobytes())
    state.update(study.model_labels.array.tobytes())
    state.update(repr(sorted(study.lesions.items())).encode())
    state.update(repr([record for record in study.log if record.action != "restore"]).encode())
    return state.hexdigest()


def _child(folder: Path, stop_at: int) -> subprocess.Popen[str]:
    code = CHILD.format(tests=str(Path(__file__).parent), folder=str(folder), stop_at=stop_at)
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, encoding="utf-8")


def _restored(folder: Path) -> str:
    code = READER.format(tests=str(Path(__file__).parent), folder=str(folder))
    return subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, encoding="utf-8", check=True, timeout=60
    ).stdout.strip()


def test_killed_in_the_middle_of_a_write_the_state_before_comes_back(tmp_path: Path) -> None:
    child = _child(tmp_path / "kept", stop_at=3)
    assert child.stdout is not None
    last = ""
    for line in child.stdout:
        word, *rest = line.split()
        if word == "saved":
            last = rest[0]
        if word == "inside":
            break
    child.send_signal(signal.SIGKILL)
    child.wait(30)
    child.stdout.close()
    leftovers = list((tmp_path / "kept").glob(".*"))
    assert leftovers, "it was killed with a file half made"
    assert _restored(tmp_path / "kept") == last


def test_killed_at_any_moment_the_last_whole_state_comes_back(tmp_path: Path) -> None:
    child = _child(tmp_path / "kept", stop_at=-1)
    assert child.stdout is not None
    while not child.stdout.readline().startswith("saved"):
        pass
    time.sleep(0.37)
    child.send_signal(signal.SIGKILL)
    child.wait(30)
    lines = [line.split() for line in child.stdout.read().splitlines()]
    child.stdout.close()
    done = [words[1] for words in lines if words[0] == "saved" and len(words) == 2]
    begun = [words[1] for words in lines if words[0] == "saving" and len(words) == 2]
    assert _restored(tmp_path / "kept") in {done[-1], begun[-1]}


def test_leftovers_of_a_killed_process_are_tidied_up(store: AutosaveStore) -> None:
    path = store.save(worked_on())
    old, fresh = (store.folder / f".{path.stem}-{name}.study" for name in ("0ld", "fresh"))
    for leftover in (old, fresh):
        leftover.write_bytes(b"half")
    os.utime(old, (0, 0))
    store.save(worked_on())
    assert not old.exists()
    assert fresh.exists(), "it may belong to a process that is writing now"


# Detection


def detected(study: Study) -> Study:
    """The study with a detection by the model that ships with the package, of made-up probability."""
    model = find_model(None)
    dense = np.where(study.model_labels.array > 0, 200, 0).astype(np.uint8)
    study.detection = Detection(
        model=model,
        parameters=DetectParameters(min_volume_mm3=3.0),
        probability=ProbabilityMap.from_dense(dense, GRID),
        marks=mark_lesions(ProbabilityMap(GRID), 0.5, 0.0),
        table=LesionTable(),
        device="cpu",
        backend="torch",
        windows=7,
        seconds={"searching": 1.5},
        organ="whole volume",
        notes=("a note",),
    )
    return study


def test_a_detection_comes_back_and_its_threshold_can_be_moved(store: AutosaveStore) -> None:
    study = detected(worked_on())
    assert study.detection is not None
    store.save(study)
    again = make_study()
    saved = AutosaveStore(store.folder).find(again.volume)
    assert saved is not None
    store.restore(again, saved)
    found, kept = study.detection, again.detection
    assert kept is not None
    np.testing.assert_array_equal(kept.probability.dense(), found.probability.dense())
    assert kept.model.name == found.model.name
    for name in ("parameters", "device", "backend", "windows", "seconds", "organ", "notes"):
        assert getattr(kept, name) == getattr(found, name)
    rethreshold(again, 0.9)
    assert {label for label, lesion in again.lesions.items() if lesion.status == Status.MODEL} == {2}
    rethreshold(study, 0.9)
    assert_same(again, study)


def test_the_probability_is_written_once_and_replaced_by_the_next(store: AutosaveStore) -> None:
    study = detected(worked_on())
    store.save(study)
    (first,) = store.folder.glob("*.probability")
    written = first.stat().st_mtime_ns
    study.review(1, Review.ACCEPTED)
    store.save(study)
    assert [path.name for path in store.folder.glob("*.probability")] == [first.name]
    assert first.stat().st_mtime_ns == written
    store.save(detected(study))
    (second,) = store.folder.glob("*.probability")
    assert second != first
    saved = store.find(study.volume)
    assert saved is not None
    assert saved.detection is not None


@pytest.mark.parametrize("lost", ["probability", "cut", "model"])
def test_masks_come_back_without_their_detection(store: AutosaveStore, lost: str) -> None:
    study = detected(worked_on())
    path = store.save(study)
    (probability,) = store.folder.glob("*.probability")
    if lost == "probability":
        probability.unlink()
    elif lost == "cut":
        probability.write_bytes(probability.read_bytes()[:-20])
    else:
        with zipfile.ZipFile(path) as archive:
            entries = {name: archive.read(name) for name in archive.namelist()}
        state = json.loads(entries["state.json"])
        state["detection"]["model_sha256"] = "0" * 64
        entries["state.json"] = json.dumps(state).encode()
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in entries.items():
                archive.writestr(name, data)
    again = make_study()
    saved = AutosaveStore(store.folder).find(again.volume)
    assert saved is not None
    store.restore(again, saved)
    assert again.detection is None
    assert_same(again, study)
