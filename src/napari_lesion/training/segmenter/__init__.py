"""Training of a segmentation network on anybody's cases: datalist and configuration in, MONAI bundle out."""
