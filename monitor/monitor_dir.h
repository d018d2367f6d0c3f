/* monitor_dir.h -- a monitor's data directory: locked while in use, and bound to the monitor's key.
 *
 * Holds state/ (what was verified, alerts and evidence), archive/<origin hash>/ (notes that each log
 * published), control.sock, and the files lock and identity (the monitor's vkey). The file identity is
 * written once there is a store: a directory without its store has then forgotten what it saw, be it that
 * the volume is not mounted, and is not begun anew by itself. Blocks on the disk. Main thread, but for
 * monitor_dir_reopen_store.
 */
#ifndef MONITOR_MONITOR_DIR_H
#define MONITOR_MONITOR_DIR_H

#include "base/crypto.h"
#include "base/err.h"
#include "store/kv.h"
#include "tlog/vkey.h"

#define MONITOR_CONTROL_NAME "control.sock"

struct monitor_dir {
    int lock_fd;
    bool is_known; /* there is an identity */
    char *path;    /* paths; owned */
    char *state;
    char *archive;
    char *control; /* the Unix socket, if the settings do not say otherwise */
};

/* Makes what is missing, but for the store. E_BUSY when another process has it; E_DENIED when it belongs to
 * another key. */
MUST_USE enum err_code monitor_dir_open(struct monitor_dir *out, const char *path,
                                        const struct vkey *vkey, struct err *err);
/* Opens the store, or makes it in a new directory. E_NOT_FOUND, in words, when the store is lost. */
MUST_USE enum err_code monitor_dir_open_store(struct monitor_dir *dir, const struct vkey *vkey,
                                              struct kv **out, struct err *err);
/* After a failed write, once it was closed: never makes one. Any thread. */
MUST_USE enum err_code monitor_dir_reopen_store(const struct monitor_dir *dir, struct kv **out,
                                                struct err *err);
/* The directory for the notes of a log; the caller frees it with mem_free. */
char *monitor_dir_archive_of(const struct monitor_dir *dir, const struct hash *origin_hash);
void monitor_dir_close(struct monitor_dir *dir);

#endif
