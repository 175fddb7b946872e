"""Pre-processing as named steps, each a MONAI transform: image in, image out; nothing is ever changed in place."""
