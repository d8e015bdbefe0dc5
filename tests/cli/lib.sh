# lib.sh - what the command-line tests are written in. Sourced by run.sh in a scratch folder that
# holds the files of make_models.c; $brim and $check are the programs.

failures=0

fail() {
    printf 'FAILED: %s\n  command: %s\n' "$1" "$last"
    sed 's/^/  stdout: /' out | head -20
    sed 's/^/  stderr: /' err | head -20
    failures=$((failures + 1))
}

# expect CODE COMMAND... - run it; its exit code must be CODE. Output is left in `out` and `err`.
expect() {
    want=$1
    shift
    last="$*"
    "$@" >out 2>err </dev/null
    code=$?
    [ "$code" -eq "$want" ] || fail "exit code $code, expected $want"
}

# A basic regular expression that some line of stdout / stderr must match.
stdout_has() { grep -q -e "$1" out || fail "stdout has no '$1'"; }
stderr_has() { grep -q -e "$1" err || fail "stderr has no '$1'"; }
stdout_is_empty() { [ ! -s out ] || fail "stdout is not empty"; }
stderr_is_empty() { [ ! -s err ] || fail "stderr is not empty"; }
# Errors are one line that begins with the program's name.
one_error() {
    [ "$(wc -l <err)" -eq 1 ] || fail "stderr has $(wc -l <err) lines, expected 1"
    stderr_has '^brim\(-check\)\{0,1\}: '
}
no_file() { [ ! -e "$1" ] || fail "$1 was left behind"; }
no_temporaries() {
    for f in *.tmp; do
        [ ! -e "$f" ] || fail "$f was left behind"
    done
}
