/* state_options.h -- the command line of `courtroll-witness state`. Main thread: getopt has global state. */
#ifndef WITNESS_STATE_OPTIONS_H
#define WITNESS_STATE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

enum {
    STATE_FILES_MAX = 16, /* of one kind: proofs, keys */
    STATE_OK = 0,
    STATE_REFUSED = 1,
    STATE_USAGE = 2,
    STATE_FAILED = 3
};

enum state_verb {
    STATE_HELP, /* answered */
    STATE_SHOW,
    STATE_ADOPT,
    STATE_TRUST_MARK
};

struct state_options {
    enum state_verb verb;
    const char *data_dir; /* all borrowed from argv; NULL: not given */
    const char *mark_path;
    const char *logs;
    const char *policy;
    const char *note;
    const char *origin;
    const char *keys[STATE_FILES_MAX];
    size_t key_count;
    const char *proofs[STATE_FILES_MAX];
    size_t proof_count;
    bool is_json;
    bool is_without_mark;
};

/* False after a usage error, which was printed. */
bool state_options_read(struct state_options *out, int argc, char **argv);

#endif
