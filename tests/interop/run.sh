#!/bin/sh
# run.sh DUMP_VALUES BRIM DATA_DIR - compare with onnxruntime, or say why that cannot be done.
set -u
here=$(cd "$(dirname "$0")" && pwd)
python=$here/../../.venv/bin/python
if [ ! -x "$python" ] || ! "$python" -c 'import numpy, onnx, onnxruntime' 2>/dev/null; then
    echo "skipped: comparing with onnxruntime needs .venv with tests/interop/requirements.txt (make setup)"
    exit 77
fi
exec "$python" "$here/compare.py" "$@"
