#!/bin/sh
# setup.sh - install what is missing: Debian packages from debian-packages.txt, and the pinned Python
# packages of tests/interop/requirements.txt into .venv. `--packages` does only the first, `--bench` also the
# packages of debian-packages-bench.txt.
set -eu
cd "$(dirname "$0")/.."

lists=cmake/debian-packages.txt
[ "${1:-}" != "--bench" ] || lists="$lists cmake/debian-packages-bench.txt"
missing=""
# shellcheck disable=SC2086
for package in $(sed 's/#.*//' $lists); do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q '^install ok installed' ||
        missing="$missing $package"
done
if [ -n "$missing" ]; then
    root=""
    [ "$(id -u)" = 0 ] || root="sudo"
    echo "installing:$missing"
    export DEBIAN_FRONTEND=noninteractive
    $root apt-get update -qq
    # shellcheck disable=SC2086
    $root apt-get install -y -qq --no-install-recommends $missing >/dev/null
fi
[ "${1:-}" != "--packages" ] || exit 0

wanted=tests/interop/requirements.txt
if [ -f "$wanted" ] && ! cmp -s "$wanted" .venv/installed.txt; then
    if python3 -m venv .venv >/dev/null 2>&1 &&
        .venv/bin/pip install -q --disable-pip-version-check -r "$wanted" >.venv/pip.log 2>&1; then
        cp "$wanted" .venv/installed.txt
    else
        echo "interoperability tests will be skipped: the Python packages of $wanted cannot be had"
    fi
fi
