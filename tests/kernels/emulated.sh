#!/bin/sh
# emulated.sh CPU PROGRAM ARGUMENT... - run the program on an older x86 processor, where a newer instruction is an
# illegal one. Skipped (77) without qemu-user.
command -v qemu-x86_64 >/dev/null || {
    echo "skipped: an emulated $1 needs qemu-x86_64 (make setup)"
    exit 77
}
cpu=$1
shift
exec qemu-x86_64 -cpu "$cpu" "$@"
