/* config.h -- the configuration of a daemon: one table of keys, from which its file, its flags and
 * its --help are read.
 *
 * Every key may stand in the file of --config as "key = value" and on the command line as
 * --key VALUE or --key=VALUE. A flag overrides the file; a repeatable key given as a flag replaces
 * the file's list. An unknown key, and a second value for a key that is not repeatable, is an error.
 * The file has one setting a line, from the first column; a comment has a line of its own and
 * starts with '#'; there are no sections. Values come as they are written: no quotes, no escapes.
 * One owner; config_load is for the main thread at start, since getopt has global state.
 */
#ifndef BASE_CONFIG_H
#define BASE_CONFIG_H

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

enum {
    CONFIG_FILE_BYTES_MAX = 1024 * 1024,
    CONFIG_LINE_BYTES_MAX = 180, /* in the file: inih cuts longer ones; a flag has no such limit */
    CONFIG_KEYS_MAX = 128,
    CONFIG_ITEMS_MAX = 256, /* values of one repeatable key */
};

enum config_kind {
    CONFIG_STRING,  /* any text but "" */
    CONFIG_PATH,    /* likewise; relative to the working directory of the process */
    CONFIG_SWITCH,  /* "on" or "off" */
    CONFIG_INTEGER, /* decimal, least..most */
    CONFIG_ADDRESS, /* HOST:PORT or unix:PATH; whether there is such a host is for the listener */
    CONFIG_CHOICE,  /* one of `choices` */
};

struct config_key {
    const char *name; /* "data-dir": in the file; --data-dir on the command line */
    enum config_kind kind;
    const char *group; /* heading in --help, on the first key of the group; else NULL */
    const char *value; /* when it is not set; NULL: none. Not for a repeatable key */
    const char *help;  /* one or two sentences */
    bool is_required;
    bool is_repeatable;
    uint64_t least;       /* CONFIG_INTEGER */
    uint64_t most;        /* CONFIG_INTEGER */
    const char *choices;  /* CONFIG_CHOICE: "opaque|operation" */
    const char *argument; /* what --help calls the value; NULL: a word for its kind */
};

/* What a program says about itself; static, outlives every config made from it. */
struct config_schema {
    const char *program; /* "courtroll-logd" */
    const char *summary; /* one line */
    const struct config_key *keys;
    size_t key_count;    /* <= CONFIG_KEYS_MAX */
    const char *example; /* lines of --help, printed as they are; NULL: none */
    const char *notes;   /* a paragraph at the end of --help; NULL: none */
    const char *build;   /* lines of --version after the first, printed as they are; NULL: none */
};

struct config;

struct config *config_new(const struct config_schema *schema);
void config_free(struct config *config); /* NULL is fine */

/* Takes the settings of a file's bytes; `name` is for messages, which give the line too.
 * E_MALFORMED; the configuration may then hold some of the settings. Once per config.
 * Pure: nothing but its arguments. */
MUST_USE enum err_code config_parse(struct config *config, const char *name, struct span bytes,
                                    struct err *err);

enum config_outcome {
    CONFIG_RUN,  /* *out is complete: serve */
    CONFIG_STOP, /* --help or --version was answered on stdout: exit 0; *out is NULL */
};

/* Reads the command line and the file that it names, and checks that all required keys are there.
 * On E_OK the caller owns *out. Any error is for exit code 2; E_MALFORMED, E_NOT_FOUND, E_IO. */
MUST_USE enum err_code config_load(struct config **out, enum config_outcome *outcome,
                                   const struct config_schema *schema, int argc, char **argv,
                                   struct err *err);

/* Appends what --help prints. Requires room: 64 KiB is plenty. */
void config_put_help(struct buf *out, const struct config_schema *schema);

/* The value of a key of the schema: naming another, or one of the wrong kind, is a bug and aborts.
 * Strings are owned by the config. */
const char *config_string(const struct config *config, const char *name); /* NULL: not set */
bool config_is_on(const struct config *config, const char *name);         /* CONFIG_SWITCH */
uint64_t config_integer(const struct config *config, const char *name);   /* CONFIG_INTEGER */
/* Of a repeatable key: the number of values, and each in the order given. */
size_t config_count(const struct config *config, const char *name);
const char *config_item(const struct config *config, const char *name, size_t i);
/* All of them: E_MALFORMED over `max`, and for the same one twice. The texts are the config's. */
MUST_USE enum err_code config_items(const char **out, size_t *count, size_t max, const char *name,
                                    const struct config *config, struct err *err);
/* Whether the file or a flag set it, rather than the default. */
bool config_is_set(const struct config *config, const char *name);

#endif
