#include "cli/command.h"

#include "base/alloc.h"
#include "base/ascii.h"
#include "base/file.h"

#include <assert.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>

int command_usage_error(const struct command *command, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fprintf(stderr, "courtroll %s: ", command->name);
    vfprintf(stderr, fmt, args);
    fprintf(stderr, "\nTry 'courtroll %s --help'.\n", command->name);
    va_end(args);
    return OUTPUT_USAGE;
}

static void print_indented(const char *text, int columns)
{
    while (*text != '\0') {
        size_t len = strcspn(text, "\n");
        printf("%*s%.*s\n", columns, "", (int)len, text);
        text += len;
        text += *text == '\n';
    }
}

static void print_option(const struct command_option *option)
{
    enum {
        HELP_COLUMN = 26
    };
    char left[64];
    snprintf(left, sizeof left, "  --%s%s%s", option->name, option->argument != NULL ? " " : "",
             option->argument != NULL ? option->argument : "");
    const char *help = option->help;
    size_t len = strcspn(help, "\n");
    printf("%-*s %.*s\n", HELP_COLUMN - 1, left, (int)len, help);
    if (help[len] == '\n') {
        print_indented(help + len + 1, HELP_COLUMN);
    }
}

static void print_help(const struct command *command, const struct command_option *options,
                       size_t option_count)
{
    const char *arguments = command->arguments;
    const char *lead = "usage:";
    while (arguments != NULL) {
        size_t len = strcspn(arguments, "\n");
        printf("%s courtroll %s %.*s\n", lead, command->name, (int)len, arguments);
        lead = "      ";
        arguments = arguments[len] == '\n' ? arguments + len + 1 : NULL;
    }
    printf("\n%s\n", command->summary);
    if (command->text != NULL) {
        printf("\n%s", command->text);
    }
    printf("\nOptions:\n");
    for (size_t i = 0; i < option_count; i++) {
        print_option(&options[i]);
    }
    printf("  --help                  this text\n");
    printf("\nExit status: 0 done or PASS, 1 any other verdict, 2 wrong usage, 3 could not reach, "
           "read or\nwrite something, 4 refused by the server or no quorum in time.\n");
    if (command->examples != NULL) {
        printf("\nExamples:\n");
        print_indented(command->examples, 2);
    }
}

/* Stores one option's value; false after a usage error. */
static bool take_value(const struct command *command, const struct command_option *option,
                       bool was_given, const char *value)
{
    if (was_given && option->texts == NULL && option->flag == NULL) {
        command_usage_error(command, "--%s is given twice; give it once", option->name);
        return false;
    }
    if (option->is_given != NULL) {
        *option->is_given = true;
    }
    if (option->flag != NULL) {
        *option->flag = true;
    } else if (option->text != NULL) {
        *option->text = value;
    } else if (option->texts != NULL) {
        if (option->texts->count == COMMAND_TEXTS_MAX) {
            command_usage_error(command, "--%s is given more than %d times", option->name,
                                COMMAND_TEXTS_MAX);
            return false;
        }
        option->texts->items[option->texts->count++] = value;
    } else {
        uint64_t max = option->number_max != 0 ? option->number_max : SIZE_VALUE_MAX;
        uint64_t number = 0;
        struct err err;
        if (decimal_parse(&number, span_of_str(value), max, &err) != E_OK ||
            number < option->number_min) {
            command_usage_error(command, "--%s '%s' is not a number from %ju to %ju", option->name,
                                value, (uintmax_t)option->number_min, (uintmax_t)max);
            return false;
        }
        *option->number = number;
    }
    return true;
}

static bool check_operands(const struct command *command, size_t count, char **operands)
{
    if (count < command->operands_min) {
        command_usage_error(command, "%s is missing: the usage is\n  courtroll %s %s",
                            count == 0 ? "an argument" : "one more argument", command->name,
                            command->arguments);
        return false;
    }
    if (count > command->operands_max) {
        command_usage_error(command, "'%s' is one argument too many",
                            operands[command->operands_max]);
        return false;
    }
    return true;
}

static void explain_getopt(const struct command *command, int answer, const char *word)
{
    if (answer == ':') {
        command_usage_error(command, "%s needs a value behind it", word);
    } else if (optopt != 0 && strchr(word, '=') != NULL) {
        command_usage_error(command, "%.*s takes no value", (int)strcspn(word, "="), word);
    } else {
        command_usage_error(command, "unknown option '%s'", word);
    }
}

bool command_parse(struct command_line *line, const struct command *command,
                   const struct command_option *options, size_t option_count, int argc, char **argv,
                   int *exit_code)
{
    enum {
        FIRST = 256 /* getopt's answer for options[0]: above any character */
    };
    assert(option_count <= COMMAND_OPTIONS_MAX);
    struct option table[COMMAND_OPTIONS_MAX + 2] = { 0 };
    bool was_given[COMMAND_OPTIONS_MAX] = { 0 };
    for (size_t i = 0; i < option_count; i++) {
        int takes = options[i].flag != NULL ? no_argument : required_argument;
        table[i] = (struct option){ options[i].name, takes, NULL, FIRST + (int)i };
    }
    table[option_count] = (struct option){ "help", no_argument, NULL, 'h' };
    *exit_code = OUTPUT_USAGE;
    optind = 0; /* 0 makes glibc start afresh */
    opterr = 0;
    int answer = 0;
    while ((answer = getopt_long(argc, argv, ":h", table, NULL)) != -1) {
        if (answer == 'h') {
            print_help(command, options, option_count);
            *exit_code = OUTPUT_DONE;
            return false;
        }
        if (answer < FIRST) {
            explain_getopt(command, answer, argv[optind - 1]);
            return false;
        }
        size_t i = (size_t)(answer - FIRST);
        if (!take_value(command, &options[i], was_given[i], optarg)) {
            return false;
        }
        was_given[i] = true;
    }
    for (size_t i = 0; i < option_count; i++) {
        if (options[i].is_required && !was_given[i]) {
            command_usage_error(command, "--%s %s is missing: %.*s", options[i].name,
                                options[i].argument, (int)strcspn(options[i].help, "\n"),
                                options[i].help);
            return false;
        }
    }
    *line = (struct command_line){ argv + optind, (size_t)(argc - optind) };
    if (!check_operands(command, line->operand_count, line->operands)) {
        return false;
    }
    *exit_code = OUTPUT_DONE;
    return true;
}

enum err_code command_read_file(struct buf *out, const char *path, struct err *err)
{
    bool is_stdin = strcmp(path, "-") == 0;
    if (file_read(out, is_stdin ? "/dev/stdin" : path, err) != E_OK) {
        if (strstr(err->msg, path) == NULL) {
            return err_wrap(err, "%s", is_stdin ? "standard input" : path);
        }
        return err->code;
    }
    return E_OK;
}

enum err_code command_read_policy(struct policy **out, const char *path, struct err *err)
{
    struct buf bytes = BUF_INIT(POLICY_BYTES_MAX);
    enum err_code rc = command_read_file(&bytes, path, err);
    if (rc == E_OK && (rc = policy_parse(out, buf_span(&bytes), err)) != E_OK) {
        rc = err_wrap(err, "policy %s", path);
    }
    buf_clear(&bytes);
    return rc;
}

enum err_code command_policy_log(const struct policy_log **out, const struct policy *policy,
                                 const char *url, struct err *err)
{
    size_t count = 0;
    const struct policy_log *found = NULL;
    for (size_t i = 0; i < policy_log_count(policy); i++) {
        const struct policy_log *log = policy_log_at(policy, i);
        if (policy_log_is_promise_key(policy, i)) {
            continue;
        }
        if (url != NULL && log->url != NULL && strcmp(log->url, url) == 0) {
            *out = log;
            return E_OK;
        }
        found = log;
        count++;
    }
    if (count == 0) {
        return err_set(err, E_MALFORMED, "the policy lists no log: add a line 'log VKEY'");
    }
    if (count > 1) {
        return err_set(err, E_MALFORMED,
                       "the policy lists %zu logs and none has this URL: use a policy of one log",
                       count);
    }
    *out = found;
    return E_OK;
}

int command_policy_failed(const struct output *output, const struct err *err)
{
    output_error(output, err);
    return err->code == E_NOT_FOUND || err->code == E_IO ? OUTPUT_IO : OUTPUT_USAGE;
}

/* "export" of "cosign export". */
static const char *word_of(const struct command *command)
{
    return strchr(command->name, ' ') + 1;
}

static void print_word_help(FILE *file, const struct command *command,
                            const struct command *const *words, size_t word_count)
{
    fprintf(file, "usage: courtroll %s %s\n\n%s\n\n%s\nWords:\n", command->name, command->arguments,
            command->summary, command->text);
    for (size_t i = 0; i < word_count; i++) {
        fprintf(file, "  %-10s %s\n", word_of(words[i]), words[i]->summary);
    }
    fprintf(file, "\n'courtroll %s WORD --help' explains a word.\n\nExamples:\n%s", command->name,
            command->examples);
}

int command_run_word(const struct command *command, const struct command *const *words,
                     size_t word_count, int argc, char **argv)
{
    if (argc >= 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        print_word_help(stdout, command, words, word_count);
        return OUTPUT_DONE;
    }
    for (size_t i = 0; argc >= 2 && i < word_count; i++) {
        if (strcmp(argv[1], word_of(words[i])) == 0) {
            return words[i]->run(argc - 1, argv + 1);
        }
    }
    struct buf known = BUF_INIT(1024);
    for (size_t i = 0; i < word_count; i++) {
        buf_putf(&known, "%s%s",
                 i == 0               ? ""
                 : i + 1 < word_count ? ", "
                                      : " or ",
                 word_of(words[i]));
    }
    int code = command_usage_error(command, "say %s first%s%s", buf_c_str(&known),
                                   argc >= 2 ? ", not " : "", argc >= 2 ? argv[1] : "");
    buf_clear(&known);
    return code;
}
