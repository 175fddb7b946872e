#!/usr/bin/env bash
# Make the virtual environment VENV with the pinned versions and this checkout in it.
# Usage: environment.sh PYTHON VENV TORCH_VERSION [TORCH_INDEX]
set -euo pipefail

python=$1
venv=$2
torch=$3
index=${4:-}

if ! command -v "$python" >/dev/null; then
    echo "$python is not installed. Install it, or name another Python from 3.11 on: make PYTHON=python3.12 ..." >&2
    exit 1
fi

if [ ! -x "$venv/bin/pip" ]; then
    # Debian ships Python without ensurepip unless python3-venv is installed: let its pip put pip into the environment.
    "$python" -m venv "$venv" 2>/dev/null || {
        "$python" -m venv --clear --without-pip "$venv"
        "$python" -m pip --python "$venv/bin/python" install pip
    }
fi
pip=("$venv/bin/python" -m pip)

# torch comes first and alone, so that nothing else can choose another version or build of it.
if ! "${pip[@]}" show torch 2>/dev/null | grep -q "^Version: $torch\b"; then
    if [ -z "$index" ] || ! "${pip[@]}" install --no-deps --retries 1 --index-url "$index" "torch==$torch"; then
        "${pip[@]}" install -c constraints.txt "torch==$torch"
    fi
fi

# hatchling from the same pins builds the package: --no-build-isolation, else pip would fetch the newest one.
"${pip[@]}" install -c constraints.txt hatchling
"${pip[@]}" install -c constraints.txt --no-build-isolation -e ".[dev]"
