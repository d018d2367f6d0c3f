#include "cli/record.h"
#include "store/sealed_file.h"

#include <stdio.h>
#include <stdlib.h>

static int run(int argc, char **argv)
{
    struct output output = { 0 };
    const char *path = NULL;
    const struct command_option options[] = {
        { .name = "out",
          .argument = "FILE",
          .help = "where the key goes; never over an existing file",
          .text = &path,
          .is_required = true },
        COMMAND_OPTION_JSON(&output),
    };
    struct command_line line;
    int code = 0;
    if (!command_parse(&line, &record_new_key_command, options, COMMAND_COUNT(options), argc, argv,
                       &code)) {
        return code;
    }
    struct err err;
    if (sealed_key_create(path, &err) != E_OK) {
        return output_failed(&output, &err);
    }
    if (output.is_json) {
        json_t *object = json_object();
        json_object_set_new(object, "file", output_json_text(span_of_str(path)));
        output_json(object);
    } else {
        char *clean = output_clean(span_of_str(path));
        printf("made %s: whoever has it can read every payload kept under it\n", clean);
        free(clean);
    }
    return OUTPUT_DONE;
}

const struct command record_new_key_command = {
    .name = "record new-key",
    .arguments = "--out FILE",
    .summary = "make the key under which payloads are kept",
    .text = "Writes 32 random bytes in base64 to FILE (mode 0600).\n",
    .examples = "courtroll record new-key --out payload.key\n",
    .run = run,
};
