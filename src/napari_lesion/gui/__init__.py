"""The dock in napari: presenters without Qt, widgets without arithmetic, one bridge to the layers."""
