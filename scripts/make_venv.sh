#!/usr/bin/env bash
# Creates the virtual environment $1 with the first supported Python found ($PYTHON overrides).
set -euo pipefail
venv=$1

supported() { "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null; }

fail() {
    echo "error: $1" >&2
    exit 1
}

if [ -n "${PYTHON:-}" ]; then
    supported "$PYTHON" || fail "PYTHON=$PYTHON is not usable: DynaSeg needs Python 3.10, 3.11 or 3.12 (found: $("$PYTHON" --version 2>&1 || true))"
else
    for candidate in python3 python3.11 python3.10 python3.12; do
        if supported "$candidate"; then PYTHON=$candidate && break; fi
    done
    [ -n "${PYTHON:-}" ] ||
        fail "DynaSeg needs Python 3.10, 3.11 or 3.12; python3 is $(python3 --version 2>&1 || echo missing). Install one, or pass PYTHON=/path/to/python to make"
fi
compiler=${CXX:-c++}
command -v "$compiler" >/dev/null || fail "no C++ compiler ('$compiler') found: building mmcv-full needs one (Debian and Ubuntu: apt-get install g++)"
"$PYTHON" -c 'import ensurepip, venv' || fail "$PYTHON has no venv module (Debian and Ubuntu: apt-get install python3-venv python3-dev)"
"$PYTHON" -m venv "$venv"
