# Sourced by .ci/run: how slow this machine is, what still fits into the time, and what was left out. SECONDS counts from
# the start. tests/deploy/test_ci.py tries every function.

# The whole may take 75 minutes of the 90 after which it is cut off: no machine gets more, a slow one does less in it.
BUDGET_SECONDS=${BUDGET_SECONDS:-4200}
SUITE_SECONDS=900   # `make test` on the reference machine, at most
LONG_SECONDS=900    # `make test-long`, likewise
RESERVE_SECONDS=120 # what is not begun any more with so little left
LEFT_OUT=()

# What Retort is made for, in order of worth: they run first where there is no time for everything.
CORE_NAMES=("THE METRIC, THE LOSSES, TRAINING" "THE STORE AND THE WORKER" "THE API AND THE CLIENT")
CORE=(
    "tests/quality tests/losses tests/recipes tests/layers tests/selection tests/training tests/run tests/models tests/data"
    "tests/store tests/worker tests/converter"
    "tests/api tests/client tests/embedded"
)

line=$(printf '!%.0s' {1..80})
unproven() { printf '\n%s\n  %s\n%s\n\n' "$line" "$1" "$line" >&2; }

# calibrate: measure the machine, for everything that is started from here. A RETORT_SLOWNESS that is given stays.
calibrate() {
    [ -n "${RETORT_SLOWNESS:-}" ] || MEASURES=1
    measure
    NPM_SECONDS=$(slow 100)
    export NPM_SECONDS
    echo "This machine takes $RETORT_SLOWNESS times as long as the reference machine; every limit of time is stretched by that."
}

# measure: again, since others come and go on a machine that is shared.
measure() {
    [ -n "${MEASURES:-}" ] || return 0
    RETORT_SLOWNESS=$(env -u RETORT_SLOWNESS python3 tests/slowness.py)
    export RETORT_SLOWNESS
}

# slow SECONDS: what takes so long on the reference machine takes here.
slow() { awk -v n="$1" -v by="${RETORT_SLOWNESS:-1}" 'BEGIN { printf "%d", n * by + 0.5 }'; }

left() { echo $((BUDGET_SECONDS - SECONDS)); } # of the time that all of this may take

leave_out() { # WHAT WHY
    unproven "$1 NOT TESTED: $2"
    LEFT_OUT+=("$1")
}

# limited SECONDS COMMAND...: 124 where it does not end in time.
limited() {
    local seconds=$1
    shift
    [ "$seconds" -gt 0 ] || return 124 # 0 would be no limit at all
    timeout --kill-after=60 "$seconds" "$@"
}

# long NAME SECONDS COMMAND...: run the command if as much time is left as it may take here, and say loudly where not;
# what then does not end hangs, and fails. Tests of processes and browsers race with the machine: one failure is run
# again, and said as loudly.
long() {
    local name=$1 needed status attempt limit
    measure
    needed=$(slow "$2")
    shift 2
    for attempt in first second; do
        status=0 limit=$(left)
        if [ "$limit" -lt "$needed" ]; then leave_out "$name" "it may need $needed s, $limit s are left."; return 0; fi
        limited "$limit" "$@" || status=$?
        if [ "$status" -eq 124 ]; then unproven "$name NOT OVER after $limit s."; return 1; fi
        [ "$status" -ne 0 ] || return 0
        unproven "$name TESTED, AND FAILED THE $attempt TIME (exit code $status): see above."
    done
    return "$status"
}

# suite TARGET PATHS: these tests of `make TARGET` ("" is all of them), within the time that is left. Where at most 3
# fail they are run once more, alone, and said as loudly. 124: they were not over in time.
suite() {
    local failed status=0
    rm -rf .pytest_cache
    limited "$(left)" make "$1" ARGS="$2" || status=$?
    if [ "$status" -eq 0 ] || [ "$status" -eq 124 ]; then return "$status"; fi
    failed=$(python3 -c 'import json; print(len(json.load(open(".pytest_cache/v/cache/lastfailed"))))') || return 1
    unproven "TESTS FAILED: $failed, see above."
    if [ "$failed" -eq 0 ] || [ "$failed" -gt 3 ]; then return 1; fi
    limited "$(left)" make "$1" ARGS="--last-failed --last-failed-no-failures none $2"
}

# tests: the suite, whole; in parts, the core's first, on a machine too slow for all of it. Fails where a part fails, or
# the core was not over.
tests() {
    if [ "$(left)" -ge "$(slow "$SUITE_SECONDS")" ]; then suite test ""; return; fi
    unproven "THIS MACHINE IS TOO SLOW FOR ALL TESTS: they may need $(slow "$SUITE_SECONDS") s, $(left) s are left. The core's run first."
    local part
    for part in "${!CORE[@]}"; do core "${CORE_NAMES[part]}" "${CORE[part]}" || return 1; done
    others
}

core() { # NAME PATHS
    local status=0
    if [ "$(left)" -lt "$RESERVE_SECONDS" ]; then leave_out "$1" "no time is left, and it belongs to the core."; return 1; fi
    suite test "$2" || status=$?
    [ "$status" -ne 124 ] || unproven "$1 NOT OVER in the time that was left, and it belongs to the core."
    return "$status"
}

others() {
    local status=0 each ignored=()
    for each in ${CORE[*]}; do ignored+=("--ignore=$each"); done
    if [ "$(left)" -lt "$RESERVE_SECONDS" ]; then leave_out "ALL TESTS BUT THE CORE'S" "no time is left."; return 0; fi
    suite test "tests ${ignored[*]}" || status=$?
    [ "$status" -eq 124 ] || return "$status"
    leave_out "SOME TESTS BEYOND THE CORE'S" "they were not over in the time that was left."
}

# whole_jobs: the tests of many seconds. Each has a limit of its own, so what is not over was not there in time, and is
# left out.
whole_jobs() {
    local name="WHOLE JOBS THROUGH THE SERVICE" status=0
    measure
    if [ "$(left)" -lt "$(slow "$LONG_SECONDS")" ]; then
        leave_out "$name" "they may need $(slow "$LONG_SECONDS") s, $(left) s are left."
        return 0
    fi
    suite test-long "" || status=$?
    [ "$status" -eq 124 ] || return "$status"
    leave_out "SOME OF $name" "they were not over in the time that was left."
}

# summary: what was left out, once more, as the last thing said.
summary() {
    local each
    [ ${#LEFT_OUT[@]} -gt 0 ] || return 0
    unproven "LEFT OUT ON THIS MACHINE (${RETORT_SLOWNESS:-1} times slower than the reference): ${#LEFT_OUT[@]}"
    for each in "${LEFT_OUT[@]}"; do echo "  * $each NOT TESTED" >&2; done
}
