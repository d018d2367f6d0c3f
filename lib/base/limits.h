/* limits.h -- every maximum, with its source: a specification, the design, or a sum.
 *
 * Sizes are bytes unless the name says otherwise.
 */
#ifndef BASE_LIMITS_H
#define BASE_LIMITS_H

enum {
    /* C2SP tlog-tiles: an entry bundle has 16-bit lengths. */
    ENTRY_BYTES_MAX = 65535,
    ENTRIES_PER_CALL_MAX = 1000,      /* Log.Append */
    CALL_BYTES_MAX = 4 * 1024 * 1024, /* one gRPC message */
    BUNDLE_BYTES_MAX = 256 * (2 + ENTRY_BYTES_MAX),

    /* C2SP signed-note asks for 16 at least; Go's note.Open stops at 100. */
    NOTE_SIGNATURES_MAX = 100,
    NOTE_BYTES_MAX = 1024 * 1024, /* as azul and sigsum readers */
    KEY_NAME_BYTES_MAX = 255,     /* u8 length in ML-DSA-44 cosigned messages */
    ORIGIN_BYTES_MAX = 255,       /* likewise */
    PROOF_HASHES_MAX = 63,        /* C2SP tlog-witness; enough for 2^62 entries */
    PROOF_FILE_BYTES_MAX = NOTE_BYTES_MAX + 128 * 1024,
    POLICY_BYTES_MAX = 1024 * 1024,
    POLICY_KEYS_MAX = 256, /* logs, witnesses, groups: each; the spec asks for 32 */

    POOL_BYTES_DEFAULT = 64 * 1024 * 1024,
    POOL_ENTRIES_DEFAULT = 200000,
    /* One commit: enough to amortise a sync, small enough for memory. */
    COMMIT_ENTRIES_MAX = 16384,
    COMMIT_BYTES_MAX = 8 * 1024 * 1024,
    JOURNAL_BYTES_DEFAULT = 64 * 1024 * 1024,
    /* No tile takes the entries of the last, partial one: up to 17 MiB stay in the journal, and a
     * segment of a quarter of its bound ends where the next commit does not fit. Below 55 MiB these
     * can fill it, and then nothing would ever empty it. */
    JOURNAL_BYTES_MIN = 64 * 1024 * 1024,

    HTTP_HEADER_BYTES_MAX = 16 * 1024,
    HTTP_TARGET_BYTES_MAX = 1024,
    HTTP_CONNECTIONS_DEFAULT = 10000,
    HTTP_HEADER_TIMEOUT_MS = 10 * 1000, /* from the first byte of a request to its last header */
    HTTP_BODY_TIMEOUT_MS = 30 * 1000,
    HTTP_IDLE_TIMEOUT_MS = 120 * 1000,
    HTTP_WRITE_TIMEOUT_MS = 60 * 1000, /* with no byte taken by the peer */
    HTTP_LINGER_MS = 2 * 1000,         /* after our last byte, for the peer to read it and close */
    HTTP_HEADERS_MAX = 64,
    HTTP_PIPELINED_MAX = 32,             /* requests of a connection that are not answered yet */
    HTTP_QUEUED_BYTES_MAX = 1024 * 1024, /* answers a connection has not taken, but for one */
    HTTP_BODIES_BYTES_MAX = 256 * 1024 * 1024, /* request bodies of all connections together */
    HTTP_ANSWERS_BYTES_MAX = 64 * 1024 * 1024, /* answers all connections have not taken */
    HTTP_LISTENERS_MAX = 8,
    HTTP_DESCRIPTORS_RESERVED = 128, /* left to files, gRPC and outgoing connections */

    HTTP_CLIENT_CONNECT_TIMEOUT_MS = 5 * 1000,
    HTTP_CLIENT_TIMEOUT_MS = 60 * 1000,
    HTTP_CLIENT_CONNECTIONS_DEFAULT = 64,
    HTTP_CLIENT_HEADER_BYTES_MAX = 64 * 1024, /* of one reply */

    ERROR_TEXT_BYTES_MAX = 256, /* of a peer's words in one log line */
};

#endif
