"""What a training says while it runs: a JSON line a validation, and TensorBoard's curves where that is installed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from napari_lesion.io.atomic import write_text
from napari_lesion.training.checkpoints import JsonLog

LOG = "log.jsonl"


class Journal:
    """The log of a run; what lies beyond the step that is resumed from is taken out.

    Parameters
    ----------
    folder
        Folder of the run; TensorBoard reads ``folder/tensorboard``.
    step
        Step that the run continues from.
    """

    def __init__(self, folder: Path, step: int = 0) -> None:
        self._log = JsonLog(folder / LOG)
        kept = [record for record in self._log.read() if record["step"] <= step]
        write_text(folder / LOG, "".join(json.dumps(record) + "\n" for record in kept))
        self._writer = _tensorboard(folder / "tensorboard", step)

    def write(self, step: int, **values: Any) -> None:
        """Write what was measured at a step."""
        self._log.write(step=step, **values)
        if self._writer is not None:
            for name, value in values.items():
                if isinstance(value, float):
                    self._writer.add_scalar(name, value, step)
            self._writer.flush()

    def read(self) -> list[dict[str, Any]]:
        """All records, oldest first."""
        return self._log.read()

    def close(self) -> None:
        """Close the files of TensorBoard."""
        if self._writer is not None:
            self._writer.close()


def _tensorboard(folder: Path, step: int) -> Any:
    """TensorBoard's writer; None where it is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(folder, purge_step=step + 1)
