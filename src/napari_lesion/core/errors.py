"""Errors that a user can cause or mend: what happened, why, and what to do."""

from __future__ import annotations


class LesionError(Exception):
    """A problem that is told to the user in plain words, without a traceback.

    Parameters
    ----------
    what
        What happened, as a clause without a final full stop.
    why
        The reason, as a clause.
    todo
        What the user can do about it, as a clause.

    Notes
    -----
    Every other exception is a bug of ours and is shown with its traceback.
    """

    exit_code = 2

    def __init__(self, what: str, why: str = "", todo: str = "") -> None:
        self.what = what
        self.why = why
        self.todo = todo
        super().__init__(self.message)

    def __reduce__(self) -> tuple[type[LesionError], tuple[str, str, str]]:
        """How a worker on another machine sends it back."""
        return type(self), (self.what, self.why, self.todo)

    @property
    def message(self) -> str:
        """The whole message: up to three sentences on one line."""
        parts = (part.strip().rstrip(".") for part in (self.what, self.why, self.todo))
        return ". ".join(_capital(part) for part in parts if part) + "."


class InputError(LesionError):
    """A file, folder or layer that cannot be opened or used."""


class GeometryError(InputError):
    """A grid that is sheared, degenerate, or not the one that was asked for."""


class SkewedGridError(GeometryError):
    """Voxels that lie on no rectangular grid, and can be resampled to one when the user agrees."""


class ModelError(LesionError):
    """A model bundle that is missing, damaged, or cannot run here."""


class OutputError(LesionError):
    """A result that could not be written, or was written and found wrong."""


class DeviceMemoryError(LesionError):
    """The computing device has too little memory for the job."""


def _capital(text: str) -> str:
    """Capitalise a plain word; the name of a file or folder stays as it is."""
    first = text.split(maxsplit=1)[0]
    return text[:1].upper() + text[1:] if first.strip(",:;").isalpha() else text
