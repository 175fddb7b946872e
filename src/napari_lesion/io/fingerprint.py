"""A hash that says whether two images hold the same voxels, whatever file format they lie in."""

from __future__ import annotations

import hashlib

import numpy as np

from napari_lesion.core.volume import Volume


def voxel_sha256(volume: Volume) -> str:
    """SHA-256 of size and values of an image, hexadecimal.

    Values are taken as little-endian float32, slice by slice in array order (z, y, x); grid and header do not count.
    So a copy under another name, compressed anew or in another format, has the same hash.
    """
    digest = hashlib.sha256(repr(volume.array.shape).encode())
    for plane in volume.array:
        digest.update(np.ascontiguousarray(plane, dtype="<f4").tobytes())
    return digest.hexdigest()
