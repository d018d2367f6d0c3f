/* submit.c -- a system that logs what it does, with libcourtroll.
 *
 *     cc -o submit submit.c $(pkg-config --cflags --libs libcourtroll)
 *     ./submit SPOOL LOG POLICY SUBMITTER-KEY PAYLOADS PAYLOAD-KEY CASE-KEY <operations.jsonl
 *
 * Reads operations of one case, a JSON object a line, accepts them, and waits until each is proved.
 */
#include <courtroll/courtroll.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LINE_MAX_BYTES = 64 * 1024,
    WAIT_MS = 60 * 1000,
};

/* On a thread of the library's. The receipt is kept until it is forgotten: here it stays. */
static void on_receipt(void *ctx, const struct courtroll_receipt *receipt)
{
    (void)ctx;
    if (receipt->is_refused) {
        fprintf(stderr, "ticket %" PRIu64 " is refused: %s\n", receipt->ticket, receipt->refusal);
    } else {
        printf("ticket %" PRIu64 " is entry %" PRIu64 "\n", receipt->ticket, receipt->index);
    }
}

static int fail(const char *what, const struct courtroll_error *error)
{
    fprintf(stderr, "%s: %s\n", what, error->message);
    return 1;
}

static struct courtroll_policy *read_policy(const char *path)
{
    static uint8_t bytes[1024 * 1024];
    struct courtroll_policy *policy = NULL;
    struct courtroll_error error;
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        return NULL;
    }
    size_t len = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    if (courtroll_policy_parse(&policy, (struct courtroll_bytes){ bytes, len }, &error) !=
        COURTROLL_OK) {
        fail(path, &error);
    }
    return policy;
}

static int submit_lines(struct courtroll_submitter *submitter, const struct courtroll_case *one)
{
    static char line[LINE_MAX_BYTES];
    struct courtroll_error error;
    uint64_t ticket = 0;
    while (fgets(line, sizeof line, stdin) != NULL) {
        const struct courtroll_bytes draft = { (const uint8_t *)line, strlen(line) };
        if (courtroll_submit(submitter, one, draft, &ticket, &error) != COURTROLL_OK) {
            return fail("not accepted", &error);
        }
    }
    /* What was accepted is safe now: the network may come and go. Here we wait for the proofs. */
    if (courtroll_flush(submitter, WAIT_MS, &error) != COURTROLL_OK) {
        return fail("not proved yet", &error);
    }
    struct courtroll_submitter_status status;
    courtroll_submitter_status(submitter, &status);
    if (status.refused_now > 0) {
        fprintf(stderr, "%" PRIu64 " refused, and wait for a person\n", status.refused_now);
        return 1;
    }
    struct courtroll_proof proof;
    if (ticket != 0 && courtroll_receipt(submitter, ticket, &proof, &error) == COURTROLL_OK) {
        printf("the last proof has %zu bytes\n", proof.len);
        courtroll_proof_clear(&proof);
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct courtroll_error error;
    if (argc != 8) {
        fprintf(stderr, "usage: submit SPOOL LOG POLICY SUBMITTER-KEY PAYLOADS PAYLOAD-KEY "
                        "CASE-KEY\n");
        return 2;
    }
    struct courtroll_policy *policy = read_policy(argv[3]);
    if (policy == NULL) {
        return 1;
    }
    const struct courtroll_submitter_options options = {
        .spool_dir = argv[1],
        .log_address = argv[2],
        .policy = policy,
        .key_path = argv[4],
        .payload_dir = argv[5],
        .payload_key_path = argv[6],
        .sealed_delay_max_ms = 1000, /* of an example: the default is a minute */
        .on_receipt = on_receipt,
    };
    struct courtroll_submitter *submitter = NULL;
    struct courtroll_case *one = NULL;
    int code = 0;
    if (courtroll_submitter_open(&submitter, &options, &error) != COURTROLL_OK) {
        code = fail("the spool", &error);
    } else if (courtroll_case_open(&one, argv[7], &error) != COURTROLL_OK) {
        code = fail("the case key", &error);
    } else {
        code = submit_lines(submitter, one);
    }
    courtroll_submitter_close(submitter);
    courtroll_case_close(one);
    courtroll_policy_free(policy);
    return code;
}
