# Completion in bash for courtroll, courtroll-logd, courtroll-witness and courtroll-monitor.
#
# Commands, words and flags are those that the program itself lists with --help, so that this file does
# not have to be changed with them. What a flag takes is told by its placeholder there: FILE, PATH and DIR
# are completed as files; a|b|c, and on|off, as these words.

# The program's --help for the words given.
_courtroll_help() {
    "${COMP_WORDS[0]}" "$@" --help 2>/dev/null </dev/null
}

# The first words of the indented lines below the heading $1, on stdin.
_courtroll_listed() {
    sed -n "/^$1:\$/,/^\$/s/^  \([a-z][a-z-]*\) .*/\1/p"
}

# The flags on stdin.
_courtroll_flags() {
    sed -n 's/^  \(--[a-z0-9-]*\).*/\1/p'
}

# What the flag $1 takes, by its line on stdin: its placeholder, or nothing.
_courtroll_placeholder() {
    sed -n "s/^  $1 \([^ ][^ ]*\).*/\1/p"
}

# Completes a value: $1 the flag, $2 its placeholder, $3 what is typed of it.
_courtroll_value() {
    case $1:$2 in
    --type:TYPE) mapfile -t COMPREPLY < <(compgen -W "log promise witness submitter monitor" -- "$3") ;;
    --wait:WHAT) mapfile -t COMPREPLY < <(compgen -W "durable witnessed" -- "$3") ;;
    --roles:*)
        mapfile -t COMPREPLY < <(compgen -W "enforcement case-management service evidence institution
            mediation supervision" -- "$3")
        ;;
    --cipher:*) mapfile -t COMPREPLY < <(compgen -W "aes-256-gcm sm4-gcm" -- "$3") ;;
    *:DIR | *:*DIRECTORY*)
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -d -- "$3")
        ;;
    *:*FILE* | *:*PATH* | *:P | *:*DIR* | *:ENTRY | *:PAYLOAD)
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$3")
        ;;
    *:[A-Za-z]*\|*) mapfile -t COMPREPLY < <(compgen -W "${2//|/ }" -- "$3") ;;
    esac
}

_courtroll() {
    local current=${COMP_WORDS[COMP_CWORD]} words=() help placeholder flag i
    COMPREPLY=()
    # Everything but flags in front of the cursor, as far as it names a command or one of its words.
    for ((i = 1; i < COMP_CWORD && i <= 2; i++)); do
        [[ ${COMP_WORDS[i]} == -* ]] && break
        words+=("${COMP_WORDS[i]}")
    done
    if [[ ${COMP_WORDS[0]##*/} == courtroll ]]; then
        if [[ ${#words[@]} -eq 0 ]]; then
            mapfile -t COMPREPLY < <(compgen -W "$(_courtroll_help | _courtroll_listed Commands) --help --version" -- "$current")
            return
        fi
        help=$(_courtroll_help "${words[0]}")
        if [[ $help == *$'\nWords:\n'* ]]; then
            if [[ ${#words[@]} -eq 1 ]]; then
                mapfile -t COMPREPLY < <(compgen -W "$(_courtroll_listed Words <<<"$help") --help" -- "$current")
                return
            fi
            help=$(_courtroll_help "${words[@]}")
        fi
    else
        # A daemon's own words, such as `state` of courtroll-witness, are flags without -- in its first place.
        help=$(_courtroll_help ${words[0]:+"${words[0]}"})
    fi
    flag=${COMP_WORDS[COMP_CWORD - 1]}
    # Bash takes = for a word of its own.
    if [[ $flag == = && COMP_CWORD -ge 2 ]]; then
        flag=${COMP_WORDS[COMP_CWORD - 2]}
    elif [[ $current == = ]]; then
        current=
    fi
    if [[ $flag == --* ]]; then
        placeholder=$(_courtroll_placeholder "$flag" <<<"$help")
        if [[ $placeholder =~ ^[A-Z].*|.*\|.* ]]; then
            _courtroll_value "$flag" "$placeholder" "$current"
            return
        fi
    fi
    if [[ $current == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_courtroll_flags <<<"$help")" -- "$current")
    else
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
    fi
}

complete -F _courtroll courtroll courtroll-logd courtroll-witness courtroll-monitor
