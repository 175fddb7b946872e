"""Speed and agreement of every backend and precision beside MONAI in eager float32, on one study.

    python benchmarks/inference.py [--input PATH] [--model NAME|PATH] [--repeat N] [--no-whole] [--json FILE]

Without ``--input`` the shipped sample is searched. Three kinds of runs, each in a process of its own, in turns, so
that all see the same load of the machine:

- ours, once for each backend and precision that this machine has: from the file to the table;
- MONAI over the same windows: ``monai.inferers.sliding_window_inference`` in eager float32 in place of our backend;
- MONAI over the whole volume: the same reading, MONAI's own Orientation, Spacing and ScaleIntensityRange, and
  ``sliding_window_inference`` with the overlap of the model; without going back to the native grid or measuring.

Of ours the seconds of the search hold cutting, network, blending and the second stage; of MONAI only its calls.
Dice and lesions compare the masks at the model's threshold, on the native grid, with those of MONAI over the same
windows. CPU seconds are printed besides, since a shared machine distorts the wall clock. Peak memory is the operating
system's (ru_maxrss). On a CUDA card the share of its limit is the work that the bundle states for a window
(``window_gflop``) over the speed of a large matrix product in float16.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

SAME, WHOLE = "MONAI eager, same windows", "MONAI eager, whole volume"
EDGE = 8192


def child(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """One run of one kind in this process."""
    began = time.perf_counter()
    from napari_lesion.io.read import read_volume
    from napari_lesion.models.catalogue import find_bundle
    from napari_lesion.workflow.detect import detect_lesions

    bundle = find_bundle(options.model)
    prepare(name)
    imports = time.perf_counter() - began
    began, used = time.perf_counter(), time.process_time()
    volume = read_volume(options.input)
    reading = time.perf_counter() - began
    result = whole(volume, bundle) if name == WHOLE else searched(name, volume, bundle, options, detect_lesions)
    result["total"], result["total_cpu"] = time.perf_counter() - began, time.process_time() - used
    return {**result, "imports": imports, "reading": reading, "peak_mib": _peak_mib()}


def prepare(name: str) -> None:
    """Import what a kind of run needs, so that the seconds hold no imports."""
    if name.startswith("openvino"):
        from napari_lesion.inference.backends.telemetry import import_openvino

        import_openvino()
    else:
        import torch  # noqa: F401


def searched(
    name: str, volume: Any, bundle: Any, options: argparse.Namespace, detect_lesions: Callable[..., Any]
) -> dict[str, Any]:
    """A detection, ours or with MONAI in place of our backend; its mask is left in a file."""
    from napari_lesion.inference import engine
    from napari_lesion.workflow.detect import DetectParameters, DetectRequest

    backends: list[MonaiBackend] = []
    if name == SAME:

        def opening(bundle: Any, *_: Any) -> tuple[Any, tuple[str, ...]]:
            backends.append(MonaiBackend(bundle))
            return backends[-1], ()

        engine.open_backend = opening
        parameters = DetectParameters()
    else:
        backend, device, precision = name.split()
        parameters = DetectParameters(device=device, backend=backend, precision=precision)
    found = detect_lesions(DetectRequest(volume, bundle, parameters))
    np.savez_compressed(options.mask, labels=found.marks.on(volume.grid, None).array)
    search = sum(found.seconds.get(stage, 0.0) for stage in ("windows", "outlines"))
    return {
        "search": sum(backend.wall for backend in backends) if backends else search,
        "windows": found.windows,
        "lesions": len(found.marks.lesions),
        "precision": found.precision,
        "seconds": dict(found.seconds),
    }


class MonaiBackend:
    """MONAI's sliding window in eager float32, a window a call, timed."""

    name, device, precision = "monai", "cpu", "float32"

    def __init__(self, bundle: Any) -> None:
        from napari_lesion.inference.backends.network import probability_network

        self._network = probability_network(bundle)
        self._bundle = bundle
        self.wall = 0.0

    def infer(self, windows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Probability (n, x, y, z)."""
        import torch
        from monai.inferers import sliding_window_inference

        began = time.perf_counter()
        with torch.inference_mode():
            results = [
                sliding_window_inference(
                    torch.from_numpy(window[None]),
                    self._bundle.roi_size,
                    1,
                    lambda part: self._network(part)[:, None],
                    self._bundle.overlap,
                    "gaussian",
                )[0, 0].numpy()
                for window in windows
            ]
        self.wall += time.perf_counter() - began
        return np.stack(results)

    def close(self) -> None:
        """Nothing to give back."""


def whole(volume: Any, bundle: Any) -> dict[str, Any]:
    """MONAI over the whole volume: its own pre-processing and sliding window."""
    import torch
    from monai.inferers import sliding_window_inference
    from monai.transforms import Compose, Orientation, ScaleIntensityRange, Spacing

    from napari_lesion.inference.backends.network import probability_network
    from napari_lesion.inference.bundles.images import meta_tensor

    scale, windows = bundle.intensity, 0
    steps = [
        Orientation(bundle.axcodes),
        Spacing(bundle.spacing_mm, mode="bilinear"),
        ScaleIntensityRange(scale.a_min, scale.a_max, scale.b_min, scale.b_max, scale.clip),
    ]
    image = Compose(steps)(meta_tensor([volume])[None]).as_tensor()
    network = probability_network(bundle)

    def counted(part: torch.Tensor) -> torch.Tensor:
        nonlocal windows
        windows += len(part)
        return network(part)[:, None]

    began = time.perf_counter()
    with torch.inference_mode():
        sliding_window_inference(image[None], bundle.roi_size, 1, counted, bundle.overlap, "gaussian")
    return {"search": time.perf_counter() - began, "windows": windows, "precision": "float32"}


def _peak_mib() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def run_child(name: str, options: argparse.Namespace, mask: Path) -> dict[str, Any]:
    """Run one kind in a process of its own."""
    command = [sys.executable, __file__, "--child", name, "--input", str(options.input), "--model", options.model]
    done = subprocess.run([*command, "--mask", str(mask)], check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def contenders(model: str) -> list[str]:
    """Ours, as ``backend device precision``, of what this machine and the model have."""
    from napari_lesion.inference.backends.choose import cuda_present
    from napari_lesion.inference.backends.precision import processor_has_bf16
    from napari_lesion.models.catalogue import find_bundle

    reduced = ["bf16"] if processor_has_bf16() else []
    int8 = ["int8"] if find_bundle(model).quantised else []
    found = [f"openvino cpu {precision}" for precision in ["float32", *reduced, *int8]]
    found += [f"torch cpu {precision}" for precision in ["float32", *reduced]]
    return found + ([f"torch cuda {p}" for p in ("auto", "float32", "bf16")] if cuda_present() else [])


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """All kinds in turns; the fastest turn of each counts."""
    names = contenders(options.model)
    with tempfile.TemporaryDirectory() as folder:
        masks = {name: Path(folder) / f"{number}.npz" for number, name in enumerate([SAME, *names])}
        if not options.warm:
            for name in names[:1]:
                run_child(name, options, masks[name])  # converts the network, which is kept
        turns = [{name: run_child(name, options, masks[name]) for name in masks} for _ in range(options.repeat)]
        labels = {name: np.load(path)["labels"] for name, path in masks.items()}
        volume = run_child(WHOLE, options, Path(folder) / "none") if options.whole else None
    best = {name: min((turn[name] for turn in turns), key=lambda run: float(run["search"])) for name in masks}
    for name, run in best.items():
        run["total"] = min(turn[name]["total"] for turn in turns)
        run["total_cpu"] = min(turn[name]["total_cpu"] for turn in turns)
        run["ratio_each_turn"] = [turn[SAME]["search"] / turn[name]["search"] for turn in turns]
        run["dice"], run["same_lesions"] = agreement(labels[SAME], labels[name])
    result = {"input": str(options.input), "model": options.model, "repeat": options.repeat, "runs": best}
    return {**result, "whole_volume": volume, "card": card(options.model, best)}


def agreement(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> tuple[float, bool]:
    """Dice of two masks, and whether each lesion of either touches exactly one of the other."""
    total = int((one > 0).sum()) + int((other > 0).sum())
    both = (one > 0) & (other > 0)
    pairs = {(int(a), int(b)) for a, b in zip(one[both], other[both], strict=True)}
    firsts, seconds = (np.setdiff1d(np.unique(labels), [0]).tolist() for labels in (one, other))
    same = sorted(a for a, _ in pairs) == firsts and sorted(b for _, b in pairs) == seconds
    return (2.0 * int(both.sum()) / total if total else 1.0), same


def card(model: str, best: dict[str, Any]) -> dict[str, float] | None:
    """Speed of the card in a float16 matrix product, 10¹² operations a second, and the share that was reached."""
    from napari_lesion.models.catalogue import find_bundle

    gflop, names = find_bundle(model).window_gflop, [name for name in best if " cuda " in name]
    if not names or gflop is None:
        return None
    import torch

    matrix = torch.ones((EDGE, EDGE), dtype=torch.float16, device="cuda")
    seconds = []
    for _ in range(5):
        torch.cuda.synchronize()
        began = time.perf_counter()
        matrix @ matrix
        torch.cuda.synchronize()
        seconds.append(time.perf_counter() - began)
    limit = 2.0 * EDGE**3 / min(seconds) / 1e12
    share = {name: best[name]["windows"] * gflop / 1e3 / best[name]["search"] / limit for name in names}
    return {"tflops": limit, **share}


def show(result: dict[str, Any]) -> None:
    """Print the table."""
    runs, volume = result["runs"], result["whole_volume"]
    eager = runs[SAME]
    print(f"{result['input']}, {result['model']}, {eager['windows']} windows, fastest of {result['repeat']} turns")
    print(f"{'':<28}{'search':>9}{'windows/s':>11}{'end to end':>12}{'CPU':>8}{'MiB':>7}{'Dice':>9}  lesions  ratio")
    for name, run in runs.items():
        lesions = f"{run['lesions']:>3} {'same' if run['same_lesions'] else 'other':<5}"
        print(
            f"{name:<28}{run['search']:8.2f} s{run['windows'] / run['search']:11.1f}{run['total']:10.2f} s"
            f"{run['total_cpu']:6.1f} s{run['peak_mib']:7.0f}{run['dice']:9.5f}{lesions:>10}"
            f"{eager['search'] / run['search']:7.2f}"
        )
    if volume:
        print(f"{WHOLE:<28}{volume['search']:8.2f} s{volume['windows'] / volume['search']:11.1f}", end="")
        print(f"{volume['total']:10.2f} s{volume['total_cpu']:6.1f} s{volume['peak_mib']:7.0f}")
        for name, run in runs.items():
            wall, cpu = volume["total"] / run["total"], volume["total_cpu"] / run["total_cpu"]
            print(f"  whole volume / {name}, end to end: {wall:.2f} by the wall clock, {cpu:.2f} by CPU seconds")
    if result["card"]:
        print("  ".join(f"{name}: {value:.3f}" for name, value in result["card"].items()))
    else:
        print("CUDA: not measured (no card)")


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--input", type=Path, help="DICOM folder or image file; the shipped sample when not given")
    parser.add_argument("--model", default="lung_nodule_ct", help="name or folder of the bundle")
    parser.add_argument("--repeat", type=int, default=3, help="turns")
    parser.add_argument(
        "--no-whole", dest="whole", action="store_false", help="leave the run of the whole volume out"
    )
    parser.add_argument("--warm", action="store_true", help="the network was converted before: no run ahead")
    parser.add_argument("--json", type=Path, help="write the result there too")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--mask", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.input = options.input or sample()
    if options.child:
        print(json.dumps(child(options.child, options)))
        return
    result = measure(options)
    show(result)
    if options.json:
        options.json.write_text(json.dumps(result, indent=1), encoding="utf-8")


def sample() -> Path:
    """The shipped part of a real chest CT."""
    from importlib.resources import files

    return Path(str(files("napari_lesion"))) / "resources" / "sample" / "lidc_0314_part.nii.gz"


if __name__ == "__main__":
    main()
