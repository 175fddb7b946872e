"""The last, full-resolution layers of a network with one output channel, computed at half resolution: same result.

A network that ends in a strided transposed convolution to one channel (MONAI's ``UNet`` does) computes its last
layers on one channel of full resolution, which a CPU cannot do in vectors: they took half of the time of the residual
UNet. A transposed convolution of stride s is an ordinary one with s³ times the channels, each a sub-grid of the
output, followed by interleaving them (sub-pixel convolution: Shi 2016, CVPR, doi:10.1109/CVPR.2016.207). Here the
interleaving is put off to the very end: normalisation, activation, addition and further convolutions work on the
sub-grids as channels. Weights are only moved, so that nothing but the order of summation changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
Size = Sequence[int]
Extent = tuple[list[int], list[int]]

SPATIAL = [2, 3, 4]


def fold_tail(model: Any, openvino: Any) -> bool:
    """Rewrite the end of an OpenVINO model of static shape in place; whether there was something to rewrite.

    Parameters
    ----------
    model
        ``openvino.Model`` of a three-dimensional network.
    openvino
        The module.

    Notes
    -----
    Only what follows the last transposed convolution to one channel is rewritten. A layer that is none of those
    known here gets its input interleaved, as it was, so that any network is left valid.
    """
    ops = openvino.opset13
    ordered = model.get_ordered_ops()
    lasts = [op for op in ordered if op.get_type_name() == "ConvolutionBackpropData"]
    if not lasts or not _foldable(lasts[-1]):
        return False
    tail = _Tail(ops, lasts[-1])
    for op in ordered:
        tail.visit(op)
    model.validate_nodes_and_infer_types()
    return True


def _foldable(op: Any) -> bool:
    """Whether this is a transposed convolution to one channel with constant weights, of an even stride pattern."""
    attributes, weights = op.get_attributes(), op.input_value(1).get_node()
    strides, shape = list(attributes["strides"]), list(op.output(0).get_shape())
    return bool(
        weights.get_type_name() == "Constant"
        and len(shape) == 5
        and shape[1] == 1
        and len(set(strides)) == 1
        and strides[0] > 1
        and set(attributes["dilations"]) == {1}
        and all(size % stride == 0 for size, stride in zip(shape[2:], strides, strict=True))
    )


class _Tail:
    """Folded twins of the outputs behind one transposed convolution.

    Parameters
    ----------
    ops
        Set of operations of OpenVINO.
    last
        The transposed convolution.
    """

    def __init__(self, ops: Any, last: Any) -> None:
        self._ops = ops
        self._stride = list(last.get_attributes()["strides"])
        self._folded = {_key(last.output(0)): self._transposed(last)}
        self._unfolded: dict[tuple[str, int], Any] = {}

    def visit(self, op: Any) -> None:
        """Make the twin of an operation whose input has one; else give it that input interleaved."""
        sources = [port.get_source_output() for port in op.inputs()]
        if not any(_key(source) in self._folded for source in sources):
            return
        twin = self._twin(op, sources)
        if twin is not None:
            self._folded[_key(op.output(0))] = twin.output(0)
            return
        for port, source in zip(op.inputs(), sources, strict=True):
            if _key(source) in self._folded:
                port.replace_source_output(self._interleaved(source))

    def _twin(self, op: Any, sources: list[Any]) -> Any:
        """The same operation on the sub-grids; None when it is not known here."""
        kind, first = op.get_type_name(), self._folded.get(_key(sources[0]))
        if kind == "Add":
            parts = [self._addend(source) for source in sources]
            return None if None in parts else self._ops.add(*parts)
        if first is None:
            return None
        if kind == "Relu":
            return self._ops.relu(first)
        second = _constant(sources[1]) if len(sources) > 1 else None
        if second is None:
            return None
        if kind == "PRelu" and second.size == 1:
            return self._ops.prelu(first, sources[1])
        if kind == "MVN" and second.tolist() == SPATIAL:
            stated = op.get_attributes()
            axes = self._ops.constant(np.array([1, *SPATIAL]))  # all sub-grids together are the one channel
            mode = stated["eps_mode"].lower()
            return self._ops.mvn(first, axes, stated["normalize_variance"], stated["eps"], mode)
        if kind == "Convolution":
            return self._convolution(op, first, second)
        return None

    def _addend(self, source: Any) -> Any:
        """A summand on the sub-grids: its twin, or a constant for the one channel."""
        if _key(source) in self._folded:
            return self._folded[_key(source)]
        constant = _constant(source)
        if constant is None or constant.size != 1:
            return None
        count = int(np.prod(self._stride))
        return self._ops.constant(np.full((1, count, 1, 1, 1), constant.item(), dtype=constant.dtype))

    def _convolution(self, op: Any, source: Any, weights: FloatArray) -> Any:
        """A convolution of one channel with itself."""
        stated = op.get_attributes()
        if weights.shape[:2] != (1, 1) or {*stated["strides"], *stated["dilations"]} != {1}:
            return None
        if list(op.output(0).get_shape()) != list(op.input_value(0).get_shape()):
            return None
        folded, (begin, end) = folded_weights(weights, self._stride, list(stated["pads_begin"]))
        return self._ops.convolution(source, self._ops.constant(folded), [1] * 3, begin, end, [1] * 3)

    def _transposed(self, op: Any) -> Any:
        """The transposed convolution itself."""
        weights = np.asarray(op.input_value(1).get_node().data, dtype=np.float32)
        folded, begin = subpixel_weights(weights, self._stride, list(op.get_attributes()["pads_begin"]))
        given, wanted = list(op.input_value(0).get_shape())[2:], list(op.output(0).get_shape())[2:]
        end = [
            size // stride + kernel - 1 - before - extent
            for size, stride, kernel, before, extent in zip(
                wanted, self._stride, folded.shape[2:], begin, given, strict=True
            )
        ]
        constant = self._ops.constant(folded)
        return self._ops.convolution(op.input_value(0), constant, [1] * 3, begin, end, [1] * 3).output(0)

    def _interleaved(self, source: Any) -> Any:
        key = _key(source)
        if key not in self._unfolded:
            node = self._ops.depth_to_space(self._folded[key], "depth_first", self._stride[0])
            self._unfolded[key] = node.output(0)
        return self._unfolded[key]


def subpixel_weights(weights: FloatArray, stride: Size, pad: Size) -> tuple[FloatArray, list[int]]:
    """Kernel of an ordinary convolution that gives the sub-grids of a transposed one as channels.

    Parameters
    ----------
    weights
        (in, out, z, y, x) of the transposed convolution.
    stride, pad
        Its stride, and the padding that it cuts off at the beginning.

    Returns
    -------
    tuple
        Kernel (out · prod(stride), in, z, y, x), and the padding at the beginning.

    Notes
    -----
    Output voxel s q + r takes input voxel q + d through the tap t = r + p - s d.
    """
    extents = [_reach(size, s, p) for size, s, p in zip(weights.shape[2:], stride, pad, strict=True)]
    taps = weights.transpose(2, 3, 4, 1, 0)
    size = [high - low + 1 for low, high in extents]
    folded = np.zeros((*stride, *size, *taps.shape[3:]), dtype=np.float32)
    for phase in product(*map(range, stride)):
        for offset in product(*(range(low, high + 1) for low, high in extents)):
            tap = tuple(r + p - s * d for r, p, s, d in zip(phase, pad, stride, offset, strict=True))
            if all(0 <= t < n for t, n in zip(tap, taps.shape, strict=False)):
                place = tuple(d - low for d, (low, _) in zip(offset, extents, strict=True))
                folded[phase + place] = taps[tap]
    kernel = folded.transpose(6, 0, 1, 2, 7, 3, 4, 5).reshape(-1, weights.shape[0], *size)
    return kernel, [-low for low, _ in extents]


def _reach(size: int, stride: int, pad: int) -> tuple[int, int]:
    """Lowest and highest offset of the input that any tap of a transposed convolution reaches."""
    offsets = [(r + pad - t) // stride for r in range(stride) for t in range(size) if (r + pad - t) % stride == 0]
    return min(offsets), max(offsets)


def folded_weights(weights: FloatArray, stride: Size, pad: Size) -> tuple[FloatArray, Extent]:
    """Kernel that a convolution of one channel with itself has between the sub-grids.

    Parameters
    ----------
    weights
        (1, 1, z, y, x); stride 1.
    stride
        Voxels between neighbours of one sub-grid.
    pad
        Padding at the beginning.

    Returns
    -------
    tuple
        Kernel (prod(stride), prod(stride), z, y, x), and the padding at beginning and end.
    """
    extents = [(-p // s, (s - 1 + n - 1 - p) // s) for n, s, p in zip(weights.shape[2:], stride, pad, strict=True)]
    folded = np.zeros((*stride, *stride, *(high - low + 1 for low, high in extents)), dtype=np.float32)
    for phase in product(*map(range, stride)):
        for tap in product(*map(range, weights.shape[2:])):
            voxel = [r + t - p for r, t, p in zip(phase, tap, pad, strict=True)]
            other = (v % s for v, s in zip(voxel, stride, strict=True))
            place = (v // s - low for v, s, (low, _) in zip(voxel, stride, extents, strict=True))
            folded[*phase, *other, *place] += weights[0, 0, *tap]
    count = int(np.prod(stride))
    kernel = folded.reshape(count, count, *folded.shape[6:])
    return kernel, ([-low for low, _ in extents], [high for _, high in extents])


def _constant(output: Any) -> npt.NDArray[Any] | None:
    """Values of a constant; None when it is none."""
    node = output.get_node()
    return np.asarray(node.data) if node.get_type_name() == "Constant" else None


def _key(output: Any) -> tuple[str, int]:
    return output.get_node().get_friendly_name(), output.get_index()
