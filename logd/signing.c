#include "logd/signing.h"

#include "base/alloc.h"
#include "base/file.h"
#include "store/key_file.h"
#include "tlog/promise.h"

#include <assert.h>
#include <stdio.h>
#include <time.h>

enum {
    PATH_MODE = 0600
};

static enum err_code check_promise_name(const struct signing *signing, const char *path,
                                        struct err *err)
{
    char expected[KEY_NAME_BYTES_MAX + sizeof "/promise"];
    snprintf(expected, sizeof expected, "%s/promise", signing->log.vkey.name);
    if (strcmp(signing->promise.vkey.name, expected) != 0 ||
        signing->promise.vkey.type != SIGNATURE_ED25519) {
        return err_set(err, E_DENIED, "promise key %s is named %s, expected %s (type 0x01)", path,
                       signing->promise.vkey.name, expected);
    }
    return E_OK;
}

static enum err_code check_names(const struct signing *signing, const struct signing_files *files,
                                 struct err *err)
{
    const struct vkey *log = &signing->log.vkey, *ml_dsa = &signing->ml_dsa.vkey;
    if (log->type != SIGNATURE_ED25519) {
        return err_set(
            err, E_DENIED,
            "key file %s holds a key of type 0x%02x; a log signs with a key of courtroll "
            "keygen --type log, and one of ML-DSA-44 is given as ml-dsa-key",
            files->key, (unsigned)log->type);
    }
    if (files->ml_dsa_key != NULL &&
        (ml_dsa->type != SIGNATURE_ML_DSA_44 || strcmp(ml_dsa->name, log->name) != 0)) {
        return err_set(
            err, E_DENIED,
            "key file %s holds %s of type 0x%02x, expected %s of type 0x06: make it with "
            "courtroll keygen --type log --algorithm ml-dsa-44",
            files->ml_dsa_key, ml_dsa->name, (unsigned)ml_dsa->type, log->name);
    }
    return files->promise_key == NULL ? E_OK : check_promise_name(signing, files->promise_key, err);
}

enum err_code signing_open(struct signing *out, const struct signing_files *files, struct err *err)
{
    struct signing signing = { .signed_path = NULL };
    enum err_code rc = key_file_load_any(&signing.log, files->key, err);
    if (rc == E_OK && files->ml_dsa_key != NULL) {
        rc = key_file_load_any(&signing.ml_dsa, files->ml_dsa_key, err);
    }
    if (rc == E_OK && files->promise_key != NULL) {
        rc = key_file_load(&signing.promise, files->promise_key, err);
    }
    if (rc == E_OK) {
        rc = check_names(&signing, files, err);
    }
    if (rc != E_OK) {
        signing_close(&signing);
        return rc;
    }
    signing.signed_path = file_join(files->data_dir, "signed");
    signing.mark_path = files->mark == NULL ? NULL : mem_strdup(files->mark);
    *out = signing;
    return E_OK;
}

void signing_close(struct signing *signing)
{
    signer_clear(&signing->log);
    signer_clear(&signing->ml_dsa);
    signer_clear(&signing->promise);
    mem_free(signing->signed_path);
    mem_free(signing->mark_path);
}

const char *signing_origin(const struct signing *signing)
{
    return signing->log.vkey.name;
}

/* ML-DSA-44 signs with a time: the log's own. */
static enum err_code put_ml_dsa_line(struct buf *note, struct span text,
                                     const struct signing *signing, struct err *err)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return note_put_signature(note, text, &signing->ml_dsa,
                              now.tv_sec > 0 ? (uint64_t)now.tv_sec : 1, err);
}

enum err_code signing_sign(struct signing *signing, const struct checkpoint *checkpoint,
                           struct buf *note, struct err *err)
{
    struct buf text = BUF_INIT(CHECKPOINT_TEXT_MAX);
    struct buf signed_note = BUF_INIT(NOTE_BYTES_MAX);
    checkpoint_put(&text, checkpoint);
    enum err_code rc = note_put_signed(&signed_note, buf_span(&text), &signing->log, 0, err);
    if (rc == E_OK && signing->ml_dsa.ml_dsa != NULL) {
        rc = put_ml_dsa_line(&signed_note, buf_span(&text), signing, err);
    }
    if (rc == E_OK && signing->mark_path != NULL) {
        rc = file_replace(signing->mark_path, PATH_MODE, buf_span(&text), err);
    }
    if (rc == E_OK) {
        rc = file_replace(signing->signed_path, PATH_MODE, buf_span(&signed_note), err);
    }
    if (rc == E_OK) {
        rc = buf_append(note, buf_span(&signed_note), err);
    }
    buf_clear(&signed_note);
    buf_clear(&text);
    return rc;
}

enum err_code signing_reset_mark(struct signing *signing, const struct journal_head *head,
                                 struct err *err)
{
    struct checkpoint checkpoint = { .size = head->size, .root = head->root };
    snprintf(checkpoint.origin, sizeof checkpoint.origin, "%s", signing_origin(signing));
    struct buf text = BUF_INIT(CHECKPOINT_TEXT_MAX);
    checkpoint_put(&text, &checkpoint);
    enum err_code rc = file_replace(signing->mark_path, PATH_MODE, buf_span(&text), err);
    buf_clear(&text);
    return rc;
}

enum err_code signing_promise(const struct signing *signing, struct buf *note,
                              const uint64_t *indices, const struct hash *leaves, size_t count,
                              struct err *err)
{
    assert(signing->promise.key != NULL);
    struct promise_item *items = mem_calloc(count, sizeof *items);
    for (size_t i = 0; i < count; i++) {
        items[i] = (struct promise_item){ .index = indices[i], .leaf = leaves[i] };
    }
    struct buf text = BUF_INIT(NOTE_BYTES_MAX);
    promise_put_text(&text, signing_origin(signing), items, count);
    enum err_code rc = note_put_signed(note, buf_span(&text), &signing->promise, 0, err);
    buf_clear(&text);
    mem_free(items);
    return rc;
}

/* The tree at the checkpoint's size must have its root. */
static enum err_code compare_with_tree(const struct checkpoint *checkpoint,
                                       const struct recovered *recovered, struct journal *journal,
                                       struct tiles *tiles, struct err *err)
{
    struct edge edge;
    edge_init(&edge);
    enum err_code rc = recovered_edge_at(recovered, &edge, checkpoint->size, journal, tiles, err);
    struct hash root = { { 0 } };
    if (rc == E_OK) {
        root = edge_root(&edge);
    }
    edge_clear(&edge);
    if (rc != E_OK) {
        return rc;
    }
    if (!hash_is_equal(&root, &checkpoint->root)) {
        return err_set(err, E_CORRUPT, "the tree of %llu entries has another root",
                       (unsigned long long)checkpoint->size);
    }
    return E_OK;
}

/* E_NOT_FOUND: nothing was ever signed. */
static enum err_code read_signed(const struct signing *signing, struct checkpoint *out,
                                 struct err *err)
{
    struct buf note = BUF_INIT(NOTE_BYTES_MAX);
    enum err_code rc = file_read(&note, signing->signed_path, err);
    if (rc == E_OK && checkpoint_open(out, buf_span(&note), &signing->log.vkey,
                                      signing_origin(signing), err) != E_OK) {
        rc = E_CORRUPT;
    }
    buf_clear(&note);
    return rc;
}

static enum err_code read_mark(const struct signing *signing, struct checkpoint *out,
                               struct err *err)
{
    struct buf text = BUF_INIT(CHECKPOINT_TEXT_MAX);
    enum err_code rc = file_read(&text, signing->mark_path, err);
    if (rc == E_OK) {
        rc = checkpoint_parse(out, buf_span(&text), err);
    }
    buf_clear(&text);
    return rc;
}

void signing_wanted_sizes(const struct signing *signing, struct recovery_sizes *sizes)
{
    struct checkpoint checkpoint;
    struct err err; /* is told by the check */
    if (read_signed(signing, &checkpoint, &err) == E_OK) {
        recovery_sizes_add(sizes, checkpoint.size);
    }
    if (signing->mark_path != NULL && read_mark(signing, &checkpoint, &err) == E_OK) {
        recovery_sizes_add(sizes, checkpoint.size);
    }
}

static enum err_code check_signed(const struct signing *signing, const struct recovered *recovered,
                                  struct journal *journal, struct tiles *tiles, bool *has_signed,
                                  struct err *err)
{
    struct checkpoint checkpoint;
    enum err_code rc = read_signed(signing, &checkpoint, err);
    *has_signed = rc == E_OK;
    if (rc == E_NOT_FOUND) {
        return E_OK;
    }
    if (rc == E_OK) {
        rc = compare_with_tree(&checkpoint, recovered, journal, tiles, err);
    }
    if (rc != E_OK) {
        rc = err_set(err, E_CORRUPT, "the checkpoint signed last (%s) is not of this tree: %s",
                     signing->signed_path, err->msg);
    }
    return rc;
}

/* E_OK: it says what this log has signed, if the journal has that or not. */
static enum err_code read_own_mark(const struct signing *signing, struct checkpoint *mark,
                                   struct err *err)
{
    enum err_code rc = read_mark(signing, mark, err);
    if (rc == E_OK && strcmp(mark->origin, signing_origin(signing)) != 0) {
        rc = err_set(err, E_CORRUPT, "it is the mark of another log");
    }
    return rc;
}

enum err_code signing_check_start(struct signing *signing, const struct recovered *recovered,
                                  struct journal *journal, struct tiles *tiles,
                                  enum signing_check *check, struct err *err)
{
    bool has_signed = false;
    enum err_code rc = check_signed(signing, recovered, journal, tiles, &has_signed, err);
    if (rc != E_OK) {
        return rc;
    }
    if (signing->mark_path == NULL) {
        *check = SIGNING_CHECK_IMPOSSIBLE;
        return E_OK;
    }
    struct checkpoint mark;
    rc = read_own_mark(signing, &mark, err);
    if (rc == E_NOT_FOUND && !has_signed && journal_head(journal).size == 0) {
        *check = SIGNING_CHECK_PASSED; /* a new log: nothing has ever been signed */
        return E_OK;
    }
    *check = SIGNING_CHECK_FAILED;
    if (rc == E_OK) {
        rc = compare_with_tree(&mark, recovered, journal, tiles, err);
        *check = rc == E_OK ? SIGNING_CHECK_PASSED : SIGNING_CHECK_LOST;
    }
    if (rc != E_OK) {
        err_wrap(err, "mark %s", signing->mark_path);
    }
    return E_OK;
}
