/* submitter_register.c -- `courtroll submitter register`. */
#include "cli/submitter.h"

#include "record/field.h"
#include "record/identifier.h"
#include "store/key_file.h"

#include <stdlib.h>

struct request {
    struct submitter_call call;
    const char *key_path, *courts, *roles, *from, *to;
};

/* "2026-03-04T09:31Z" as minutes since 1970. */
static enum err_code parse_minute(uint64_t *out, const char *text, struct err *err)
{
    struct buf value = BUF_INIT(FIELD_VALUE_BYTES_MAX);
    enum err_code rc = field_put_value(&value, FIELD_MINUTE, span_of_str(text), err);
    struct span bytes = buf_span(&value);
    if (rc == E_OK && !span_take_u64(&bytes, out)) {
        rc = err_set(err, E_MALFORMED, "not a time");
    }
    buf_clear(&value);
    return rc;
}

/* Calls `take` for each item between commas. */
static enum err_code each_item(const char *list, struct registration *registration,
                               enum err_code (*take)(struct registration *registration,
                                                     struct span item, struct err *err),
                               struct err *err)
{
    struct span rest = span_of_str(list), item;
    enum err_code rc = E_OK;
    while (rc == E_OK && rest.len > 0) {
        if (!span_take_until(&rest, ',', &item)) {
            item = rest;
            rest.len = 0;
        }
        rc = take(registration, item, err);
    }
    return rc;
}

static enum err_code take_role(struct registration *registration, struct span item, struct err *err)
{
    unsigned role;
    if (!role_parse(&role, item)) {
        return err_set(err, E_MALFORMED,
                       "--roles: one of them is none of enforcement, case-management, service, "
                       "evidence, institution, mediation, supervision");
    }
    registration->roles |= UINT32_C(1) << role;
    return E_OK;
}

static enum err_code take_court(struct registration *registration, struct span item,
                                struct err *err)
{
    if (registration->court_count == REGISTRATION_COURTS_MAX) {
        return err_set(err, E_MALFORMED, "--courts: more than %d", REGISTRATION_COURTS_MAX);
    }
    struct buf code = BUF_INIT(IDENTIFIER_BYTES_MAX);
    enum err_code rc = identifier_put_court_code(&code, item, err);
    if (rc == E_OK) {
        registration->courts[registration->court_count++] = court_tag_make(buf_span(&code));
    } else {
        err_wrap(err, "--courts, item %zu", registration->court_count + 1);
    }
    buf_clear(&code);
    return rc;
}

static int compare_tags(const void *a, const void *b)
{
    return memcmp(a, b, COURT_TAG_BYTES);
}

/* Ascending, each once. */
static void sort_courts(struct registration *registration)
{
    struct court_tag *courts = registration->courts;
    size_t count = 0;
    qsort(courts, registration->court_count, sizeof courts[0], compare_tags);
    for (size_t i = 0; i < registration->court_count; i++) {
        if (count == 0 || compare_tags(&courts[count - 1], &courts[i]) != 0) {
            courts[count++] = courts[i];
        }
    }
    registration->court_count = count;
}

static enum err_code set_times(struct registration *registration, const struct request *request,
                               struct err *err)
{
    registration->from = submitter_minute();
    if (request->from != NULL && parse_minute(&registration->from, request->from, err) != E_OK) {
        return err_wrap(err, "--from");
    }
    if (request->to != NULL && parse_minute(&registration->to, request->to, err) != E_OK) {
        return err_wrap(err, "--to");
    }
    return E_OK;
}

static enum err_code make_operation(struct operation *out, const struct request *request,
                                    const struct signer *signer, struct err *err)
{
    struct registration *registration = &out->registration;
    if (strlen(signer->vkey.name) >= sizeof registration->name) {
        return err_set(err, E_MALFORMED, "the key's name is not a DNS name");
    }
    memcpy(registration->name, signer->vkey.name, strlen(signer->vkey.name) + 1);
    registration->key = signer->vkey.key;
    enum err_code rc = each_item(request->roles, registration, take_role, err);
    if (rc == E_OK && request->courts != NULL) {
        rc = each_item(request->courts, registration, take_court, err);
    }
    sort_courts(registration);
    if (rc == E_OK) {
        rc = set_times(registration, request, err);
    }
    out->kind = kind_find(KIND_SUBMITTER);
    out->minute = submitter_minute();
    out->submitter = submitter_id_make(&registration->key);
    return rc;
}

static int register_key(struct request *request)
{
    struct err err;
    struct signer signer = { 0 };
    struct operation operation = { 0 };
    if (key_file_load(&signer, request->key_path, &err) != E_OK) {
        output_error(&request->call.output, &err);
        return OUTPUT_IO;
    }
    int code = OUTPUT_USAGE;
    if (make_operation(&operation, request, &signer, &err) == E_OK) {
        code = submitter_log(&request->call, &operation, signer.key);
    } else {
        output_error(&request->call.output, &err);
    }
    signer_clear(&signer);
    return code;
}

static int run(int argc, char **argv)
{
    struct request request = { 0 };
    const struct command_option options[] = {
        { .name = "key",
          .argument = "FILE",
          .help = "the submitter's key; its name is the DNS name in its certificate",
          .text = &request.key_path,
          .is_required = true },
        { .name = "roles",
          .argument = "ROLE,...",
          .help = "what it logs: enforcement, case-management, service, evidence,\n"
                  "institution, mediation, supervision",
          .text = &request.roles,
          .is_required = true },
        { .name = "courts",
          .argument = "CODE,...",
          .help = "court codes that it logs for [every court]",
          .text = &request.courts },
        { .name = "from",
          .argument = "TIME",
          .help = "first minute of its records, as 2026-03-04T09:31Z [now]",
          .text = &request.from },
        { .name = "to",
          .argument = "TIME",
          .help = "the first minute it is over [open]",
          .text = &request.to },
        SUBMITTER_OPTIONS(&request.call),
    };
    struct command_line line;
    int code = OUTPUT_DONE;
    if (!command_parse(&line, &submitter_register_command, options, COMMAND_COUNT(options), argc,
                       argv, &code)) {
        return code;
    }
    code = submitter_check_log(&request.call, &submitter_register_command);
    return code == OUTPUT_DONE ? register_key(&request) : code;
}

const struct command submitter_register_command = {
    .name = "submitter register",
    .arguments = "--log LOG --key FILE --roles ROLE,... [--courts CODE,...] [--from TIME]\n"
                 "[--to TIME] [--origin ORIGIN]",
    .summary = "log a submitter's key",
    .text = "The key must be enabled in the log's submitters file under its name. Registering it\n"
            "again replaces courts, roles and times. Prints \"index leaf-hash\". Exit code 4 when\n"
            "the log refused.\n",
    .examples = "courtroll submitter register --log localhost:6963 --key court.key \\\n"
                "    --roles enforcement,service --courts 测0101,测0102\n",
    .run = run,
};
