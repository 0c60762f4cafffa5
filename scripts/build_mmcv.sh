#!/usr/bin/env bash
# Builds mmcv-full against the torch of the Python $1. $2: requirement, $3: 1 for CUDA kernels too, $4: CFLAGS.
set -euo pipefail
python=$1 requirement=$2 cuda=$3 cflags=$4
log=$(mktemp)
trap 'rm -f "$log"' EXIT

echo "Building $requirement against torch (6 to 12 minutes on 2 cores, once)"
[ -z "$cflags" ] || export CFLAGS=$cflags
# With a GPU in sight mmcv compiles CUDA kernels, which takes a matching CUDA toolkit.
[ "$cuda" = 1 ] || export CUDA_VISIBLE_DEVICES=
# pip's cache keys the wheel by mmcv's source, not by the torch it was compiled against: never reuse it.
if ! MMCV_WITH_OPS=1 "$python" -m pip install --no-cache-dir --no-build-isolation --no-deps -v "$requirement" >"$log" 2>&1; then
    tail -n 60 "$log" >&2
    echo "error: building $requirement failed; the end of the log is above" >&2
    exit 1
fi
"$python" -m pip install --quiet "$requirement"
"$python" -c 'import mmcv.ops' || { echo "error: $requirement was installed but its compiled operators do not import" >&2 && exit 1; }
