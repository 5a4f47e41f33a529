#!/usr/bin/env bash
# Checks trainer and segmenter on this machine's GPU and writes a report: scripts/gpu_check.sh [--world ROOT] [--report gpu.md].
# Needs no network; its parts end after 225 seconds. PYTHON names the interpreter; by default that of .venv, if there is one.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
export PYTHONPATH="$here/scripts:$here${PYTHONPATH:+:$PYTHONPATH}"
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$(nproc)} PYTHONUNBUFFERED=1
export CUBLAS_WORKSPACE_CONFIG=:4096:8 PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True
default=python3
[ -x "$here/.venv/bin/python" ] && default="$here/.venv/bin/python"
python=${PYTHON:-$default}
"$python" -c 'import torch' || { echo "set PYTHON to an interpreter with torch" >&2; exit 2; }
exec "$python" "$here/scripts/gpu_check.py" "$@"
