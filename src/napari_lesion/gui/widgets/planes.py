"""Sagittal and coronal pictures of the selected lesion, drawn as plain Qt images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QImage, QPainter, QPaintEvent, QPen
from qtpy.QtWidgets import QHBoxLayout, QSizePolicy, QWidget
from superqt import QCollapsible

from napari_lesion.gui import actions
from napari_lesion.gui.palette import AXES
from napari_lesion.gui.presenters.planes import PlaneImage

HEIGHT = 170
ROOMY_DOCK = 880
TEXT_MARGIN = 4
SHADE = QColor(0, 0, 0, 150)


class PlaneCanvas(QWidget):
    """One picture in true proportions, with the cross lines and the letters of the patient's sides."""

    def __init__(self) -> None:
        super().__init__()
        self._image: PlaneImage | None = None
        self._picture = QImage()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(HEIGHT)

    def sizeHint(self) -> QSize:
        """Half of the strip."""
        return QSize(HEIGHT, HEIGHT)

    def show_plane(self, image: PlaneImage | None, colour: str) -> None:
        """Show a picture; None for an empty one."""
        self._image = image
        if image is not None:
            self._picture = _coloured(image, QColor(colour))
            self.setAccessibleName(f"{image.title} picture of the selected lesion")
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Draw the picture."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor("black"))
        image = self._image
        if image is not None:
            place = self._place(image)
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
            painter.drawImage(place, self._picture)
            self._draw_cross(painter, image, place)
            self._draw_letters(painter, image)
        painter.end()

    def _place(self, image: PlaneImage) -> QRectF:
        rows, columns = image.grey.shape
        high, wide = rows * image.spacing_mm[0], columns * image.spacing_mm[1]
        scale = min(self.height() / high, self.width() / wide)
        size = (wide * scale, high * scale)
        return QRectF((self.width() - size[0]) / 2, (self.height() - size[1]) / 2, *size)

    def _draw_cross(self, painter: QPainter, image: PlaneImage, place: QRectF) -> None:
        rows, columns = image.grey.shape
        y = place.top() + (image.cross[0] + 0.5) / rows * place.height()
        x = place.left() + (image.cross[1] + 0.5) / columns * place.width()
        painter.setPen(QPen(QColor(AXES), 1, Qt.PenStyle.DotLine))
        painter.drawLine(QPointF(place.left(), y), QPointF(place.right(), y))
        painter.drawLine(QPointF(x, place.top()), QPointF(x, place.bottom()))

    def _draw_letters(self, painter: QPainter, image: PlaneImage) -> None:
        area = self.rect().adjusted(TEXT_MARGIN, TEXT_MARGIN, -TEXT_MARGIN, -TEXT_MARGIN)
        top, bottom = Qt.AlignmentFlag.AlignTop, Qt.AlignmentFlag.AlignBottom
        left, right = Qt.AlignmentFlag.AlignLeft, Qt.AlignmentFlag.AlignRight
        for text, where in ((image.title, top | left), (image.left, bottom | left), (image.right, bottom | right)):
            box = painter.boundingRect(area, where, text).adjusted(-TEXT_MARGIN, 0, TEXT_MARGIN, 0)
            painter.fillRect(box, SHADE)
            painter.setPen(QColor("white"))
            painter.drawText(area, where, text)


class PlanesPanel(QCollapsible):
    """Strip of two pictures, folded where the window is low. Implements `PlanesView`."""

    def __init__(self) -> None:
        super().__init__(actions.PLANES.title)
        self.setDuration(0)
        self._chosen = False
        self.toggleButton().setToolTip(actions.PLANES.tool_tip)
        self.toggleButton().clicked.connect(self._on_click)
        self.setContentsMargins(0, 0, 0, 0)
        self.layout().setContentsMargins(0, 0, 0, 0)
        self.layout().setSpacing(0)
        strip = QWidget()
        layout = QHBoxLayout(strip)
        layout.setContentsMargins(0, 2, 0, 0)
        layout.setSpacing(4)
        self._canvases = (PlaneCanvas(), PlaneCanvas())
        for canvas in self._canvases:
            layout.addWidget(canvas)
        self.addWidget(strip)

    def show_planes(self, images: Sequence[PlaneImage], colour: str) -> None:
        """Show these pictures; none for no lesion."""
        for index, canvas in enumerate(self._canvases):
            canvas.show_plane(images[index] if index < len(images) else None, colour)

    def turn(self) -> None:
        """Fold or unfold, and stay so."""
        self._chosen = True
        self._show(not self.isExpanded())

    def follow_height(self, height: int) -> None:
        """Unfold in a high dock and fold in a low one, until the user chooses."""
        if not self._chosen and self.isExpanded() != (height >= ROOMY_DOCK):
            self._show(height >= ROOMY_DOCK)

    def _show(self, unfolded: bool) -> None:
        if unfolded:
            self.expand(animate=False)
        else:
            self.collapse(animate=False)

    def _on_click(self, _checked: bool) -> None:
        self._chosen = True


def _coloured(image: PlaneImage, colour: QColor) -> QImage:
    """Grey picture with the outline in a colour, each pixel 32 bit."""
    pixels = np.repeat(image.grey[..., None], 4, axis=2)
    pixels[..., 3] = 255
    pixels[image.outline] = (colour.blue(), colour.green(), colour.red(), 255)
    rows, columns = image.grey.shape
    return QImage(pixels.tobytes(), columns, rows, 4 * columns, QImage.Format.Format_RGB32).copy()
