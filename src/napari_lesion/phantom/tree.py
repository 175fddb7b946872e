"""Branching trees that fill a lung: arteries, veins and airways.

A tree is grown into a cloud of random points, each of which stands for one equal unit of lung to be
supplied, in the way of Tawhai, Pullan and Hunter (Ann Biomed Eng 2000, doi:10.1114/1.1289457): a branch
goes part of the way to the centroid of its points, the points are split in two, and each half gets a
branch of its own until one point is left. A branch carries a flow in proportion to its points, so that
Murray's law (PNAS 1926), radius cubed in proportion to flow, holds at every branching.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_lesion.phantom.space import Canvas, Field, Points, coverage

REACH = 0.3
"""Share of the way to the centroid of its points that a branch goes: the smaller, the more acute its forks."""
PERSISTENCE = 0.4
"""How much of its parent's direction a branch keeps."""

TURN, UNEVEN = 0.3, 0.45
"""How far the plane of a branching is turned (rad) and moved (standard deviations of the cloud) at random."""
BATCH = 4096


@dataclass(frozen=True, eq=False)
class Segments:
    """Straight branches.

    Parameters
    ----------
    starts, ends
        Their ends, (n, 3) LPS mm.
    start_radii, end_radii
        Radii at both ends, (n,) mm.
    """

    starts: Points
    ends: Points
    start_radii: npt.NDArray[np.float64]
    end_radii: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.starts)

    def select(self, keep: npt.NDArray[np.bool_]) -> Segments:
        """The branches of a mask (n,)."""
        return Segments(self.starts[keep], self.ends[keep], self.start_radii[keep], self.end_radii[keep])

    def joined(self, other: Segments) -> Segments:
        """The branches of both."""
        return Segments(
            np.concatenate([self.starts, other.starts]),
            np.concatenate([self.ends, other.ends]),
            np.concatenate([self.start_radii, other.start_radii]),
            np.concatenate([self.end_radii, other.end_radii]),
        )

    def distance(self, point: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Distance of one point (3,) to the wall of every branch, mm; negative inside."""
        axis = self.ends - self.starts
        offset = np.asarray(point, dtype=np.float64) - self.starts
        along = np.clip((offset * axis).sum(1) / np.maximum((axis * axis).sum(1), 1e-9), 0.0, 1.0)
        radius = self.start_radii + along * (self.end_radii - self.start_radii)
        distance: npt.NDArray[np.float64] = np.linalg.norm(offset - along[:, None] * axis, axis=1) - radius
        return distance


def grow_tree(root: npt.ArrayLike, radius: float, points: Points, rng: np.random.Generator) -> Segments:
    """Grow a tree from a root into a cloud of points.

    Parameters
    ----------
    root
        Where it begins, LPS mm.
    radius
        Radius of the first branch, mm.
    points
        Units to supply, (n, 3) LPS mm.
    rng
        Source of the small irregularities.

    Returns
    -------
    Segments
        All branches; at a branching the cubes of the children's radii add up to the parent's.
    """
    node = np.zeros(len(points), dtype=np.int64)
    begin, begin_radius = np.asarray(root, dtype=np.float64)[None, :], np.asarray([radius])
    ahead = np.zeros((1, 3))
    cube = radius**3 / len(points)
    found: list[Segments] = []
    while len(points):
        count = np.bincount(node)
        centre = np.stack([np.bincount(node, points[:, a]) for a in range(3)], axis=1) / count[:, None]
        reach = np.where(count == 1, 0.9, REACH * rng.uniform(0.7, 1.3, len(count)))
        step = centre - begin
        length = np.linalg.norm(step, axis=1, keepdims=True)
        bend = PERSISTENCE * length * ahead + rng.normal(0.0, 0.05, step.shape) * length
        step += bend * (count > 1)[:, None]
        step *= length / np.maximum(np.linalg.norm(step, axis=1, keepdims=True), 1e-9)
        end = begin + reach[:, None] * step
        end_radius = np.cbrt(cube * count)
        found.append(Segments(begin, end, np.minimum(begin_radius, 1.25 * end_radius), end_radius))
        points, node, parent = _split(points, node, count, centre, rng)
        ahead = (step / np.maximum(length, 1e-9))[parent]
        begin, begin_radius = end[parent], end_radius[parent]
    tree = found[0]
    for level in found[1:]:
        tree = tree.joined(level)
    return tree


def _split(
    points: Points,
    node: npt.NDArray[np.int64],
    count: npt.NDArray[np.int64],
    centre: Points,
    rng: np.random.Generator,
) -> tuple[Points, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Part the cloud of every node across about its longest axis; points, new node of each, parent of each node."""
    alive = count[node] > 1
    points, node = points[alive], node[alive]
    if not len(points):
        return points, node, node
    offset = points - centre[node]
    moments = [[np.bincount(node, offset[:, a] * offset[:, b], len(count)) for b in range(3)] for a in range(3)]
    principal = np.linalg.eigh(np.moveaxis(np.asarray(moments), 2, 0))[1]
    turn = rng.normal(0.0, TURN, (len(count), 1))
    across = np.cos(turn) * principal[:, :, 2] + np.sin(turn) * principal[:, :, 1]
    along = (offset * across[node]).sum(1)
    spread = np.sqrt(np.bincount(node, along * along, len(count)) / np.maximum(count, 1))
    cut = np.where(count > 3, rng.normal(0.0, UNEVEN, len(count)) * spread, 0.0)
    children, node = np.unique(2 * node + (along > cut[node]), return_inverse=True)
    return points, node, children // 2


def beside(tree: Segments, ratio: float, smallest: float, side: npt.ArrayLike) -> Segments:
    """A tree that runs alongside another one, as bronchi run with arteries.

    Parameters
    ----------
    tree
        The tree to go with.
    ratio
        Radius against its radius.
    smallest
        Branches of the tree that end thinner than this (mm) have no companion.
    side
        Direction (3,) in which the companion lies; both walls touch.
    """
    kept = tree.select(tree.end_radii >= smallest)
    direction = np.asarray(side, dtype=np.float64) / np.linalg.norm(side)
    gap = 1.0 + 1.25 * ratio
    return Segments(
        kept.starts + gap * kept.start_radii[:, None] * direction,
        kept.ends + gap * kept.end_radii[:, None] * direction,
        ratio * kept.start_radii,
        ratio * kept.end_radii,
    )


def render(canvas: Canvas, segments: Segments) -> Field:
    """Share of each voxel (0 to 1) that the branches fill.

    A tube thinner than a voxel gets the share of its true cross-section (the edge profile of width ``h`` has
    the area ``pi (r^2 + h^2/12)``, a thin one ``pi (r + h/2)^3 / (3 h)``), so that its mean HU is right.
    """
    share = np.zeros(canvas.grid.shape, dtype=np.float32)
    flat = share.reshape(-1)
    h = canvas.width
    pieces = _pieces(segments, 4.0 * h)
    reach = np.maximum(pieces.start_radii, pieces.end_radii) + 0.6 * h
    half = 0.5 * np.abs(pieces.ends - pieces.starts)
    spacing = np.asarray(canvas.axes.spacing)
    extent = np.ceil((half[:, ::-1] + reach[:, None]) / spacing).astype(int)
    for size in np.unique(extent, axis=0):
        group = pieces.select((extent == size).all(axis=1))
        for first in range(0, len(group), BATCH):
            part = group.select(np.isin(np.arange(len(group)), np.arange(first, first + BATCH)))
            index, values = _evaluate(canvas, part, size, h)
            np.maximum.at(flat, index, values)
    return share


def _pieces(segments: Segments, longest: float) -> Segments:
    """The same tubes cut into pieces not longer than ``longest`` mm."""
    axis = segments.ends - segments.starts
    count = np.maximum(np.ceil(np.linalg.norm(axis, axis=1) / longest).astype(int), 1)
    owner = np.repeat(np.arange(len(segments)), count)
    order = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
    low, high = order / count[owner], (order + 1) / count[owner]
    slope = segments.end_radii - segments.start_radii
    return Segments(
        segments.starts[owner] + low[:, None] * axis[owner],
        segments.starts[owner] + high[:, None] * axis[owner],
        segments.start_radii[owner] + low * slope[owner],
        segments.start_radii[owner] + high * slope[owner],
    )


def _evaluate(
    canvas: Canvas, part: Segments, extent: npt.NDArray[np.int64], h: float
) -> tuple[npt.NDArray[np.int64], Field]:
    """Flat voxel indices around each tube and the shares there."""
    shape = np.asarray(canvas.grid.shape)
    middle = np.rint(canvas.grid.to_index(0.5 * (part.starts + part.ends))).astype(int)
    window = np.stack(np.meshgrid(*[np.arange(-e, e + 1) for e in extent], indexing="ij"), axis=-1).reshape(-1, 3)
    index = middle[:, None, :] + window[None]
    inside = ((index >= 0) & (index < shape)).all(axis=2)
    owner, which = np.nonzero(inside)
    index = index[owner, which]
    first = part.starts.astype(np.float32)[owner]
    axis = (part.ends - part.starts).astype(np.float32)[owner]
    offset = canvas.grid.to_physical(index).astype(np.float32) - first
    along = np.clip((offset * axis).sum(1) / np.maximum((axis * axis).sum(1), 1e-9), 0.0, 1.0)
    radius = part.start_radii[owner] + along * (part.end_radii - part.start_radii)[owner]
    distance = np.linalg.norm(offset - along[:, None] * axis, axis=1) - radius
    thin = radius < h / 2
    true_area = radius**2 / np.where(thin, (radius + h / 2) ** 3 / (3 * h), radius**2 + h * h / 12)
    values = coverage(distance.astype(np.float32), h) * true_area.astype(np.float32)
    hit = values > 0
    flat: npt.NDArray[np.int64] = np.ravel_multi_index(tuple(index[hit].T), canvas.grid.shape)
    return flat, values[hit]
