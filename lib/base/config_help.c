/* What --help prints, from the table of keys. */
#include "base/config.h"

enum {
    HELP_COLUMNS = 80,
    HELP_INDENT = 6
};

static void put_wrapped(struct buf *out, const char *text, size_t indent)
{
    struct span rest = span_of_str(text);
    size_t column = 0;
    while (rest.len > 0) {
        struct span word;
        if (!span_take_until(&rest, ' ', &word)) {
            word = rest;
            rest.len = 0;
        }
        if (column > 0 && column + 1 + word.len > HELP_COLUMNS) {
            buf_put_str(out, "\n");
            column = 0;
        }
        buf_putf(out, "%*s", column == 0 ? (int)indent : 1, "");
        column += word.len + (column == 0 ? indent : 1);
        buf_put(out, word);
    }
    buf_put_str(out, "\n");
}

static const char *argument_word(const struct config_key *key)
{
    static const char *const words[] = {
        [CONFIG_STRING] = "TEXT", [CONFIG_PATH] = "PATH",         [CONFIG_SWITCH] = "on|off",
        [CONFIG_INTEGER] = "N",   [CONFIG_ADDRESS] = "HOST:PORT", [CONFIG_CHOICE] = NULL,
    };
    if (key->argument != NULL) {
        return key->argument;
    }
    return key->kind == CONFIG_CHOICE ? key->choices : words[key->kind];
}

static void put_key_help(struct buf *out, const struct config_key *key)
{
    struct buf text = BUF_INIT(8 * 1024);
    if (key->group != NULL) {
        buf_putf(out, "\n%s:\n", key->group);
    }
    buf_putf(out, "  --%s %s\n", key->name, argument_word(key));
    buf_put_str(&text, key->help);
    if (key->kind == CONFIG_INTEGER) {
        buf_putf(&text, " %llu..%llu.", (unsigned long long)key->least,
                 (unsigned long long)key->most);
    }
    if (key->is_repeatable) {
        buf_put_str(&text, " May be given more than once.");
    }
    if (key->is_required) {
        buf_put_str(&text, " Required.");
    } else if (key->value != NULL) {
        buf_putf(&text, " Default: %s.", key->value);
    }
    put_wrapped(out, buf_c_str(&text), HELP_INDENT);
    buf_clear(&text);
}

void config_put_help(struct buf *out, const struct config_schema *schema)
{
    buf_putf(out, "%s -- %s\n\n", schema->program, schema->summary);
    buf_putf(out, "usage: %s [--config FILE] [--KEY VALUE]...\n\n", schema->program);
    put_wrapped(out,
                "Each KEY below may also stand in FILE, as \"KEY = VALUE\" on a line of its own; "
                "lines that start with # are comments. A flag overrides the file. Relative paths "
                "are relative to the working directory.",
                0);
    for (size_t k = 0; k < schema->key_count; k++) {
        put_key_help(out, &schema->keys[k]);
    }
    buf_put_str(out, "\n  --help\n      This text.\n  --version\n      The version.\n");
    if (schema->example != NULL) {
        buf_putf(out, "\nExample:\n%s", schema->example);
    }
    if (schema->notes != NULL) {
        buf_put_str(out, "\n");
        put_wrapped(out, schema->notes, 0);
    }
}
