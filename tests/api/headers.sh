#!/bin/sh
# headers.sh SOURCE - every public header compiles alone: C99, C17, and C++11 where a C++ compiler is there.
set -eu
for header in "$1"/include/brim/*.h; do
    name=brim/$(basename "$header")
    for std in c99 c17; do
        echo "#include <$name>" |
            cc -std=$std -Wall -Wextra -Wpedantic -Werror -fsyntax-only -I"$1/include" -x c -
    done
    if command -v c++ >/dev/null; then
        echo "#include <$name>" | c++ -std=c++11 -Wall -Wextra -Werror -fsyntax-only -I"$1/include" -x c++ -
    fi
done
