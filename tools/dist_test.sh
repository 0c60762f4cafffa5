#!/usr/bin/env bash
# Test with several processes on this machine or on several:
#   tools/dist_test.sh CONFIG CHECKPOINT PROCESSES [ARGUMENTS OF test.py ...]
# NNODES, NODE_RANK, MASTER_ADDR and PORT describe a run over several machines.
set -euo pipefail
[ $# -ge 3 ] ||
    { echo "usage: $0 CONFIG CHECKPOINT PROCESSES [ARGUMENTS OF test.py ...]" >&2 && exit 2; }
config=$1 checkpoint=$2 processes=$3
# As many threads as one process would have, or sums would differ in their last digits.
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$(nproc)}
python -m torch.distributed.run \
    --nnodes="${NNODES:-1}" --node_rank="${NODE_RANK:-0}" --nproc_per_node="$processes" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" --master_port="${PORT:-29500}" \
    "$(dirname "$0")/test.py" "$config" "$checkpoint" --launcher pytorch "${@:4}"
