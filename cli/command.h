/* command.h -- what every command of `courtroll` shares: its entry in the table, its options, its
 * usage errors, the files it is given.
 *
 * A command is one file with one `const struct command`. Its `run` declares its options as a table,
 * has command_parse fill in the variables, does the work and returns an exit code of output.h.
 * Main thread.
 *
 *     static int run(int argc, char **argv)
 *     {
 *         struct output output = { 0 };
 *         const char *log = NULL;
 *         uint64_t seconds = 10;
 *         const struct command_option options[] = {
 *             { .name = "log", .argument = "LOG", .help = "the log", .text = &log,
 *               .is_required = true },
 *             { .name = "seconds", .argument = "S", .help = "how long [10]", .number = &seconds,
 *               .number_min = 1, .number_max = 3600 },
 *             COMMAND_OPTION_JSON(&output),
 *         };
 *         struct command_line line;
 *         int code = 0;
 *         if (!command_parse(&line, &bench_command, options, COMMAND_COUNT(options), argc, argv,
 *                            &code)) {
 *             return code;
 *         }
 *         ...
 *     }
 */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include "base/err.h"
#include "cli/output.h"
#include "tlog/policy.h"

struct command {
    const char *name;      /* as typed: "append" */
    const char *arguments; /* the synopsis behind the name, such as "--log LOG FILE..."; one line
                            * or several, separated by '\n' */
    const char *summary;   /* a few words, for the list of commands */
    const char *text;      /* paragraphs for --help: what it does, prints, and answers; ends with
                            * '\n'; NULL for none */
    const char *examples;  /* command lines for --help, each ending with '\n' */
    size_t operands_min;   /* arguments that are no options */
    size_t operands_max;   /* SIZE_MAX for any number */
    int (*run)(int argc, char **argv); /* argv[0] is the command's name */
};

/* The table of main.c. */
extern const struct command append_command, bench_command, case_command, certificate_command,
    checkpoint_command, code_command, cosign_command, fsck_command, keygen_command, monitor_command,
    policy_command, prove_command, record_command, status_command, submit_command,
    submitter_command, synth_command, verify_command, verify_evidence_command;

/* Exactly one of flag, text, texts, number is set; the variable keeps its value when the option is
 * not given. */
struct command_option {
    const char *name;            /* "log" for --log */
    const char *argument;        /* what --help calls the value; NULL for a flag */
    const char *help;            /* one line or several, separated by '\n' */
    bool *flag;                  /* set to true */
    const char **text;           /* points into argv */
    struct command_texts *texts; /* an option that may be given several times */
    uint64_t *number;            /* a decimal number_min..number_max */
    uint64_t number_min;
    uint64_t number_max; /* 0 stands for SIZE_VALUE_MAX */
    bool *is_given;      /* may be NULL; set to true when the option is there */
    bool is_required;
};

enum {
    COMMAND_TEXTS_MAX = 32,
    COMMAND_OPTIONS_MAX = 32
};
struct command_texts {
    const char *items[COMMAND_TEXTS_MAX]; /* pointing into argv */
    size_t count;
};

#define COMMAND_COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define COMMAND_OPTION_JSON(output)                                                                \
    {                                                                                              \
        .name = "json", .help = "print one JSON object", .flag = &(output)->is_json                \
    }

/* Three options, for a struct log_address (client/log_address.h). */
#define COMMAND_OPTIONS_TLS(address)                                                               \
    { .name = "tls-ca",                                                                            \
      .argument = "FILE",                                                                          \
      .help = "PEM certificates to trust: gRPC over TLS, or another authority for https",          \
      .text = &(address)->tls_ca_path },                                                           \
        { .name = "tls-cert",                                                                      \
          .argument = "FILE",                                                                      \
          .help = "our certificate, for gRPC with mutual TLS",                                     \
          .text = &(address)->tls_cert_path },                                                     \
    {                                                                                              \
        .name = "tls-key", .argument = "FILE", .help = "its private key",                          \
        .text = &(address)->tls_key_path                                                           \
    }

/* For a command whose first argument is one of several words, each a command of its own whose name is
 * "COMMAND WORD": runs that one, or prints --help, whose examples are the command's, or what is wrong. */
int command_run_word(const struct command *command, const struct command *const *words,
                     size_t word_count, int argc, char **argv);

/* The operands that are left, in order; point into argv. */
struct command_line {
    char **operands;
    size_t operand_count;
};

/* Reads options and operands in any order; "--" ends the options, "-" is an operand. False when the
 * command has nothing more to do: *exit_code then says how to leave, and --help or the error has
 * been printed. */
bool command_parse(struct command_line *line, const struct command *command,
                   const struct command_option *options, size_t option_count, int argc, char **argv,
                   int *exit_code);

/* For what the table cannot say, such as two options that exclude each other. Prints
 * "courtroll NAME: ..." and where to read on to stderr; returns OUTPUT_USAGE. The words name the
 * problem and what to do. */
int command_usage_error(const struct command *command, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Reads and parses a policy file. The error names the file. Free with policy_free. */
MUST_USE enum err_code command_read_policy(struct policy **out, const char *path, struct err *err);

/* The log of a policy that a command is about: its only one, or the first whose URL is `url` (may be
 * NULL). E_MALFORMED, in words for the person, when the policy lists none or leaves a choice. */
MUST_USE enum err_code command_policy_log(const struct policy_log **out,
                                          const struct policy *policy, const char *url,
                                          struct err *err);

/* Reads a whole file, or stdin for "-"; as file_read, the error names the file. */
MUST_USE enum err_code command_read_file(struct buf *out, const char *path, struct err *err);

/* The exit code for what command_read_policy and command_policy_log said: a policy that cannot be
 * read is OUTPUT_IO, one that is wrong OUTPUT_USAGE. Prints the error. */
int command_policy_failed(const struct output *output, const struct err *err);

#endif
