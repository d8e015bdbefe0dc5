#!/bin/sh
# run.sh SCRIPT ARGUMENT... - a comparison with onnxruntime, or why that cannot be done.
set -u
python=$(cd "$(dirname "$0")" && pwd)/../../.venv/bin/python
if [ ! -x "$python" ] || ! "$python" -c 'import numpy, onnx, onnxruntime' 2>/dev/null; then
    echo "skipped: comparing with onnxruntime needs .venv with tests/interop/requirements.txt (make setup)"
    exit 77
fi
for argument; do
    case $argument in
    *-NOTFOUND)
        echo "skipped: needs qemu-x86_64 (Debian: qemu-user) on an x86-64 machine"
        exit 77
        ;;
    esac
done
exec "$python" "$@"
