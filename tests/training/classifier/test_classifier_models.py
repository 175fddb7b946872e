"""Networks, trees, calibration and the cross-validation around them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from classifier_tiny import TINY, collection, nodule

from napari_lesion.core.errors import InputError, ModelError
from napari_lesion.evaluation.classification import roc_auc
from napari_lesion.inference.rating.heads import calibration_from_json, columns
from napari_lesion.inference.rating.scores import (
    CALCIFIED,
    MALIGNANCY,
    N_SCORES,
    TEXTURE,
    BoostedModel,
    boosted_scores,
    logit_of_rating,
)
from napari_lesion.inference.trees import Trees
from napari_lesion.training.classifier.boosting import export_trees, fit_boosted
from napari_lesion.training.classifier.calibration import choose_method, fit_calibration
from napari_lesion.training.classifier.cross_validate import boosted_without, report, without_nan
from napari_lesion.training.classifier.fit import TrainingSet, train_network
from napari_lesion.training.classifier.fold_scores import CrossFitted, Nested, cross_fitted, nested
from napari_lesion.training.classifier.judged import Truths, judge
from napari_lesion.training.classifier.measured import Measures, measure_slices
from napari_lesion.training.classifier.network import build_network, make_targets, predict_logits, rating_loss, views
from napari_lesion.training.classifier.networks import (
    folder_of,
    held_out_pairs,
    held_out_singles,
    train_and_predict,
)
from napari_lesion.training.classifier.scores import diameter_scores, network_scores
from napari_lesion.training.classifier.slices import in_folds
from napari_lesion.training.classifier.targets import N_OUTPUTS


def test_training_learns_and_a_killed_run_ends_with_the_same_weights(tmp_path: Path) -> None:
    import torch

    data = TrainingSet.prepare(collection())
    whole = train_network(data, TINY, (1, 2, 3, 4), tmp_path / "whole")
    # A run killed after its checkpoint has that file and no weights yet.
    (tmp_path / "killed").mkdir()
    shutil.copy(tmp_path / "whole" / "checkpoint.pt", tmp_path / "killed")
    resumed = train_network(data, TINY, (1, 2, 3, 4), tmp_path / "killed")
    for first, second in zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True):
        assert torch.equal(first, second)
    losses = [float(line.split('"loss": ')[1].split(",")[0]) for line in (tmp_path / "whole/log.jsonl").open()]
    assert len(losses) == TINY.epochs
    assert losses[-1] < 0.8 * losses[0]


def test_a_run_of_another_recipe_is_not_continued(tmp_path: Path) -> None:
    data = TrainingSet.prepare(collection(20))
    train_network(data, TINY, (0, 1), tmp_path)
    with pytest.raises(InputError, match="another run"):
        train_network(data, TINY, (0, 2), tmp_path)
    with pytest.raises(InputError, match="nothing to train"):
        train_network(data, TINY, (), tmp_path / "none")


def test_loss_ignores_what_nobody_rated() -> None:
    import torch

    nodules = [nodule(k, 0, malignancy=3) for k in range(4)]
    nodules[0].ratings.update(dict.fromkeys(nodules[0].ratings, ()))
    targets = make_targets(nodules, np.arange(4))
    logits = torch.zeros(4, N_OUTPUTS, requires_grad=True)
    loss = rating_loss(logits, targets, TINY)
    loss.backward()
    assert torch.isfinite(loss)
    assert logits.grad is not None
    assert float(logits.grad[0].abs().sum()) == 0
    assert float(logits.grad[1].abs().sum()) > 0


def test_prediction_does_not_depend_on_turns_and_flips() -> None:
    import torch

    torch.manual_seed(0)
    network = build_network(TINY)
    upright = nodule(0, 0)
    upright.image[3:9, 20:26] = 300
    turned = nodule(1, 0)
    turned.image[:] = np.rot90(upright.image)
    source = TrainingSet.prepare([upright, turned]).source
    logits = predict_logits(network, source, TINY, np.array([0, 1]))
    assert logits[0] == pytest.approx(logits[1], abs=1e-4)
    crops = torch.arange(8.0).reshape(1, 2, 2, 2)
    assert len({tuple(view.ravel().tolist()) for view in views(crops)}) == 8


def test_nobody_is_predicted_by_a_network_that_saw_him(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from napari_lesion.training.classifier import networks

    seen = []

    def spy(data: TrainingSet, recipe: object, folds: tuple[int, ...], out: Path) -> object:
        seen.append(folds)
        return build_network(TINY)

    monkeypatch.setattr(networks, "train_network", spy)
    data = TrainingSet.prepare(collection(20))
    for held_out in (*held_out_singles(), *held_out_pairs()):
        logits = train_and_predict(data, TINY, held_out, tmp_path)
        assert not set(held_out) & set(seen[-1])
        assert sorted({*held_out, *seen[-1]}) == [0, 1, 2, 3, 4]
        assert len(logits) == len(in_folds(data.nodules, held_out))
    count = len(seen)
    train_and_predict(data, TINY, (0,), tmp_path)
    assert len(seen) == count
    assert (folder_of(tmp_path, (0, 1)) / "logits.npy").is_file()


def test_exported_trees_are_those_of_scikit_learn() -> None:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    random = np.random.default_rng(2)
    table = random.normal(size=(400, 5)).astype(np.float32)
    table[random.random(table.shape) < 0.1] = np.nan
    answer = np.nan_to_num(table[:, 0]) + random.normal(size=400)
    regression = HistGradientBoostingRegressor(max_iter=30).fit(table, answer)
    assert export_trees(regression)(table)[:, 0] == pytest.approx(regression.predict(table), abs=1e-5)
    classes = np.digitize(answer, [-0.5, 0.5])
    three = HistGradientBoostingClassifier(max_iter=20).fit(table, classes)
    assert export_trees(three)(table) == pytest.approx(three.decision_function(table), abs=1e-5)
    two = HistGradientBoostingClassifier(max_iter=20).fit(table, classes > 0)
    assert export_trees(two)(table)[:, 0] == pytest.approx(two.decision_function(table), abs=1e-5)


def test_trees_survive_a_file_and_damaged_ones_are_refused(tmp_path: Path) -> None:
    nodules = collection(60)
    found = measure_slices(nodules, tmp_path / "measures.npz")
    names, measures = found.names, found.values
    assert measures.shape == (60, len(names))
    assert {"contrast_hu", "long_axis_mm", "density_mean_hu"} <= set(names)
    assert not [name for name in names if name.startswith(("bbox_i", "manual_"))]
    assert measure_slices(nodules, tmp_path / "measures.npz").names == names
    model = fit_boosted(nodules, measures, np.arange(60))
    np.savez(tmp_path / "trees.npz", **model.to_arrays())
    with np.load(tmp_path / "trees.npz", allow_pickle=False) as kept:
        arrays = dict(kept)
    loaded = BoostedModel.from_arrays(arrays, len(names))
    scores = boosted_scores(model, measures)
    assert np.array_equal(scores, boosted_scores(loaded, measures))
    assert scores.shape == (60, N_SCORES)
    for name, wrong in (("malignancy.left", 10**6), ("texture.feature", len(names)), ("calcified.output", 3)):
        damaged = {**arrays, name: np.full_like(arrays[name], wrong)}
        with pytest.raises(ModelError):
            BoostedModel.from_arrays(damaged, len(names))
    with pytest.raises(ModelError):
        Trees.from_arrays({}, 3)


def test_trees_of_other_measures_are_not_taken_again(tmp_path: Path) -> None:
    nodules = collection(60)
    random = np.random.default_rng(3)
    first = Measures(("a", "b"), random.normal(size=(60, 2)).astype(np.float32))
    other = Measures(("a", "c"), random.normal(size=(60, 2)).astype(np.float32))
    kept = boosted_without(nodules, first, (0,), tmp_path)
    again = boosted_without(nodules, first, (0,), tmp_path)
    assert np.array_equal(kept.malignancy.value, again.malignancy.value)
    fresh = boosted_without(nodules, other, (0,), tmp_path)
    assert not np.array_equal(kept.malignancy.threshold, fresh.malignancy.threshold)


def test_calibration_finds_a_known_slope_and_survives_json() -> None:
    random = np.random.default_rng(5)
    score = random.normal(size=4000) * 2
    chance = 1 / (1 + np.exp(-(0.5 * score + 1)))
    truth = (random.random(4000) < chance).astype(int)
    platt = fit_calibration("platt", score[:, None], truth)
    assert float(np.abs(platt(score[:, None]) - chance).mean()) < 0.02
    steps = fit_calibration("isotonic", score[:, None], truth)
    for fitted in (platt, steps):
        again = calibration_from_json(fitted.to_json())
        assert np.array_equal(again(score[:, None]), fitted(score[:, None]))
    assert choose_method(score[:, None], truth, np.arange(4000) % 4) == "platt"
    with pytest.raises(InputError):
        fit_calibration("magic", score[:, None], truth)
    with pytest.raises(InputError):
        fit_calibration("platt", score[:, None], np.zeros(4000))


def test_balanced_classes_weigh_the_same() -> None:
    random = np.random.default_rng(6)
    truth = np.repeat([0, 1, 2], [900, 60, 40])
    score = np.eye(3)[truth] + random.normal(size=(1000, 3)) * 0.8
    balanced = fit_calibration("platt", score, truth, balanced=True)(score).argmax(axis=1)
    plain = fit_calibration("platt", score, truth)(score).argmax(axis=1)
    recall = [[float((said[truth == k] == k).mean()) for k in range(3)] for said in (balanced, plain)]
    assert min(recall[0]) > min(recall[1]) + 0.1


def test_inner_scores_know_nothing_of_the_fold() -> None:
    nodules = collection(40)
    asked = []

    def scores(held_out: tuple[int, ...]) -> np.ndarray:
        asked.append(held_out)
        return np.array([[nodules[k].fold, *held_out] for k in in_folds(nodules, held_out)], dtype=np.float32)

    found = nested(nodules, scores)
    assert isinstance(found, Nested)
    for fold in range(5):
        chosen, inner = found.inner(fold)
        assert set(chosen) == {k for k, n in enumerate(nodules) if n.fold != fold}
        # each was scored by the model that left out its own fold and this one
        assert all({int(a), int(b)} == {int(own), fold} for own, a, b in inner)
        assert set(found.outer(fold)[0]) == set(in_folds(nodules, (fold,)))
    single = cross_fitted(nodules, lambda held_out: np.full((len(in_folds(nodules, held_out)), 1), held_out[0]))
    assert isinstance(single, CrossFitted)
    assert all(single.scores[k, 0] == n.fold for k, n in enumerate(nodules))


def test_columns_of_models_side_by_side() -> None:
    assert columns(MALIGNANCY, 2 * N_SCORES) == [0, 5]
    assert columns(TEXTURE, 2 * N_SCORES) == [1, 2, 3, 6, 7, 8]
    assert columns(CALCIFIED, N_SCORES) == [4]


def test_report_of_models_on_nodules_with_known_answers() -> None:
    nodules = collection(120)
    truths = Truths.of(nodules)
    random = np.random.default_rng(8)
    perfect = np.zeros((120, N_SCORES), dtype=np.float32)
    perfect[:, MALIGNANCY] = logit_of_rating(np.array([n.mean("malignancy") for n in nodules]))
    perfect[:, TEXTURE] = 8 * np.eye(3)[truths.texture]
    perfect[:, CALCIFIED] = 8 * truths.calcified - 4
    noise = random.normal(size=(120, N_SCORES)).astype(np.float32)
    found = report(
        {
            "diameter": CrossFitted(nodules, diameter_scores(nodules)),
            "network": CrossFitted(nodules, perfect),
            "boosted measurements": CrossFitted(nodules, noise),
        },
        truths,
    )
    models = without_nan(found)["models"]
    assert models["network"]["suspicious"]["all sizes"]["auc"] == 1
    assert models["network"]["texture"]["balanced_accuracy"]["value"] == 1
    assert models["network"]["calcified"]["auc"] == 1
    assert models["boosted measurements"]["suspicious"]["all sizes"]["auc_gain_over_diameter"]["high"] < 0
    known = ~np.isnan(truths.suspicious)
    expected = roc_auc(truths.suspicious[known], truths.diameter_mm[known])
    assert models["diameter"]["suspicious"]["all sizes"]["auc"] == pytest.approx(expected, abs=1e-6)
    assert found["gains"]["network over boosted measurements"]["all sizes"]["low"] > 0


def test_every_nodule_is_judged_by_others(monkeypatch: pytest.MonkeyPatch) -> None:
    from napari_lesion.training.classifier import judged

    nodules = collection(60)
    truths = Truths.of(nodules)
    fitted_on = []
    original = judged.fit_heads

    def spy(scores: np.ndarray, truths: Truths, chosen: np.ndarray, methods: tuple[str, ...]) -> object:
        fitted_on.append(set(truths.patients[chosen]))
        return original(scores, truths, chosen, methods)

    monkeypatch.setattr(judged, "fit_heads", spy)
    scores = network_scores(np.random.default_rng(1).normal(size=(60, N_OUTPUTS)).astype(np.float32))
    found = judge(CrossFitted(nodules, scores), truths)
    assert np.isfinite(found.suspicious).all()
    assert found.texture.sum(axis=1) == pytest.approx(1)
    for fold, patients in enumerate(fitted_on):
        assert not patients & {n.patient_id for n in nodules if n.fold == fold}
