#!/usr/bin/env bash
# Takes long.
# deploy/quickstart --once, twice on one directory: the second run goes on with what the first has left.
set -eu
state=$TMPDIR/quickstart
trap 'rm -rf "$state"' EXIT
for run in first second; do
    if ! "$COURTROLL_SOURCE/deploy/quickstart" --once --dir "$state" >"$TMPDIR/quickstart.$run" 2>&1; then
        tail -n 50 "$TMPDIR/quickstart.$run"
        echo "the $run run failed"
        exit 1
    fi
    for words in '^MISMATCH' 'COMPLETE AND CLOSED' 'refused: ' 'nothing sealed for too long' \
        '^quickstart: done'; do
        grep -q "$words" "$TMPDIR/quickstart.$run" || { echo "the $run run does not say $words"; exit 1; }
    done
done
