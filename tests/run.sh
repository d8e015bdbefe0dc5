#!/bin/sh
# run.sh BUILD - run every test of a build folder and end with "N passed, N failed, N skipped".
# A cmocka program counts by its test functions, any other test as one.
set -u
build=$1
log="$build/tests.log"
shift
ctest --test-dir "$build" --output-on-failure -V "$@" >"$log" 2>&1
status=$?
awk '
    /^[0-9]+: \[==========\] [0-9]+ test\(s\) run/ { counted[substr($1, 1, length($1) - 1)] = 1 }
    /^[0-9]+: \[  PASSED  \] [0-9]+ test/  { passed += $5 }
    /^[0-9]+: \[  SKIPPED \] [0-9]+ test/  { skipped += $5 }
    /^[0-9]+: \[  FAILED  \] [0-9]+ test/  { failed += $5 }
    /^ *[0-9]+\/[0-9]+ Test +#[0-9]+:/ {
        id = $0; sub(/.*Test +#/, "", id); sub(/:.*/, "", id)
        if (/Passed/) { if (!(id in counted)) passed++ }
        else if (/Skipped/) { skipped++; print "skipped: " $4 }
        else { if (!(id in counted)) failed++; print "FAILED: " $4 }
    }
    /skipped: / && /^[0-9]+: / { sub(/^[0-9]+: /, ""); print }
    END { printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped }
' "$log"
if [ $status -ne 0 ]; then
    grep -E '^[0-9]+: \[  (ERROR|LINE|FAILED) ' "$log" | head -50
    echo "the whole log: $log"
fi
exit $status
