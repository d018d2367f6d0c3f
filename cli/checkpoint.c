#include "tlog/checkpoint.h"

#include "cli/command.h"
#include "cli/verdict.h"
#include "client/log_fetch.h"

#include <stdio.h>
#include <stdlib.h>

static void print_note(struct span note)
{
    struct span line;
    printf("\n");
    while (span_take_until(&note, '\n', &line)) {
        char *clean = output_clean(line);
        printf("%s\n", clean);
        free(clean);
    }
}

static int judge(const struct output *output, const struct policy *policy, struct span note)
{
    struct policy_verdict checkpoint;
    struct err err;
    enum err_code rc = policy_open_checkpoint(policy, &checkpoint, note, &err);
    enum verdict verdict = verdict_of(rc, &checkpoint);
    if (rc != E_OK) {
        return verdict_fail(output, verdict, policy, &err);
    }
    if (output->is_json) {
        json_t *object = verdict_json(verdict, policy);
        verdict_put_checkpoint(object, policy, &checkpoint);
        verdict_put_times(object, policy, &checkpoint);
        json_object_set_new(object, "note",
                            json_stringn((const char *)note.data, note.len)); /* valid UTF-8 */
        output_json(object);
    } else {
        printf("%s\n", verdict_text(verdict, policy));
        verdict_print_checkpoint(policy, &checkpoint);
        print_note(note);
    }
    return verdict_exit_code(verdict);
}

static int run(int argc, char **argv)
{
    struct output output = { 0 };
    const char *log = NULL;
    const char *policy_path = NULL;
    struct log_address address = { 0 };
    const struct command_option options[] = {
        { .name = "log",
          .argument = "LOG",
          .help = "http(s)://..., HOST:PORT, unix:PATH or file:DIR",
          .text = &log,
          .is_required = true },
        { .name = "policy",
          .argument = "P",
          .help = "the policy: which log, and which witnesses are enough",
          .text = &policy_path,
          .is_required = true },
        COMMAND_OPTIONS_TLS(&address),
        COMMAND_OPTION_JSON(&output),
    };
    struct command_line line;
    int code = 0;
    if (!command_parse(&line, &checkpoint_command, options, COMMAND_COUNT(options), argc, argv,
                       &code)) {
        return code;
    }
    struct policy *policy = NULL;
    struct err err;
    if (log_address_parse(&address, log, &err) != E_OK) {
        return command_usage_error(&checkpoint_command, "--log: %s", err.msg);
    }
    if (command_read_policy(&policy, policy_path, &err) != E_OK) {
        return command_policy_failed(&output, &err);
    }
    struct buf note = BUF_INIT(NOTE_BYTES_MAX);
    if (log_fetch_checkpoint(&address, &note, &err) == E_OK) {
        code = judge(&output, policy, buf_span(&note));
    } else {
        code = output_failed(&output, &err);
    }
    buf_clear(&note);
    policy_free(policy);
    return code;
}

const struct command checkpoint_command = {
    .name = "checkpoint",
    .arguments = "--log LOG --policy P",
    .summary = "fetch and verify the latest checkpoint",
    .text = "Prints the verdict first, as 'courtroll verify' does, then what the checkpoint says\n"
            "and who signed it, then the note itself.\n",
    .examples = "courtroll checkpoint --log https://log.court.example --policy court.policy\n"
                "courtroll checkpoint --log localhost:6963 --policy court.policy --json\n",
    .operands_max = 0,
    .run = run,
};
