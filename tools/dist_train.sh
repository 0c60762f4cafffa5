#!/usr/bin/env bash
# Train with several processes on this machine or on several:
#   tools/dist_train.sh CONFIG PROCESSES [ARGUMENTS OF train.py ...]
# NNODES, NODE_RANK, MASTER_ADDR and PORT describe a run over several machines.
set -euo pipefail
[ $# -ge 2 ] || { echo "usage: $0 CONFIG PROCESSES [ARGUMENTS OF train.py ...]" >&2 && exit 2; }
config=$1 processes=$2
python -m torch.distributed.run \
    --nnodes="${NNODES:-1}" --node_rank="${NODE_RANK:-0}" --nproc_per_node="$processes" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" --master_port="${PORT:-29500}" \
    "$(dirname "$0")/train.py" "$config" --launcher pytorch "${@:3}"
