/* registry.h -- who may log operations: what SUBMITTER entries on the log say, and what the operator enables.
 *
 * A key is *registered* by a SUBMITTER entry and until a SUBMITTER_END; it is *enabled* by a line of the `submitters`
 * file, which names a vkey: "submitter <vkey>" a line, '#' comments. Both are needed to log, but for one thing: an
 * enabled key may register itself. The file is read at start and on SIGHUP; a file that is wrong changes nothing.
 * The same key may be registered again; then the later entry counts. Any thread: a lock inside.
 */
#ifndef LOGD_REGISTRY_H
#define LOGD_REGISTRY_H

#include "record/operation.h"

enum {
    REGISTRY_SUBMITTERS_MAX = 65536,
    REGISTRY_FILE_BYTES_MAX = 32 * 1024 * 1024,
};

struct registry;
struct registry *registry_new(void);
void registry_free(struct registry *registry);

/* Reads the file: E_MALFORMED with the line; E_NOT_FOUND, E_IO. On an error the old one stays in force. */
MUST_USE enum err_code registry_enable(struct registry *registry, struct span file,
                                       struct err *err);

/* A SUBMITTER or SUBMITTER_END that is durable on the log at `index`. In any order; of one key the largest index
 * counts. Others are ignored. */
void registry_on_logged(struct registry *registry, uint64_t index,
                        const struct operation *operation);

struct registry_entry {
    struct registration registration; /* the log's */
    bool is_registered;               /* false: only enabled; key and name are the file's then */
    bool is_enabled;
    char enabled_name[REGISTRATION_NAME_MAX]; /* the file's */
    bool has_ended;                           /* by the last entry about it */
    uint64_t ended_minute;
};
/* Registered, not ended, and enabled under the name that it is registered with. */
bool registry_entry_is_usable(const struct registry_entry *entry);

/* False when neither the log nor the file knows it. */
bool registry_find(struct registry *registry, const struct submitter_id *id,
                   struct registry_entry *out);

struct registry_counts {
    size_t registered, enabled,
        usable; /* registered: and not ended; usable: both, under one name */
};
struct registry_counts registry_counts(struct registry *registry);

#endif
