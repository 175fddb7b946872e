"""What the user can do in the dock, as data: name, words and key."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Action:
    """One thing that the user can do.

    Parameters
    ----------
    id
        Stable name.
    title
        Words on the button.
    key
        Key binding as napari writes it (``"Shift+O"``); must not be one of napari's own.
    tip
        One sentence for the tool tip, without the key.
    """

    id: str
    title: str
    key: str
    tip: str

    @property
    def tool_tip(self) -> str:
        """Tip with the key."""
        return f"{self.tip} [{self.key}]"


OPEN = Action("open", "Open study…", "Shift+O", "Open an image file or a DICOM folder")
SAMPLE = Action("sample", "Try the sample study", "Shift+T", "Open the sample study that comes with the plugin")
RECENT = Action("recent", "Recent", "Shift+H", "Studies that were opened last")
ADOPT = Action("adopt", "Use the selected layer", "Shift+U", "Use the image layer that is selected in napari")
NEXT_WINDOW = Action("next_window", "Next window", "W", "Next window preset (level and width)")
PREPARE = Action("prepare", "Prepare image", "Shift+J", "Fold or unfold the steps that prepare a copy of the image")
DETECT = Action("detect", "Detect lesions", "Shift+D", "Run the model on the open study")
CANCEL = Action("cancel", "Cancel", "Shift+X", "Stop what is running; nothing is changed then")
LOWER = Action("lower", "Lower threshold", ",", "Lower the threshold by 0.02: more is marked")
HIGHER = Action("higher", "Higher threshold", ".", "Raise the threshold by 0.02: less is marked")
CARD = Action("card", "Model card", "Shift+I", "What the model was trained on, and how well it does")
PREVIOUS = Action("previous", "Previous", "J", "Go to the previous lesion of the table")
NEXT = Action("next", "Next", "K", "Go to the next lesion of the table")
ACCEPT = Action("accept", "Accept", "G", "Accept the selected lesion; again to take it back")
REJECT = Action("reject", "Reject", "N", "Reject the selected lesion; again to take it back")
COPY = Action("copy", "Copy", "Shift+C", "Copy the table, ready for a spreadsheet")
COLUMNS = Action("columns", "Columns", "Shift+K", "Choose which measurements stand in the table")
PLANES = Action("planes", "Sagittal and coronal", "Q", "Fold or unfold the other planes of the selected lesion")
FIGURES = Action(
    "figures",
    "Histogram, edge and size",
    "Shift+Q",
    "Fold or unfold histogram, edge profile and place on the size scale of the selected lesion",
)
RESET_AXES = Action("reset_axes", "Reset axes", "Shift+Y", "Go back to the computed axes of the selected lesion")
OUTLINE = Action("outline", "Outline", "U", "Show lesions as outlines or filled")
HIDE = Action("hide", "Hide", "H", "Hide lesions and axes while the key is held")
EXPORT = Action("export", "Export…", "Shift+E", "Write lesions.csv, the mask and run.json to a folder")

DOCK_ACTIONS = (
    OPEN,
    RECENT,
    SAMPLE,
    ADOPT,
    NEXT_WINDOW,
    PREPARE,
    DETECT,
    CANCEL,
    LOWER,
    HIGHER,
    CARD,
    PREVIOUS,
    NEXT,
    ACCEPT,
    REJECT,
    COPY,
    COLUMNS,
    PLANES,
    FIGURES,
    OUTLINE,
    RESET_AXES,
    HIDE,
    EXPORT,
)
