#include "cli/case.h"

#include "client/case_key_file.h"

#include <stdio.h>
#include <stdlib.h>

/* The number is the option's, or one line of stdin. */
static enum err_code make(const char *number, const char *path, struct err *err)
{
    struct case_key key = { .number = "" };
    struct buf line = BUF_INIT(CASE_KEY_FILE_BYTES_MAX);
    enum err_code rc = E_OK;
    if (strcmp(number, "-") == 0) {
        rc = command_read_file(&line, number, err);
        if (line.len > 0 && line.data[line.len - 1] == '\n') {
            line.len--;
        }
        if (rc == E_OK && memchr(buf_c_str(&line), 0, line.len) != NULL) {
            rc = err_set(err, E_MALFORMED, "case number: a control character");
        }
        number = buf_c_str(&line);
    }
    if (rc == E_OK) {
        rc = case_key_file_create(&key, path, number, err);
    }
    case_key_wipe(&key);
    crypto_wipe_buf(&line);
    return rc;
}

static int run(int argc, char **argv)
{
    struct output output = { 0 };
    const char *number = NULL, *path = NULL;
    const struct command_option options[] = {
        { .name = "case",
          .argument = "NUMBER",
          .help = "the case number; - reads it from stdin, unseen by other users",
          .text = &number,
          .is_required = true },
        { .name = "out",
          .argument = "FILE",
          .help = "where the key goes; never over an existing file",
          .text = &path,
          .is_required = true },
        COMMAND_OPTION_JSON(&output),
    };
    struct command_line line;
    int code = 0;
    if (!command_parse(&line, &case_new_key_command, options, COMMAND_COUNT(options), argc, argv,
                       &code)) {
        return code;
    }
    struct err err;
    if (make(number, path, &err) != E_OK) {
        return output_failed(&output, &err);
    }
    if (output.is_json) {
        json_t *object = json_object();
        json_object_set_new(object, "file", output_json_text(span_of_str(path)));
        output_json(object);
    } else {
        char *clean = output_clean(span_of_str(path));
        printf("made %s: whoever has it can tell which entries are of the case\n", clean);
        free(clean);
    }
    return OUTPUT_DONE;
}

const struct command case_new_key_command = {
    .name = "case new-key",
    .arguments = "--case NUMBER --out FILE",
    .summary = "make the key of a case",
    .text = "Writes the case number in its canonical form and 32 random bytes to FILE (mode\n"
            "0600). Entry tags and the pseudonyms inside the case are derived from it, so a case\n"
            "has one key for life; without it nobody can tell which entries belong together.\n",
    .examples = "courtroll case new-key --case '（2026）测0101执1号' --out case.key\n",
    .operands_max = 0,
    .run = run,
};
