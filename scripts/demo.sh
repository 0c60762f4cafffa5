#!/usr/bin/env bash
# The whole of DynaSeg: train through mim on sample data without labels, test against them, draw; then
# segment two real photographs.
set -euo pipefail
cd "$(dirname "$0")/.."
export PYTHONWARNINGS=ignore OMP_NUM_THREADS=${OMP_NUM_THREADS:-$(nproc)}
config=configs/dynaseg/fsf_plain-cnn_100_sample.py
out=work_dirs/demo

run() {  # run LOG COMMAND...: show the end of the log where the command fails
    local log=$1
    shift
    echo "+ $*"
    "$@" >"$log" 2>&1 || { tail -n 40 "$log" >&2 && echo "error: failed; the log is $log" >&2 && exit 1; }
}

rm -rf "$out" && mkdir -p "$out"
run "$out/data.log" python tools/make_sample_data.py --out data/sample
run "$out/untrained.log" mim test dynaseg "$config" --checkpoint scratch:// --gpus 1 \
    --eval mIoU --work-dir "$out/untrained"
run "$out/train.log" mim train dynaseg "$config" --gpus 1 --seed 0 --work-dir "$out/train"
run "$out/trained.log" mim test dynaseg "$config" --checkpoint "$out/train/latest.pth" --gpus 1 \
    --eval mIoU --work-dir "$out/trained" --show-dir "$out/overlays"
photographs=$(python -c 'import sklearn.datasets as d; print(d.__path__[0])')/images
run "$out/photographs.log" python tools/segment.py "$photographs" --out-dir "$out/photographs" --overwrite

table() { sed -n '/^Summary/,/^matched/p' "$1"; }
echo
echo "Untrained network:"
table "$out/untrained.log"
echo
echo "Trained on 64 unlabelled images:"
table "$out/trained.log"
echo
echo "The clusters of the validation images are drawn in $out/overlays"
echo "Two photographs and what was found in them: open $out/photographs/index.html"
