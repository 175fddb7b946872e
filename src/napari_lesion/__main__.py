"""``python -m napari_lesion`` is ``napari-lesion``."""

from napari_lesion.cli.main import main

main()
