#!/usr/bin/env bash
# Are the system libraries that Qt and napari's canvas need on Linux there? Installs them when the user is
# root on Debian or Ubuntu; otherwise prints the command to type and ends with status 1.
set -euo pipefail

[ "$(uname -s)" = Linux ] || exit 0
ldconfig="$(command -v ldconfig || echo /sbin/ldconfig)" # not on the path of every user
[ -x "$ldconfig" ] || exit 0

# library that the loader must find : Debian package that brings it
needed="
libGL.so.1:libgl1
libEGL.so.1:libegl1
libglib-2.0.so.0:libglib2.0-0
libfontconfig.so.1:libfontconfig1
libdbus-1.so.3:libdbus-1-3
libxkbcommon-x11.so.0:libxkbcommon-x11-0
libxcb-cursor.so.0:libxcb-cursor0
libxcb-icccm.so.4:libxcb-icccm4
libxcb-keysyms.so.1:libxcb-keysyms1
libxcb-shape.so.0:libxcb-shape0
"

present="$("$ldconfig" -p)"
libraries=()
packages=()
for pair in $needed; do
    if ! grep -qF "${pair%%:*} " <<<"$present"; then
        libraries+=("${pair%%:*}")
        packages+=("${pair##*:}")
    fi
done

# Without a display the viewer runs on a virtual one; Xvfb brings the software renderer with it.
if [ -z "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ]; then
    if ! command -v Xvfb >/dev/null || ! command -v xvfb-run >/dev/null; then
        libraries+=(xvfb-run)
        packages+=(xvfb)
    fi
    if ! command -v xauth >/dev/null; then
        libraries+=(xauth)
        packages+=(xauth)
    fi
fi

[ "${#packages[@]}" -gt 0 ] || exit 0

if ! command -v apt-get >/dev/null; then
    echo "napari needs these system libraries, which are not installed: ${libraries[*]}" >&2
    echo "Install them with the package manager of your system, then run the same command again." >&2
    exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
    echo "napari needs these system libraries, which are not installed: ${libraries[*]}" >&2
    echo "Type this, then run the same command again:" >&2
    echo "    sudo apt-get update && sudo apt-get install -y --no-install-recommends ${packages[*]}" >&2
    exit 1
fi
echo "Installing system libraries for Qt: ${packages[*]}"
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}"
