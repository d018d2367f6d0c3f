/* courtroll.h -- libcourtroll: append to a transparency log, prove, verify.
 *
 *     struct courtroll_error error;
 *     struct courtroll_policy *policy;
 *     struct courtroll_verdict verdict;
 *     if (courtroll_policy_parse(&policy, policy_bytes, &error) == COURTROLL_OK &&
 *         courtroll_verify(policy, proof_bytes, document_bytes, &verdict, &error) == COURTROLL_OK) {
 *         // the document is in the log of the policy, and enough witnesses have seen it there
 *     }
 *
 * Formats: C2SP tlog-proof, tlog-policy, tlog-checkpoint. A first cut: it may change before 1.0.
 *
 * Every function that can fail returns a code, and fills in the error when that is not
 * COURTROLL_OK; what it was to set is then as it was. Nothing is global: any thread, but a
 * struct courtroll_log is for one thread at a time. Out of memory ends the process.
 */
#ifndef COURTROLL_COURTROLL_H
#define COURTROLL_COURTROLL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum courtroll_code {
    COURTROLL_OK = 0,
    COURTROLL_MALFORMED,     /* an argument or an answer is not in the right form */
    COURTROLL_MISMATCH,      /* the proof is not for this entry */
    COURTROLL_NO_QUORUM,     /* the log has signed, too few witnesses have (yet) */
    COURTROLL_BAD_SIGNATURE, /* the log's signature does not verify */
    COURTROLL_UNKNOWN_LOG,   /* the policy does not list the log */
    COURTROLL_NOT_FOUND,     /* the log has no such entry */
    COURTROLL_UNREACHABLE,   /* the network, or a timeout: an append may still be logged */
    COURTROLL_REFUSED,       /* the log's own answer, in the message */
};

enum {
    COURTROLL_HASH_BYTES = 32,
    COURTROLL_MESSAGE_MAX = 512,
    COURTROLL_ENTRY_BYTES_MAX = 65535,
    COURTROLL_ENTRIES_PER_APPEND_MAX = 1000,
    COURTROLL_ORIGIN_MAX = 256, /* with the NUL */
};

struct courtroll_error {
    enum courtroll_code code;
    char message[COURTROLL_MESSAGE_MAX]; /* for a person; NUL-terminated */
};

/* Borrowed bytes. */
struct courtroll_bytes {
    const uint8_t *data;
    size_t len;
};

/* ---- a policy: which logs are known, and which sets of witnesses are enough ---- */

struct courtroll_policy;

enum courtroll_code courtroll_policy_parse(struct courtroll_policy **out,
                                           struct courtroll_bytes text,
                                           struct courtroll_error *error);
void courtroll_policy_free(struct courtroll_policy *policy); /* NULL is fine */

/* SHA-256 of the policy's text: its name. */
void courtroll_policy_hash(const struct courtroll_policy *policy,
                           uint8_t hash[COURTROLL_HASH_BYTES]);

/* ---- verify, offline ---- */

struct courtroll_verdict {
    uint64_t index; /* of the entry, from 0 */
    uint64_t size;  /* of the tree that the proof leads to */
    char origin[COURTROLL_ORIGIN_MAX];
    size_t witness_count; /* whose cosignatures verify */
    bool has_quorum_rule; /* false: the policy asks for no witness; it is the log's word alone */
    /* Seconds since 1970: the entry was in the log then, by the clocks of a quorum of witnesses. 0: no
     * time evidence. A log's own clock dates nothing. */
    uint64_t no_later_than;
};

/* Is `entry` in a tree that the policy accepts? COURTROLL_OK only if so. The verdict is also set for
 * COURTROLL_NO_QUORUM. */
enum courtroll_code courtroll_verify(const struct courtroll_policy *policy,
                                     struct courtroll_bytes proof, struct courtroll_bytes entry,
                                     struct courtroll_verdict *verdict,
                                     struct courtroll_error *error);

/* RFC 6962 leaf hash: SHA-256(0x00 || entry). */
void courtroll_leaf_hash(struct courtroll_bytes entry, uint8_t hash[COURTROLL_HASH_BYTES]);

/* ---- a log ---- */

struct courtroll_log;

struct courtroll_log_options {
    const char *tls_ca_path; /* PEM files; NULL for none. With a CA gRPC is over TLS */
    const char *tls_cert_path;
    const char *tls_key_path;
};

/* `address` is http(s)://HOST[:PORT][/PATH] (tiles: read only), HOST:PORT or unix:PATH (gRPC), or
 * file:DIR (a copy: read only). No connection is made yet. `options` may be NULL; its texts are
 * borrowed until courtroll_log_close. */
enum courtroll_code courtroll_log_open(struct courtroll_log **out, const char *address,
                                       const struct courtroll_log_options *options,
                                       struct courtroll_error *error);
void courtroll_log_close(struct courtroll_log *log); /* NULL is fine */

/* An owned proof: a C2SP tlog-proof file's bytes. */
struct courtroll_proof {
    uint8_t *data;
    size_t len;
};
void courtroll_proof_clear(struct courtroll_proof *proof);

struct courtroll_appended {
    uint64_t index;
    uint8_t leaf_hash[COURTROLL_HASH_BYTES];
    bool is_duplicate;            /* logged before: the index is the first copy's */
    struct courtroll_proof proof; /* empty when not witnessed */
};

/* Logs 1..1000 entries, at most 4 MiB in all, in order, all or nothing; gRPC only. With a policy it
 * waits for witnesses and returns proofs, which have been verified; without one (NULL) it returns
 * once the entries are durable at the log, which the log could deny. `appended` has room for
 * `count`. COURTROLL_NO_QUORUM: they are durable, and indices are set, but there are no proofs yet:
 * ask courtroll_prove later. Clear each proof. */
enum courtroll_code courtroll_append(struct courtroll_log *log,
                                     const struct courtroll_policy *policy,
                                     const struct courtroll_bytes *entries, size_t count,
                                     uint32_t timeout_ms, struct courtroll_appended *appended,
                                     struct courtroll_error *error);

/* A verified proof that the entry with this leaf hash is in the log; with tiles the log is searched
 * from its end. The caller clears the proof. */
enum courtroll_code courtroll_prove(struct courtroll_log *log,
                                    const struct courtroll_policy *policy,
                                    const uint8_t leaf_hash[COURTROLL_HASH_BYTES],
                                    struct courtroll_proof *proof, struct courtroll_error *error);

/* The same for the entry at an index. */
enum courtroll_code courtroll_prove_index(struct courtroll_log *log,
                                          const struct courtroll_policy *policy, uint64_t index,
                                          struct courtroll_proof *proof,
                                          struct courtroll_error *error);

#ifdef __cplusplus
}
#endif
#endif
