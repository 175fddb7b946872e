#!/bin/sh
# Make dock.png again after a change of the dock or of the model: the demonstration on the real sample study.
set -e
cd "$(dirname "$0")/../.."
xvfb-run -a -s "-screen 0 1920x1080x24" python -m napari_lesion.demo --headless --sample lidc_0314_part --out build/picture
cp build/picture/screenshot.png docs/images/dock.png
