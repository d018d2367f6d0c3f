#!/usr/bin/env bash
# What a compiler does not check: who includes whom, banned calls, dead files, stray text.
#
#   tests/tidy.sh              checks the tree; prints "path:line: what is wrong"
#   tests/tidy.sh --self-test  plants each violation in a copy and sees that it is caught
#
# The tables below are the rules. Each check is a function of its own over files found below the
# current directory, so that the self-test can run it in a copy.
set -euo pipefail
shopt -s inherit_errexit # a check that breaks must not look clean
export LC_ALL=C.UTF-8

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")

# -- rules --

# folder: the folders whose headers it may include. Down only; programs never each other's.
layers="
lib/base     base
lib/tlog     base tlog
lib/record   base tlog record
lib/evidence base tlog record evidence
lib/store    base tlog record evidence store
lib/net      base tlog record evidence net
lib/client   base tlog record evidence store net client courtroll
include/courtroll  courtroll
logd         base tlog record evidence store net client courtroll logd
witness      base tlog record evidence store net client courtroll witness
monitor      base tlog record evidence store net client courtroll monitor
cli          base tlog record evidence store net client courtroll cli
"

# header (a prefix, as written between <> or quotes): where it may show (extended regex on the path).
# A folder that is not in `layers` (tests, bench) may include anything.
libraries="
leveldb/         ^lib/store/
openssl/         ^(lib/base/(crypto|ml_dsa)[a-z_]*[.]c|lib/net/(tls|bastion)[a-z_]*[.][ch])$
nghttp2/         ^lib/net/bastion[a-z_]*[.][ch]$
p11-kit/         ^lib/store/hsm[a-z_]*[.][ch]$
grpc/            ^lib/net/rpc[a-z_]*[.][ch]$
uv.h             ^(lib/net/|(logd|witness|monitor|cli)/(daemon|driver[a-z_]*|publisher|[a-z_]*service)[.][ch]$)
llhttp.h         ^lib/net/http[a-z_]*[.][ch]$
curl/            ^lib/(net|client)/
uninorm.h        ^lib/record/text[.]c$
unistr.h         ^lib/record/text[.]c$
ini.h            ^lib/base/config[.]c$
protobuf-c/      ^(lib/record/operation[a-z_]*|lib/net/rpc[a-z_]*|[a-z_/]*service[a-z_]*|lib/client/[a-z_]*rpc[a-z_]*)[.][ch]$
jansson.h        ^(lib/record/(draft|payload|disclosure)[a-z_]*[.][ch]|lib/client/|logd/|witness/|monitor/|cli/)
zlib.h           ^lib/(store|client)/
libsmartcols/    ^cli/
qrencode.h       ^cli/deposit_qr[.]c$
cairo            ^cli/deposit_pdf[.]c$
pango/           ^cli/deposit_pdf[.]c$
systemd/         ^(logd|witness|monitor)/
"
generated='^(lib/record/operation[a-z_]*|lib/net/rpc[a-z_]*|[a-z_/]*service[a-z_]*|lib/client/[a-z_]*rpc[a-z_]*)[.][ch]$'

# call: instead of it.
banned="
strcpy     struct buf, or memcpy with a checked length
strcat     struct buf
strncpy    memcpy with a checked length
strncat    struct buf
sprintf    snprintf or buf_putf
vsprintf   vsnprintf
gets       file_read
atoi       decimal_parse
atol       decimal_parse
atoll      decimal_parse
atof       decimal_parse
strtok     span_take_until
rand       crypto_random
srand      crypto_random
system     nothing: no shell is started
popen      nothing: no shell is started
alloca     an array with a fixed bound, or mem_alloc
"
allocator="malloc calloc realloc strdup strndup" # lib/base/alloc.c only: base/alloc.h
# Bytes in, bytes out: these folders neither look at the clock nor at the world.
pure_folders="lib/tlog lib/record lib/evidence"
impure="time clock_gettime gettimeofday open openat fopen read write recv send socket getenv printf
        crypto_random log_event sleep usleep nanosleep"

# -- finding files. Not from git: a copy, or a tree of another owner, is checked the same. --

find_files() {
    find . \( -name .git -o -name .cache -o -path './build*' -o -path ./run \
        -o -name node_modules -o -name __pycache__ \) -prune -o -type f "$@" -print |
        sed 's|^\./||' | sort
}

c_files() {
    find_files -name '*.[ch]'
}

# Text that we wrote: not licences, and not vectors, which are what others made.
text_files() {
    find_files ! -name LICENSE ! -path './tests/vectors/*' ! -path './tests/fuzz/corpus/*' \
        ! -name '*.png' ! -name '*.ico' ! -name '*.woff2' ! -name '*.gz' ! -name '*.bin'
}

# Drops comments and what is inside quotes, keeping the lines: prints "path:line:code".
code_of() {
    awk '
    FNR == 1 { comment = 0 }
    {
        out = ""
        n = length($0)
        for (i = 1; i <= n; i++) {
            two = substr($0, i, 2)
            c = substr($0, i, 1)
            if (comment) {
                if (two == "*/") { comment = 0; i++ }
            } else if (two == "/*") {
                comment = 1; i++; out = out " "
            } else if (two == "//") {
                break
            } else if (c == "\"" || c == "\047") {
                for (i++; i <= n && substr($0, i, 1) != c; i++)
                    if (substr($0, i, 1) == "\\") i++
                out = out c c
            } else
                out = out c
        }
        if (out !~ /^[ \t]*$/) print FILENAME ":" FNR ":" out
    }' "$@" /dev/null
}

# -- checks: each prints a line for every violation --

# Prints "path:line: text" for all includes of the files of `layers`: "path:line <quote>header".
includes() {
    local folders
    folders=$(awk 'NF { print $1 }' <<<"$layers")
    # shellcheck disable=SC2046,SC2086 # lists of folders
    grep -rnoE --include='*.[ch]' '^[[:space:]]*#[[:space:]]*include[[:space:]]*[<"][^>"]+' \
        $(find $folders -maxdepth 0 2>/dev/null) /dev/null |
        sed -E 's/:[[:space:]]*#[[:space:]]*include[[:space:]]*/ /'
}

check_layers() {
    includes | awk -v table="$layers" -v generated="$generated" '
    BEGIN {
        n = split(table, rows, "\n")
        for (i = 1; i <= n; i++) {
            m = split(rows[i], word, " ")
            for (j = 2; j <= m; j++) may[word[1], word[j]] = 1
            if (m > 0) known[word[1]] = 1
        }
    }
    {
        at = $1; header = substr($2, 2); quote = substr($2, 1, 1)
        path = at; sub(/:.*/, "", path)
        folder = path
        while (folder != "" && !(folder in known))
            if (!sub(/\/[^\/]*$/, "", folder)) folder = ""
        if (header ~ /\.pb-c\.h$/) {
            if (path !~ generated)
                print at ": generated protobuf (" header ") belongs to rpc and service files"
            next
        }
        if (quote == "<") next
        if (header !~ /^[a-z_]+\//) {
            print at ": include \"" header "\" does not name its layer"
            next
        }
        layer = header; sub(/\/.*/, "", layer)
        if (!((folder, layer) in may))
            print at ": " folder " must not include \"" header "\""
    }'
}

check_libraries() {
    includes | awk -v table="$libraries" '
    BEGIN {
        n = split(table, rows, "\n")
        for (i = 1; i <= n; i++)
            if (split(rows[i], word, " ") == 2) { prefix[++k] = word[1]; where[k] = word[2] }
    }
    {
        header = substr($2, 2)
        path = $1; sub(/:.*/, "", path)
        if (header ~ /\.pb-c\.h$/) next
        for (i = 1; i <= k; i++)
            if (index(header, prefix[i]) == 1 && path !~ where[i])
                print $1 ": <" header "> does not belong here"
    }'
}

# calls TABLE FILES...: prints the lines that call a function of the table, "name what-instead".
calls() {
    local table=$1
    shift
    if [ $# -eq 0 ]; then
        return
    fi
    code_of "$@" | awk -v table="$table" '
    BEGIN {
        n = split(table, rows, "\n")
        for (i = 1; i <= n; i++)
            if (split(rows[i], word, " ") > 1) {
                hint[word[1]] = rows[i]
                sub(/^ *[^ ]+ +/, "", hint[word[1]])
            }
    }
    {
        code = $0
        sub(/^[^:]*:[^:]*:/, "", code)
        before = ""
        while (match(code, /[A-Za-z_][A-Za-z0-9_]*[ \t]*\(/)) {
            name = substr(code, RSTART, RLENGTH - 1)
            sub(/[ \t]+$/, "", name)
            if (RSTART > 1) before = substr(code, RSTART - 1, 1)
            if (name in hint && before !~ /[A-Za-z0-9_.>]/) {
                split($0, part, ":")
                print part[1] ":" part[2] ": " name "() is not for here; use " hint[name]
            }
            before = "("
            code = substr(code, RSTART + RLENGTH)
        }
    }'
}

check_banned() {
    local files
    mapfile -t files < <(c_files)
    calls "$banned" "${files[@]}"
    mapfile -t files < <(c_files | grep -E '^(lib|logd|witness|monitor|cli)/' |
        grep -v '^lib/base/alloc[.]c$')
    # shellcheck disable=SC2086 # a list of names
    calls "$(printf '%s base/alloc.h\n' $allocator)" "${files[@]}"
}

check_pure() {
    local folder files
    for folder in $pure_folders; do
        mapfile -t files < <(c_files | grep "^$folder/")
        # shellcheck disable=SC2086 # a list of names
        calls "$(printf '%s an argument: this folder is pure\n' $impure)" "${files[@]}"
    done
}

# A .c must be compiled: by a glob of CMake, or by its name there. A .h must be included by
# something else than the .c that belongs to it: otherwise the module has no user.
check_dead() {
    local listed
    listed=$(cat CMakeLists.txt tests/CMakeLists.txt cmake/*.cmake bench/CMakeLists.txt 2>/dev/null ||
        true)
    {
        grep -rnoE --include='*.[ch]' '^[[:space:]]*#[[:space:]]*include[[:space:]]*"[^"]+' \
            --exclude-dir='build*' . | sed -E 's|^[.]/||; s/:[[:space:]]*#.*"/ /'
        c_files
    } | awk -v listed="$listed" '
    NF == 2 { # "path:line header"
        sub(/:.*/, "", $1)
        if ($1 == "lib/" own($2) || $1 == "include/" own($2) || $1 == own($2)) next
        used[$2] = 1
        next
    }
    { files[++n] = $1 }
    END {
        for (i = 1; i <= n; i++) {
            path = files[i]
            if (path ~ /[.]c$/) {
                if (path ~ /^(lib\/[^\/]+|logd|witness|monitor|cli)\/[^\/]+[.]c$/) continue
                if (path ~ /^tests\/(unit\/test_|sim\/sim_|fuzz\/fuzz_)[^\/]*[.]c$/) continue
                name = path
                sub(/.*\//, "", name)
                if (index(listed, name) == 0) print path ":1: no CMakeLists.txt compiles it"
            } else {
                header = path
                sub(/^(lib|include)\//, "", header)
                if (!(header in used)) print path ":1: nobody but its own .c includes it"
            }
        }
    }
    function own(header) {
        sub(/[.]h$/, ".c", header)
        return header
    }'
    local file
    while read -r file; do
        if [ -x "$file" ]; then
            continue
        fi
        case $(basename "$file")$(head -c 2 "$file") in
        test_* | *'#!') echo "$file:1: is not executable, so nothing runs it" ;;
        esac
    done < <(find_files -path './tests/integration/*')
}

check_marks() {
    local words
    words='TO''DO|FIX''ME|XX''X|HA''CK'
    text_files | tr '\n' '\0' | xargs -0 grep -nHIEw -- "$words" |
        sed -E 's/^([^:]*:[0-9]*):.*/\1: unfinished: finish it, or file an issue/' || true
}

check_blanks() {
    local tab=$'\t'
    text_files | tr '\n' '\0' | xargs -0 grep -nHIE -- "[ $tab]+\$" |
        sed -E 's/^([^:]*:[0-9]*):.*/\1: trailing blank/' || true
    text_files | grep -E '\.(c|h|proto|cmake|txt|sh|py|md|yml|html|css|js|mjs)$' | tr '\n' '\0' |
        xargs -0 grep -nHI -- "$tab" | sed -E 's/^([^:]*:[0-9]*):.*/\1: tab/' || true
}

check_shell() {
    text_files | tr '\n' '\0' | xargs -0 awk '
    function report() {
        if (is_shell && !is_strict) print name ":1: shell script without set -eu (or set -u)"
    }
    FNR == 1 {
        report()
        name = FILENAME
        is_shell = ($0 ~ /^#!.*[\/ ](ba)?sh( |$)/)
        is_strict = 0
    }
    is_shell && /^set -[a-z]*u/ { is_strict = 1 }
    END { report() }'
}

# A path that exists on one machine only, or a document that only some readers have.
check_paths() {
    local places
    places="(^|[^A-Za-z0-9_./-])/(wo""rk|ho""me|ro""ot|Us""ers)/|\.\./sha""red/[a-z]+\.md"
    text_files | tr '\n' '\0' | xargs -0 grep -nHIE -- "$places" |
        sed -E 's/^([^:]*:[0-9]*):.*/\1: a path of one machine/' || true
}

checks="layers libraries banned pure dead marks blanks shell paths"

run_checks() {
    local check
    for check in $checks; do
        "check_$check"
    done
}

# -- the self-test --

copy=
cases=0
wrong=0

copy_tree() {
    copy=$(mktemp -d)
    trap 'rm -rf "$copy"' EXIT
    (cd "$root" && find_files -size -512k | tar -cf - -T -) | tar -xf - -C "$copy"
}

# plant CHECK PATH EXPECTED...: stdin becomes that file, which must be new; the check must then say
# each EXPECTED about it.
plant() {
    local check=$1 path=$2 said expected
    shift 2
    put "$path"
    said=$(cd "$copy" && "check_$check" | grep -F "$path:" || true)
    for expected in "$@"; do
        cases=$((cases + 1))
        if ! grep -qF -- "$expected" <<<"$said"; then
            echo "not caught by check_$check: $path ($expected)"
            wrong=$((wrong + 1))
        fi
    done
    rm -f "$copy/$path"
}

# allow CHECK PATH [MODE]: stdin in that file is fine, and the check must not say anything about it.
allow() {
    local check=$1 path=$2 said
    put "$path" "${3:-644}"
    cases=$((cases + 1))
    said=$(cd "$copy" && "check_$check" | grep -F "$path:" || true)
    if [ -n "$said" ]; then
        echo "wrongly caught by check_$check: $said"
        wrong=$((wrong + 1))
    fi
    rm -f "$copy/$path"
}

put() {
    if [ -e "$copy/$1" ]; then
        echo "tidy self-test: $1 is in the tree" >&2
        exit 3
    fi
    mkdir -p "$(dirname "$copy/$1")"
    cat >"$copy/$1"
    chmod "${2:-644}" "$copy/$1"
}

self_test_includes() {
    local pair
    for pair in lib/base:tlog lib/tlog:store lib/tlog:net lib/record:store lib/store:net \
        lib/net:store lib/store:client lib/net:client lib/client:logd logd:witness \
        witness:monitor monitor:cli cli:logd lib/base:courtroll include/courtroll:base; do
        plant layers "${pair%:*}/planted.c" "must not include" <<<"#include \"${pair#*:}/x.h\""
    done
    plant layers lib/tlog/planted.h "does not name its layer" <<<'#include "tile.h"'
    plant layers logd/planted.c "does not name its layer" <<<'#include "../witness/x.h"'
    plant layers logd/planted.c "generated protobuf" <<<'#include "courtroll/v1/log.pb-c.h"'
    plant layers lib/tlog/planted.c "must not include" <<<'  #  include "net/http.h"'
    allow layers lib/net/rpc_planted.c <<<'#include "courtroll/v1/log.pb-c.h"'
    allow layers logd/planted_service.c <<<'#include "grpc/health/v1/health.pb-c.h"'
    allow layers logd/planted.c <<<'#include "store/journal.h"'

    plant libraries logd/planted.c "does not belong" <<<'#include <leveldb/c.h>'
    plant libraries lib/tlog/planted.c "does not belong" <<<'#include <openssl/evp.h>'
    plant libraries logd/planted_service.c "does not belong" <<<'#include <grpc/grpc.h>'
    plant libraries lib/store/planted.c "does not belong" <<<'#include <uv.h>'
    plant libraries logd/planted.c "does not belong" <<<'#include <uv.h>'
    plant libraries lib/net/planted.c "does not belong" <<<'#include <llhttp.h>'
    plant libraries logd/planted.c "does not belong" <<<'#include <curl/curl.h>'
    plant libraries logd/planted.c "does not belong" <<<'#include "ini.h"'
    plant libraries lib/tlog/planted.c "does not belong" <<<'#include <protobuf-c/protobuf-c.h>'
    plant libraries lib/base/planted.c "does not belong" <<<'#include <jansson.h>'
    plant libraries lib/tlog/planted.c "does not belong" <<<'#include <zlib.h>'
    plant libraries logd/planted.c "does not belong" <<<'#include <libsmartcols/libsmartcols.h>'
    plant libraries logd/planted.c "does not belong" <<<'#include <qrencode.h>'
    plant libraries lib/net/planted.c "does not belong" <<<'#include <systemd/sd-daemon.h>'
    allow libraries lib/store/planted.c <<<'#include <leveldb/c.h>'
    allow libraries logd/driver_planted.h <<<'#include <uv.h>'
}

self_test_calls() {
    local names
    names="$(awk '{ print $1 }' <<<"$banned") $allocator"
    # shellcheck disable=SC2046,SC2086 # lists of names
    plant banned cli/planted.c $(printf '%s() ' $names) < <(
        printf 'static void f(void) { x = %s (a); }\n' $names)
    # shellcheck disable=SC2046,SC2086
    plant pure lib/tlog/planted.c $(printf '%s() ' $impure) < <(printf '    %s(x);\n' $impure)
    plant banned tests/unit/planted.c "sprintf()" <<<'int n = sprintf(a, b);'
    allow banned cli/planted.c <<'END'
/* Not strcpy(a, b):
 * nor system(x). */
static void f(void) { puts("atoi(x)"); my_rand(1); db->system(2); t.random(3); mem_strdup(s); }
END
    plant pure lib/record/planted.c "time()" <<<"    time(x);"
}

self_test_text() {
    local blank=' ' tab=$'\t'
    plant dead tests/support/planted.c "no CMakeLists.txt" <<<'int x;'
    plant dead lib/base/sub/planted.c "no CMakeLists.txt" <<<'int x;'
    plant dead tests/unit/planted.c "no CMakeLists.txt" <<<'int x;'
    plant dead lib/base/planted.h "nobody" <<<'#define X 1'
    echo '#include "base/planted.h"' >"$copy/lib/base/planted.c"
    plant dead lib/base/planted.h "nobody" <<<'#define X 1' # its own .c is not a user
    echo '#include "base/planted.h"' >"$copy/logd/planted.c"
    allow dead lib/base/planted.h <<<'#define X 1'
    rm -f "$copy/lib/base/planted.c" "$copy/logd/planted.c"
    plant dead tests/integration/planted.sh "not executable" <<<'#!/bin/sh'
    plant dead tests/integration/test_planted.py "not executable" <<<'import os'
    allow dead tests/integration/planted.py <<<'import os'
    allow dead tests/integration/planted.sh 755 <<<'#!/bin/sh'
    for mark in TO"DO" FIX"ME" XX"X" HA"CK"; do
        plant marks lib/base/planted.c unfinished <<<"/* $mark: later */"
        plant marks docs/planted.md unfinished <<<"$mark"
    done
    plant blanks lib/base/planted.c "trailing blank" <<<"int x;$blank"
    plant blanks deploy/planted "trailing blank" <<<"x$tab"
    plant blanks lib/base/planted.c ": tab" <<<"${tab}int x;"
    plant blanks docs/planted.md ": tab" <<<"a${tab}b"
    plant shell deploy/planted "without set -eu" <<<'#!/usr/bin/env bash'
    plant shell tests/planted.sh "without set -eu" <<<'#!/bin/sh'
    allow shell tests/planted.sh <<<$'#!/bin/sh\nset -eu'
    allow shell tests/planted.py <<<'#!/usr/bin/env python3'
    for place in /wo"rk/x" /ho"me/someone/x" /ro"ot/x" /Us"ers/x"; do
        plant paths docs/planted.md "one machine" <<<"see $place"
        plant paths lib/base/planted.c "one machine" <<<"\"$place\""
    done
    plant paths docs/planted.md "one machine" <<<"see ../sha""red/x.md"
    allow paths docs/planted.md <<<"see a/wo""rk/b and /var/lib/courtroll"
}

self_test() {
    copy_tree
    self_test_includes
    self_test_calls
    self_test_text
    echo "tidy self-test: $cases cases, $wrong wrong"
    [ $cases -gt 0 ] && [ $wrong -eq 0 ]
}

case ${1:-} in
--self-test) self_test ;;
"")
    cd "$root"
    found=$(run_checks)
    if [ -n "$found" ]; then
        echo "$found"
        echo "tidy: $(wc -l <<<"$found") violations"
        exit 1
    fi
    echo "tidy: clean"
    ;;
*)
    echo "tests/tidy.sh: unknown argument $1" >&2
    exit 2
    ;;
esac
