"""Icons of the dock: line drawings that ship as SVG and take the colour of the theme."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files

from qtpy.QtCore import QByteArray, QSize, Qt
from qtpy.QtGui import QIcon, QPainter, QPixmap
from qtpy.QtSvg import QSvgRenderer

SIZE = 18
SCALE = 2


@lru_cache(maxsize=128)
def icon(name: str, colour: str) -> QIcon:
    """Icon of ``resources/icons/<name>.svg`` in a colour."""
    return QIcon(pixmap(name, colour))


@lru_cache(maxsize=128)
def pixmap(name: str, colour: str, size: int = SIZE) -> QPixmap:
    """Pixmap of an icon, sharp on screens of double density."""
    source = files("napari_lesion").joinpath("resources", "icons", f"{name}.svg").read_text(encoding="utf-8")
    renderer = QSvgRenderer(QByteArray(source.replace("currentColor", colour).encode()))
    image = QPixmap(QSize(size * SCALE, size * SCALE))
    image.fill(Qt.GlobalColor.transparent)
    painter = QPainter(image)
    renderer.render(painter)
    painter.end()
    image.setDevicePixelRatio(SCALE)
    return image
