/* courtroll.h -- libcourtroll: append to a transparency log, prove, verify; submit judicial operations to it.
 *
 *     struct courtroll_error error;
 *     struct courtroll_policy *policy;
 *     struct courtroll_verdict verdict;
 *     if (courtroll_policy_parse(&policy, policy_bytes, &error) == COURTROLL_OK &&
 *         courtroll_verify(policy, proof_bytes, document_bytes, &verdict, &error) == COURTROLL_OK) {
 *         // the document is in the log of the policy, and enough witnesses have seen it there
 *     }
 *
 * Formats: C2SP tlog-proof, tlog-policy, tlog-checkpoint; docs/record.md for operations. A first cut: it
 * may change before 1.0.
 *
 * Every function that can fail returns a code, and fills in the error when that is not
 * COURTROLL_OK; what it was to set is then as it was. Nothing is global: any thread, but a
 * struct courtroll_log is for one thread at a time. Out of memory ends the process.
 *
 * A system that submits uses "submit" below: it accepts at once, keeps what it accepted on the disk, and
 * sends until there is a proof. libcourtroll(3) has an example; docs/submitting.md the whole story.
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
    COURTROLL_IO,            /* this machine's disk; the message says which file */
    COURTROLL_BUSY,          /* the spool is full, or another process has it */
    COURTROLL_STOPPED,       /* the spool has stopped for good, or is of another log */
    COURTROLL_TIMEOUT,       /* not in that time: it may still come */
    COURTROLL_EXISTS,        /* a file that would be made is there */
    COURTROLL_DENIED,        /* a key file that others can read */
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
 * ask courtroll_prove later. Clear each proof. Sealed records do not go this way: a log of operations
 * asks for their certificates, which courtroll_submit sends. */
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

/* ---- submit: a durable spool in front of a log ---- */

/* Accepts operations (or plain entries), keeps them in a directory of its own, sends the very bytes that it accepted
 * until the log has shown a receipt that verifies under the policy, and only then lets go of one. It survives the end
 * of the process, of the network and of the log; operations of one case reach the log in their order.
 *
 * Any thread, several at a time. Nothing here waits for the network but courtroll_flush, courtroll_wait and, for what
 * is under way, courtroll_submitter_close. */
struct courtroll_submitter;
struct courtroll_case;

/* An item is proved, or refused. Its bytes are good for the call. */
struct courtroll_receipt {
    uint64_t ticket;
    struct courtroll_bytes id; /* "id" of the draft, or as given with the entry; may be empty */
    uint8_t leaf_hash[COURTROLL_HASH_BYTES];
    uint64_t index;               /* in the log */
    bool is_refused;              /* the log does not take it: its case waits for a person */
    struct courtroll_bytes proof; /* a C2SP tlog-proof, verified; empty when refused */
    const char *refusal; /* the log's words, escaped; of a sealed record only their kind; or NULL */
};

/* Texts are borrowed for the call, but `tls_*` and `policy` until the close. Zeroes are defaults. */
struct courtroll_submitter_options {
    const char *spool_dir;   /* required: made if missing, 0700; one process at a time */
    const char *log_address; /* required: HOST:PORT or unix:PATH, the log's gRPC service */
    const char
        *tls_ca_path; /* PEM files; with a CA the connection is over TLS, with the others mTLS */
    const char *tls_cert_path;
    const char *tls_key_path;
    const struct courtroll_policy *policy; /* required */
    const char *origin;                    /* NULL: the only log of the policy */

    /* For operations all three; for plain entries (courtroll_submit_entry) none. */
    const char *key_path; /* the submitter's key, of `courtroll keygen --type submitter` */
    const char *
        payload_dir; /* the payloads, encrypted: DIR/xx/LEAF.payload, LEAF the leaf hash in hex and xx
                                   * its first two digits. What is lost here can never be shown again */
    const char *payload_key_path; /* of `courtroll record new-key` */
    bool is_vouched; /* unsigned records, for a log with submitter-signature = channel */

    unsigned connections; /* to the log; 0: 4, and one more for sealed records */
    uint64_t items_max;   /* that may wait; 0: 10 million. Each takes some 150 bytes of memory */
    uint64_t bytes_max;   /* likewise; 0: 16 GiB */
    uint32_t
        sealed_delay_max_ms; /* a sealed record leaves after a random time up to this; 0: one minute */
    double decoys_per_hour;  /* sealed records of nothing, opened within a week; 0: none */
    const char *decoy_court; /* the court code they seem to be of; required with decoys */

    /* Told of each item that is proved or refused, once, on a thread of the library's, one at a time; of what waited in
     * the spool also before courtroll_submitter_open has returned. It must not
     * call courtroll_submitter_close, courtroll_flush or courtroll_wait. May be NULL: receipts are kept either way,
     * until courtroll_forget; what a crash cut off is told by courtroll_each_receipt. */
    void *ctx;
    void (*on_receipt)(void *ctx, const struct courtroll_receipt *receipt);
};

/* Opens the spool and goes on with what waits in it; what was refused before is tried again. No connection is made
 * yet. COURTROLL_BUSY: another process has the spool. COURTROLL_STOPPED: it is of another log, or has stopped: the log
 * has another record with an entry tag of ours, so this directory is an old copy, and goes no further. */
enum courtroll_code courtroll_submitter_open(struct courtroll_submitter **out,
                                             const struct courtroll_submitter_options *options,
                                             struct courtroll_error *error);

/* Takes half a second at most when the log is there, and a few while connecting to one that is not. What is not proved
 * stays in the spool. NULL is fine. */
void courtroll_submitter_close(struct courtroll_submitter *submitter);

/* A case key: whoever has it can tell which entries of the log are of the case. Wiped by courtroll_case_close. */
enum courtroll_code courtroll_case_open(struct courtroll_case **out, const char *path,
                                        struct courtroll_error *error);
/* Makes a new key in a new file, 0600. `case_number` in any spelling. COURTROLL_EXISTS. */
enum courtroll_code courtroll_case_create(struct courtroll_case **out, const char *path,
                                          const char *case_number, struct courtroll_error *error);
void courtroll_case_close(struct courtroll_case *one); /* NULL is fine */

/* Accepts an operation: `draft` is a JSON object as of courtroll-submit(1). It gets the next number of its case, is
 * composed and signed, and its payload is encrypted; all that is on the disk when it returns, and *ticket is its place
 * in the spool. COURTROLL_MALFORMED names the position in the draft, or the field and the character in it, and never
 * the value. */
enum courtroll_code courtroll_submit(struct courtroll_submitter *submitter,
                                     const struct courtroll_case *one, struct courtroll_bytes draft,
                                     uint64_t *ticket, struct courtroll_error *error);

/* Accepts an entry of 1..65535 bytes as it is, for a log with schema = opaque, which must have dedup = on (the
 * default), or what is sent again is logged again. Entries with the same `order`, any bytes, are logged in theirs;
 * with none, in any. `id` has up to 128 bytes. */
enum courtroll_code courtroll_submit_entry(struct courtroll_submitter *submitter,
                                           struct courtroll_bytes entry,
                                           struct courtroll_bytes order, struct courtroll_bytes id,
                                           uint64_t *ticket, struct courtroll_error *error);

/* Until all that was accepted before is proved, refused, or waits behind a refusal. COURTROLL_TIMEOUT,
 * COURTROLL_STOPPED. */
enum courtroll_code courtroll_flush(struct courtroll_submitter *submitter, uint32_t timeout_ms,
                                    struct courtroll_error *error);

/* Until one item is proved. COURTROLL_REFUSED with the log's words; COURTROLL_TIMEOUT; COURTROLL_STOPPED;
 * COURTROLL_NOT_FOUND for a ticket that was never given. */
enum courtroll_code courtroll_wait(struct courtroll_submitter *submitter, uint64_t ticket,
                                   uint32_t timeout_ms, struct courtroll_error *error);

/* The tlog-proof of a proved item, which the caller clears. COURTROLL_NOT_FOUND: it waits still, or was forgotten. */
enum courtroll_code courtroll_receipt(struct courtroll_submitter *submitter, uint64_t ticket,
                                      struct courtroll_proof *proof, struct courtroll_error *error);

/* Drops a kept receipt. Of an item that is refused now: gives it up for good, and what is behind it in its case goes
 * on; its number stays a gap, which everyone with the case key sees. COURTROLL_NOT_FOUND. */
enum courtroll_code courtroll_forget(struct courtroll_submitter *submitter, uint64_t ticket,
                                     struct courtroll_error *error);

/* Tells the receipts that are kept, oldest first; the callback may forget them. */
enum courtroll_code
courtroll_each_receipt(struct courtroll_submitter *submitter,
                       void (*on_receipt)(void *ctx, const struct courtroll_receipt *receipt),
                       void *ctx, struct courtroll_error *error);

struct courtroll_submitter_status {
    uint64_t waiting, waiting_bytes; /* not proved yet */
    uint64_t durable;                /* of those: the log says it has them */
    uint64_t refused_now;            /* of those: refused, and wait for a person */
    uint64_t proved, refused;        /* since the spool was made; decoys among them */
    uint64_t wrong;                  /* answers of the log that did not verify, likewise */
    uint64_t lag_ms;                 /* age of the oldest that waits */
    bool is_stopped;
    char reason[COURTROLL_MESSAGE_MAX]; /* why it stopped, or the last failure; may be empty */
};
void courtroll_submitter_status(struct courtroll_submitter *submitter,
                                struct courtroll_submitter_status *status);
/* Of a spool that another process may have open: then as that one saw it a few seconds ago. */
enum courtroll_code courtroll_spool_status(const char *spool_dir,
                                           struct courtroll_submitter_status *status,
                                           struct courtroll_error *error);

#ifdef __cplusplus
}
#endif
#endif
