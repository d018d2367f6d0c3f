#include "base/config.h"

#include "base/alloc.h"
#include "base/ascii.h"
#include "base/file.h"
#include "base/log.h"

#include <assert.h>
#include <getopt.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum source {
    SOURCE_FILE,
    SOURCE_FLAG,
    SOURCE_COUNT
};

/* The values that one source gave to one key. */
struct list {
    char **items; /* owned, and each of them */
    size_t count;
};

struct config {
    const struct config_schema *schema;
    struct list *lists[SOURCE_COUNT]; /* owned; one list a key */
};

struct config *config_new(const struct config_schema *schema)
{
    assert(schema->key_count > 0);
    assert(schema->key_count <= CONFIG_KEYS_MAX);
    struct config *config = NEW(struct config);
    config->schema = schema;
    for (int source = 0; source < SOURCE_COUNT; source++) {
        config->lists[source] = mem_calloc(schema->key_count, sizeof(struct list));
    }
    return config;
}

void config_free(struct config *config)
{
    if (config == NULL) {
        return;
    }
    for (int source = 0; source < SOURCE_COUNT; source++) {
        for (size_t k = 0; k < config->schema->key_count; k++) {
            struct list *list = &config->lists[source][k];
            for (size_t i = 0; i < list->count; i++) {
                mem_free(list->items[i]);
            }
            mem_free(list->items);
        }
        mem_free(config->lists[source]);
    }
    mem_free(config);
}

/* -- values -- */

static bool is_switch(struct span value)
{
    return span_is_str(value, "on") || span_is_str(value, "off");
}

/* HOST:PORT or unix:PATH, as far as the text shows. */
static bool is_address(struct span value)
{
    struct span unix_path = value;
    if (span_take_prefix(&unix_path, span_of_str("unix:"))) {
        return unix_path.len > 0;
    }
    size_t colon = span_find_last(value, span_of_str(":"));
    if (colon == SIZE_MAX || colon == 0) {
        return false;
    }
    struct span port = span_slice(value, colon + 1, value.len - colon - 1);
    uint64_t number = 0;
    struct err ignored;
    return decimal_parse(&number, port, UINT16_MAX, &ignored) == E_OK;
}

static bool is_choice(const char *choices, struct span value)
{
    struct span rest = span_of_str(choices);
    struct span choice;
    while (span_take_until(&rest, '|', &choice)) {
        if (span_is_equal(choice, value)) {
            return true;
        }
    }
    return span_is_equal(rest, value);
}

static enum err_code check_integer(const struct config_key *key, struct span value, struct err *err)
{
    uint64_t number = 0;
    if (decimal_parse(&number, value, UINT64_MAX, err) != E_OK) {
        return err_wrap(err, "%s", key->name);
    }
    if (number < key->least || number > key->most) {
        return err_set(err, E_MALFORMED, "%s: %llu is not in %llu..%llu", key->name,
                       (unsigned long long)number, (unsigned long long)key->least,
                       (unsigned long long)key->most);
    }
    return E_OK;
}

static enum err_code check_value(const struct config_key *key, struct span value, struct err *err)
{
    if (value.len == 0) {
        return err_set(err, E_MALFORMED, "%s: no value", key->name);
    }
    if (!utf8_is_valid(value)) {
        return err_set(err, E_MALFORMED, "%s: not UTF-8", key->name);
    }
    switch (key->kind) {
    case CONFIG_STRING:
    case CONFIG_PATH:
        return E_OK;
    case CONFIG_SWITCH:
        return is_switch(value) ? E_OK
                                : err_set(err, E_MALFORMED, "%s: %s is neither on nor off",
                                          key->name, log_quoted(value).text);
    case CONFIG_INTEGER:
        return check_integer(key, value, err);
    case CONFIG_ADDRESS:
        return is_address(value)
                   ? E_OK
                   : err_set(err, E_MALFORMED, "%s: %s is neither HOST:PORT nor unix:PATH",
                             key->name, log_quoted(value).text);
    case CONFIG_CHOICE:
        return is_choice(key->choices, value)
                   ? E_OK
                   : err_set(err, E_MALFORMED, "%s: %s is none of %s", key->name,
                             log_quoted(value).text, key->choices);
    }
    abort();
}

static enum err_code set_value(struct config *config, enum source source, size_t k,
                               struct span value, struct err *err)
{
    const struct config_key *key = &config->schema->keys[k];
    struct list *list = &config->lists[source][k];
    if (list->count > 0 && !key->is_repeatable) {
        return err_set(err, E_MALFORMED, "%s: given twice", key->name);
    }
    if (list->count == CONFIG_ITEMS_MAX) {
        return err_set(err, E_MALFORMED, "%s: over %d values", key->name, CONFIG_ITEMS_MAX);
    }
    enum err_code rc = check_value(key, value, err);
    if (rc != E_OK) {
        return rc;
    }
    list->items = mem_realloc(list->items, (list->count + 1) * sizeof *list->items);
    char *item = mem_alloc(value.len + 1);
    memcpy(item, value.data, value.len);
    item[value.len] = '\0';
    list->items[list->count++] = item;
    return E_OK;
}

/* -- names -- */

enum {
    NAME_BYTES_MAX = 64
}; /* longer words are not compared in full */

static size_t least_of(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;
    return least < c ? least : c;
}

/* Levenshtein's distance, of at most NAME_BYTES_MAX bytes of each. */
static size_t edit_distance(struct span a, struct span b)
{
    size_t row[NAME_BYTES_MAX + 1];
    a.len = a.len < NAME_BYTES_MAX ? a.len : NAME_BYTES_MAX;
    b.len = b.len < NAME_BYTES_MAX ? b.len : NAME_BYTES_MAX;
    for (size_t j = 0; j <= b.len; j++) {
        row[j] = j;
    }
    for (size_t i = 1; i <= a.len; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            size_t replaced = diagonal + (a.data[i - 1] != b.data[j - 1]);
            diagonal = row[j];
            row[j] = least_of(row[j] + 1, row[j - 1] + 1, replaced);
        }
    }
    return row[b.len];
}

static const char *nearest_name(const struct config_schema *schema, struct span name)
{
    const char *nearest = schema->keys[0].name;
    size_t least = SIZE_MAX;
    for (size_t k = 0; k < schema->key_count; k++) {
        size_t distance = edit_distance(name, span_of_str(schema->keys[k].name));
        if (distance < least) {
            least = distance;
            nearest = schema->keys[k].name;
        }
    }
    return nearest;
}

/* Index of the key, or SIZE_MAX. */
static size_t find_key(const struct config_schema *schema, struct span name)
{
    for (size_t k = 0; k < schema->key_count; k++) {
        if (span_is_str(name, schema->keys[k].name)) {
            return k;
        }
    }
    return SIZE_MAX;
}

static enum err_code unknown_key(const struct config_schema *schema, struct span name,
                                 struct err *err)
{
    return err_set(err, E_MALFORMED, "unknown key %s; the nearest one is \"%s\"",
                   log_quoted(name).text, nearest_name(schema, name));
}

/* -- the file. inih splits the lines; what it would silently misread is refused first. -- */

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

/* Whether a '#' or ';' follows a blank: inih cuts the value at the one and keeps the other. */
static bool has_inline_comment(struct span line)
{
    for (size_t i = 1; i < line.len; i++) {
        if ((line.data[i] == ';' || line.data[i] == '#') && is_blank(line.data[i - 1])) {
            return true;
        }
    }
    return false;
}

static bool has_control_character(struct span line)
{
    for (size_t i = 0; i < line.len; i++) {
        if ((line.data[i] < ' ' && line.data[i] != '\t') || line.data[i] == 0x7f) {
            return true;
        }
    }
    return false;
}

/* What is wrong with a line that is neither blank nor a comment; NULL if nothing is. */
static const char *line_fault(struct span line)
{
    if (is_blank(line.data[0])) {
        return "a setting starts in the first column";
    }
    if (line.data[0] == '[') {
        return "there are no sections";
    }
    if (line.data[0] == ';') {
        return "comments start with #";
    }
    size_t equals = span_find(line, span_of_str("="));
    size_t colon = span_find(line, span_of_str(":"));
    if (equals == SIZE_MAX || colon < equals) {
        return "not of the form key = value";
    }
    if (equals == 0) {
        return "no key before the =";
    }
    if (has_inline_comment(line)) {
        return "a comment has a line of its own; # or ; may not follow a blank";
    }
    return NULL;
}

static const char *scan_line(struct span line)
{
    if (line.len > CONFIG_LINE_BYTES_MAX) {
        return "over 180 bytes: give it as a flag, or shorten it";
    }
    if (has_control_character(line)) {
        return "a control character";
    }
    size_t blanks = 0;
    while (blanks < line.len && is_blank(line.data[blanks])) {
        blanks++;
    }
    if (blanks == line.len || line.data[0] == '#') {
        return NULL;
    }
    return line_fault(line);
}

/* Takes the next line, without its newline. */
static bool take_line(struct span *rest, struct span *line)
{
    if (rest->len == 0) {
        return false;
    }
    if (!span_take_until(rest, '\n', line)) {
        *line = *rest;
        rest->len = 0;
    }
    return true;
}

static enum err_code scan(const char *name, struct span bytes, struct err *err)
{
    struct span line;
    for (size_t number = 1; take_line(&bytes, &line); number++) {
        const char *fault = scan_line(line);
        if (fault != NULL) {
            return err_set(err, E_MALFORMED, "%s:%zu: %s", name, number, fault);
        }
    }
    return E_OK;
}

static_assert(CONFIG_LINE_BYTES_MAX < 198, "inih reads lines into 200 bytes, as packaged");

struct reader {
    struct config *config;
    const char *name;
    struct span rest;
    size_t line; /* number of the line read last */
    enum err_code rc;
    struct err *err;
};

/* fgets for inih: it does not tell its handler which line it is in. */
static char *read_line(char *out, int size, void *stream)
{
    struct reader *reader = stream;
    struct span line;
    if (!take_line(&reader->rest, &line)) {
        return NULL;
    }
    reader->line++;
    assert(size > CONFIG_LINE_BYTES_MAX + 1); /* scan() has seen to it that lines fit */
    memcpy(out, line.data, line.len);
    out[line.len] = '\n';
    out[line.len + 1] = '\0';
    return out;
}

/* inih calls this for every setting; 1 is success. The first error counts. */
static int on_setting(void *user, const char *section, const char *name, const char *value)
{
    (void)section;
    struct reader *reader = user;
    if (reader->rc != E_OK) {
        return 0;
    }
    const struct config_schema *schema = reader->config->schema;
    size_t k = find_key(schema, span_of_str(name));
    if (k == SIZE_MAX) {
        reader->rc = unknown_key(schema, span_of_str(name), reader->err);
    } else {
        reader->rc = set_value(reader->config, SOURCE_FILE, k, span_of_str(value), reader->err);
    }
    if (reader->rc != E_OK) {
        reader->rc = err_wrap(reader->err, "%s:%zu", reader->name, reader->line);
    }
    return reader->rc == E_OK;
}

enum err_code config_parse(struct config *config, const char *name, struct span bytes,
                           struct err *err)
{
    if (bytes.len > CONFIG_FILE_BYTES_MAX) {
        return err_set(err, E_MALFORMED, "%s: over %d bytes", name, CONFIG_FILE_BYTES_MAX);
    }
    enum err_code rc = scan(name, bytes, err);
    if (rc != E_OK) {
        return rc;
    }
    struct reader reader = { .config = config, .name = name, .rest = bytes, .err = err };
    int bad_line = ini_parse_stream(read_line, &reader, on_setting, &reader);
    if (reader.rc == E_OK && bad_line != 0) {
        return err_set(err, E_MALFORMED, "%s:%d: not of the form key = value", name, bad_line);
    }
    return reader.rc;
}

/* -- the command line -- */

enum {
    FLAG_CONFIG = CONFIG_KEYS_MAX,
    FLAG_HELP,
    FLAG_VERSION,
    FLAG_COUNT
};

/* Everything that the flags said besides values of keys. */
struct command_line {
    const char *file; /* of --config; NULL: none */
    bool wants_help;
    bool wants_version;
};

static void fill_options(struct option options[static FLAG_COUNT + 1],
                         const struct config_schema *schema)
{
    size_t n = 0;
    for (size_t k = 0; k < schema->key_count; k++) {
        options[n++] = (struct option){ schema->keys[k].name, required_argument, NULL, (int)k };
    }
    options[n++] = (struct option){ "config", required_argument, NULL, FLAG_CONFIG };
    options[n++] = (struct option){ "help", no_argument, NULL, FLAG_HELP };
    options[n++] = (struct option){ "version", no_argument, NULL, FLAG_VERSION };
    options[n] = (struct option){ NULL, 0, NULL, 0 };
}

/* The name in "--name" or "--name=value". */
static struct span flag_name(const char *argument)
{
    struct span name = span_of_str(argument);
    if (!span_take_prefix(&name, span_of_str("--"))) {
        return name;
    }
    size_t equals = span_find(name, span_of_str("="));
    return equals == SIZE_MAX ? name : span_slice(name, 0, equals);
}

static enum err_code take_flag(struct config *config, struct command_line *line, int flag,
                               struct err *err)
{
    switch (flag) {
    case FLAG_CONFIG:
        if (line->file != NULL) {
            return err_set(err, E_MALFORMED, "--config: given twice");
        }
        line->file = optarg;
        return E_OK;
    case FLAG_HELP:
        line->wants_help = true;
        return E_OK;
    case FLAG_VERSION:
        line->wants_version = true;
        return E_OK;
    default: {
        enum err_code rc = set_value(config, SOURCE_FLAG, (size_t)flag, span_of_str(optarg), err);
        return rc == E_OK ? E_OK : err_wrap(err, "command line");
    }
    }
}

static enum err_code parse_flags(struct config *config, struct command_line *line, int argc,
                                 char **argv, struct err *err)
{
    struct option options[FLAG_COUNT + 1];
    fill_options(options, config->schema);
    optind = 0; /* glibc: start afresh */
    int at = 1; /* index of the argument that getopt looks at: '+' keeps them in order */
    for (;;) {
        int which = 0;
        int flag = getopt_long(argc, argv, "+:", options, &which);
        if (flag == -1) {
            break;
        }
        struct span name = flag_name(argv[at]);
        /* getopt also takes any unique beginning of a name, which the next release may break. */
        if (flag == '?' || (flag != ':' && !span_is_str(name, options[which].name))) {
            unknown_key(config->schema, name, err);
            return err_wrap(err, "command line");
        }
        if (flag == ':') {
            return err_set(err, E_MALFORMED, "command line: %s needs a value",
                           log_quoted_str(argv[at]).text);
        }
        enum err_code rc = take_flag(config, line, flag, err);
        if (rc != E_OK) {
            return rc;
        }
        at = optind;
    }
    if (optind < argc) {
        return err_set(err, E_MALFORMED, "command line: unexpected argument %s",
                       log_quoted_str(argv[optind]).text);
    }
    return E_OK;
}

static enum err_code read_file(struct config *config, const char *name, struct err *err)
{
    struct buf bytes = BUF_INIT(CONFIG_FILE_BYTES_MAX);
    enum err_code rc = file_read(&bytes, name, err);
    if (rc == E_OK) {
        rc = config_parse(config, name, buf_span(&bytes), err);
    }
    buf_clear(&bytes);
    return rc;
}

static enum err_code check_required(const struct config *config, struct err *err)
{
    for (size_t k = 0; k < config->schema->key_count; k++) {
        const struct config_key *key = &config->schema->keys[k];
        if (key->is_required && !config_is_set(config, key->name)) {
            return err_set(err, E_MALFORMED,
                           "%s is not set: give --%s, or \"%s = \" in the file of --config",
                           key->name, key->name, key->name);
        }
    }
    return E_OK;
}

static void print_help(const struct config_schema *schema)
{
    struct buf help = BUF_INIT(64 * 1024);
    config_put_help(&help, schema);
    fwrite(help.data, 1, help.len, stdout);
    buf_clear(&help);
}

enum err_code config_load(struct config **out, enum config_outcome *outcome,
                          const struct config_schema *schema, int argc, char **argv,
                          struct err *err)
{
    struct command_line line = { 0 };
    struct config *config = config_new(schema);
    enum err_code rc = parse_flags(config, &line, argc, argv, err);
    if (rc != E_OK) {
        goto out;
    }
    if (line.wants_help || line.wants_version) {
        if (line.wants_help) {
            print_help(schema);
        } else {
            printf("%s %s\n%s", schema->program, COURTROLL_VERSION,
                   schema->build == NULL ? "" : schema->build);
        }
        *outcome = CONFIG_STOP;
        *out = NULL;
        goto out;
    }
    if (line.file != NULL) {
        rc = read_file(config, line.file, err);
    }
    if (rc == E_OK) {
        rc = check_required(config, err);
    }
    if (rc == E_OK) {
        *outcome = CONFIG_RUN;
        *out = config;
        config = NULL; /* the caller's now */
    }
out:
    config_free(config);
    return rc;
}

/* -- reading values -- */

static size_t key_index(const struct config *config, const char *name)
{
    size_t k = find_key(config->schema, span_of_str(name));
    assert(k != SIZE_MAX);
    return k;
}

/* The list that counts: the flags' if there is one. */
static const struct list *list_of(const struct config *config, size_t k)
{
    const struct list *flags = &config->lists[SOURCE_FLAG][k];
    return flags->count > 0 ? flags : &config->lists[SOURCE_FILE][k];
}

static const char *value_of(const struct config *config, const char *name)
{
    size_t k = key_index(config, name);
    assert(!config->schema->keys[k].is_repeatable);
    const struct list *list = list_of(config, k);
    return list->count > 0 ? list->items[0] : config->schema->keys[k].value;
}

const char *config_string(const struct config *config, const char *name)
{
    return value_of(config, name);
}

bool config_is_on(const struct config *config, const char *name)
{
    assert(config->schema->keys[key_index(config, name)].kind == CONFIG_SWITCH);
    const char *value = value_of(config, name);
    return value != NULL && strcmp(value, "on") == 0;
}

uint64_t config_integer(const struct config *config, const char *name)
{
    assert(config->schema->keys[key_index(config, name)].kind == CONFIG_INTEGER);
    const char *value = value_of(config, name);
    assert(value != NULL); /* an integer has a default or is required */
    uint64_t number = 0;
    struct err ignored;
    enum err_code rc = decimal_parse(&number, span_of_str(value), UINT64_MAX, &ignored);
    assert(rc == E_OK);
    return number;
}

size_t config_count(const struct config *config, const char *name)
{
    return list_of(config, key_index(config, name))->count;
}

const char *config_item(const struct config *config, const char *name, size_t i)
{
    const struct list *list = list_of(config, key_index(config, name));
    assert(i < list->count);
    return list->items[i];
}

enum err_code config_items(const char **out, size_t *count, size_t max, const char *name,
                           const struct config *config, struct err *err)
{
    size_t n = config_count(config, name);
    if (n > max) {
        return err_set(err, E_MALFORMED, "%s: %zu values, at most %zu", name, n, max);
    }
    for (size_t i = 0; i < n; i++) {
        out[i] = config_item(config, name, i);
        for (size_t k = 0; k < i; k++) {
            if (strcmp(out[k], out[i]) == 0) {
                return err_set(err, E_MALFORMED, "%s: %s is given twice", name, out[i]);
            }
        }
    }
    *count = n;
    return E_OK;
}

bool config_is_set(const struct config *config, const char *name)
{
    return config_count(config, name) > 0;
}
