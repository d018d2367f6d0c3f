#include "witness/state_options.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char help[] =
    "usage: courtroll-witness state show --data-dir DIR [--mark-path FILE] [--logs FILE] [--json]\n"
    "       courtroll-witness state adopt --data-dir DIR [--mark-path FILE]\n"
    "              (--logs FILE | --policy FILE) (--note FILE | --origin ORIGIN)\n"
    "              [--proof FILE]... [--key FILE]...\n"
    "       courtroll-witness state trust-mark --data-dir DIR (--mark-path FILE | --without-mark)\n"
    "\n"
    "What this witness has cosigned last, for each log. Stop courtroll-witness first: the store "
    "has\n"
    "one user at a time. Run it as the user that the witness runs as.\n"
    "\n"
    "show        the size, root and time held, the mark, and a note that shows the state to be "
    "old.\n"
    "            Changes nothing.\n"
    "adopt       makes a newer note the state of its log, after a backup was restored. Forward "
    "only.\n"
    "            The note needs the log's valid signature, and our own valid cosignature or, with\n"
    "            --policy, a quorum of the other witnesses; and a proof that it extends each of "
    "the\n"
    "            stored state, the mark and the refused note that is smaller. With --origin, the "
    "note\n"
    "            that the witness refused to sign over is taken, from its own store.\n"
    "            What cannot be adopted so is lost: retire the key, and begin with a new one.\n"
    "trust-mark  says that the mark file was lost while the store is the newest: makes a new one "
    "from\n"
    "            the store. --without-mark: this store has no mark file from now on. A mark that "
    "is\n"
    "            ahead of the store stays, and so does the refusal.\n"
    "\n"
    "Options:\n"
    "  --data-dir DIR     the witness's data directory\n"
    "  --mark-path FILE   its mark file\n"
    "  --logs FILE        its file of logs: `log <vkey> [<url>]` lines\n"
    "  --policy FILE      a policy with the log and its other witnesses\n"
    "  --note FILE        the note to adopt\n"
    "  --origin ORIGIN    the log whose refused note to adopt\n"
    "  --proof FILE       consistency proof from one of those sizes to the note's: a base64 hash "
    "a\n"
    "                     line. Not needed from size 0. Repeatable\n"
    "  --key FILE         our vkey or key file; by default all that signed from this directory.\n"
    "                     Repeatable\n"
    "  --json             show: one JSON array\n"
    "  --help             this text\n"
    "\n"
    "Exit status: 0 done, 1 not adopted, 2 wrong usage, 3 could not read or write something.\n";

enum {
    OPTION_DATA_DIR = 256,
    OPTION_MARK_PATH,
    OPTION_LOGS,
    OPTION_POLICY,
    OPTION_NOTE,
    OPTION_ORIGIN,
    OPTION_PROOF,
    OPTION_KEY,
    OPTION_JSON,
    OPTION_WITHOUT_MARK,
    OPTION_HELP
};

static const struct option options[] = {
    { "data-dir", required_argument, NULL, OPTION_DATA_DIR },
    { "mark-path", required_argument, NULL, OPTION_MARK_PATH },
    { "logs", required_argument, NULL, OPTION_LOGS },
    { "policy", required_argument, NULL, OPTION_POLICY },
    { "note", required_argument, NULL, OPTION_NOTE },
    { "origin", required_argument, NULL, OPTION_ORIGIN },
    { "proof", required_argument, NULL, OPTION_PROOF },
    { "key", required_argument, NULL, OPTION_KEY },
    { "json", no_argument, NULL, OPTION_JSON },
    { "without-mark", no_argument, NULL, OPTION_WITHOUT_MARK },
    { "help", no_argument, NULL, OPTION_HELP },
    { NULL, 0, NULL, 0 },
};

static bool usage_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static bool usage_error(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fputs("courtroll-witness state: ", stderr);
    vfprintf(stderr, fmt, args);
    fputs("\nTry 'courtroll-witness state --help'.\n", stderr);
    va_end(args);
    return false;
}

static const char **single(struct state_options *out, int option)
{
    switch (option) {
    case OPTION_DATA_DIR:
        return &out->data_dir;
    case OPTION_MARK_PATH:
        return &out->mark_path;
    case OPTION_LOGS:
        return &out->logs;
    case OPTION_POLICY:
        return &out->policy;
    case OPTION_NOTE:
        return &out->note;
    case OPTION_ORIGIN:
        return &out->origin;
    default:
        return NULL;
    }
}

static bool add_file(const char **list, size_t *count, const char *path, const char *name)
{
    if (*count == STATE_FILES_MAX) {
        return usage_error("--%s is given more than %d times", name, STATE_FILES_MAX);
    }
    list[(*count)++] = path;
    return true;
}

static bool take(struct state_options *out, int option, const char *name)
{
    const char **value = single(out, option);
    if (value != NULL) {
        if (*value != NULL) {
            return usage_error("--%s is given twice", name);
        }
        *value = optarg;
        return true;
    }
    switch (option) {
    case OPTION_PROOF:
        return add_file(out->proofs, &out->proof_count, optarg, name);
    case OPTION_KEY:
        return add_file(out->keys, &out->key_count, optarg, name);
    case OPTION_JSON:
        out->is_json = true;
        return true;
    case OPTION_WITHOUT_MARK:
        out->is_without_mark = true;
        return true;
    default:
        return usage_error("unknown option, or one without its value");
    }
}

static bool take_verb(struct state_options *out, int argc, char **argv)
{
    static const char *const names[] = {
        [STATE_SHOW] = "show", [STATE_ADOPT] = "adopt", [STATE_TRUST_MARK] = "trust-mark"
    };
    if (argc - optind != 1) {
        return usage_error("one of show, adopt and trust-mark is needed");
    }
    for (size_t i = STATE_SHOW; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(argv[optind], names[i]) == 0) {
            out->verb = (enum state_verb)i;
            return true;
        }
    }
    return usage_error("%s is none of show, adopt and trust-mark", argv[optind]);
}

/* Options that belong to another verb are an error: what they ask for would not happen. */
static bool check(const struct state_options *o)
{
    bool is_adopt = o->verb == STATE_ADOPT;
    if (o->data_dir == NULL) {
        return usage_error("--data-dir is missing");
    }
    if (o->is_json && o->verb != STATE_SHOW) {
        return usage_error("--json is for show");
    }
    if (o->logs != NULL && o->verb == STATE_TRUST_MARK) {
        return usage_error("--logs is for show and adopt");
    }
    if (!is_adopt && (o->policy != NULL || o->note != NULL || o->origin != NULL ||
                      o->proof_count != 0 || o->key_count != 0)) {
        return usage_error("--policy, --note, --origin, --proof and --key are for adopt");
    }
    if (is_adopt && (o->logs == NULL) == (o->policy == NULL)) {
        return usage_error("adopt needs one of --logs and --policy");
    }
    if (is_adopt && (o->note == NULL) == (o->origin == NULL)) {
        return usage_error("adopt needs one of --note and --origin");
    }
    if (o->is_without_mark && o->verb != STATE_TRUST_MARK) {
        return usage_error("--without-mark is for trust-mark");
    }
    if (o->verb == STATE_TRUST_MARK && (o->mark_path != NULL) == o->is_without_mark) {
        return usage_error("trust-mark needs one of --mark-path and --without-mark");
    }
    return true;
}

bool state_options_read(struct state_options *out, int argc, char **argv)
{
    struct state_options read = { .verb = STATE_HELP };
    int option, index = 0;
    optind = 0; /* getopt begins anew */
    opterr = 0;
    while ((option = getopt_long(argc, argv, "", options, &index)) != -1) {
        if (option == OPTION_HELP) {
            fputs(help, stdout);
            *out = read;
            return true;
        }
        if (!take(&read, option, option == '?' ? "" : options[index].name)) {
            return false;
        }
    }
    if (!take_verb(&read, argc, argv) || !check(&read)) {
        return false;
    }
    *out = read;
    return true;
}
