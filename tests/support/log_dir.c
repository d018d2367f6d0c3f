#include "tests/support/log_dir.h"

#include "base/alloc.h"
#include "base/file.h"
#include "tests/support/files.h"
#include "tests/support/keys.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

static void must(enum err_code rc, const struct err *err)
{
    if (rc != E_OK) {
        fprintf(stderr, "test support: %s\n", err->msg);
        abort();
    }
}

void log_dir_put_entry(struct buf *out, uint64_t index)
{
    size_t len = index % 7 == 3 ? 0 : (size_t)(index * 37 % 501);
    if (len == 0) {
        return;
    }
    uint8_t *bytes = buf_extend(out, len);
    uint64_t state = index * UINT64_C(0x9e3779b97f4a7c15) + 1;
    for (size_t i = 0; i < len; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes[i] = (uint8_t)state;
    }
}

void log_dir_write(const struct log_dir *dir, const char *name, struct span bytes)
{
    struct err err;
    char *path = files_join(dir->path, name);
    char *parent = mem_strdup(path);
    *strrchr(parent, '/') = '\0';
    must(file_make_directory(parent, 0755, &err), &err);
    files_write(path, bytes);
    mem_free(parent);
    free(path);
}

static void write_resource(void *ctx, const struct tile_path *path, struct span bytes)
{
    const struct log_dir *dir = ctx;
    struct buf name = BUF_INIT(TILE_PATH_MAX + 1);
    if (path->is_bundle) {
        bundle_path_append(&name, path->id.index, path->width);
    } else {
        tile_path_append(&name, path->id, path->width);
    }
    log_dir_write(dir, buf_c_str(&name), bytes);
    buf_clear(&name);
}

static void make_policy(struct log_dir *dir)
{
    struct err err;
    struct buf *out = &dir->policy_bytes;
    buf_init(out, POLICY_BYTES_MAX);
    buf_put_str(out, "log ");
    vkey_put(out, &dir->log.vkey);
    for (int i = 0; i < LOG_DIR_WITNESSES; i++) {
        buf_putf(out, "\nwitness w%d ", i + 1);
        vkey_put(out, &dir->witnesses[i].vkey);
    }
    buf_put_str(out, "\ngroup g 2 w1 w2 w3\nquorum g\n");
    must(policy_parse(&dir->policy, buf_span(out), &err), &err);
}

void log_dir_put_note(struct buf *out, const struct log_dir *dir, uint64_t size,
                      const struct hash *root, size_t witness_count)
{
    struct checkpoint checkpoint = { .size = size, .root = *root };
    snprintf(checkpoint.origin, sizeof checkpoint.origin, "%s", dir->log.vkey.name);
    struct buf text = BUF_INIT(CHECKPOINT_TEXT_MAX);
    checkpoint_put(&text, &checkpoint);
    keys_put_signed(out, buf_span(&text), &dir->log, 0);
    for (size_t i = 0; i < witness_count; i++) {
        keys_put_signature(out, buf_span(&text), &dir->witnesses[i], LOG_DIR_TIME + i);
    }
    buf_clear(&text);
}

void log_dir_grow(struct log_dir *dir, uint64_t size)
{
    struct buf entry = BUF_INIT(ENTRY_BYTES_MAX);
    for (uint64_t i = edge_size(dir->edge); i < size; i++) {
        buf_reset(&entry);
        log_dir_put_entry(&entry, i);
        struct hash leaf = merkle_leaf_hash(buf_span(&entry));
        edge_append(dir->edge, buf_span(&entry), &leaf, write_resource, dir);
    }
    buf_clear(&entry);
    edge_put_partials(dir->edge, write_resource, dir);
    struct hash root = edge_root(dir->edge);
    buf_reset(&dir->note);
    log_dir_put_note(&dir->note, dir, size, &root, LOG_DIR_WITNESSES);
    snprintf(dir->checkpoint.origin, sizeof dir->checkpoint.origin, "%s", dir->log.vkey.name);
    dir->checkpoint.size = size;
    dir->checkpoint.root = root;
    log_dir_write(dir, "checkpoint", buf_span(&dir->note));
}

void log_dir_make(struct log_dir *dir, const char *path, uint64_t size)
{
    *dir = (struct log_dir){ .path = mem_strdup(path) };
    dir->log = keys_signer("example.com/log", SIGNATURE_ED25519, "log");
    dir->witnesses[0] = keys_signer("w1.example.com", SIGNATURE_COSIGNATURE, "w1");
    dir->witnesses[1] = keys_signer("w2.example.com", SIGNATURE_COSIGNATURE, "w2");
    dir->witnesses[2] = keys_signer("w3.example.com", SIGNATURE_COSIGNATURE, "w3");
    make_policy(dir);
    buf_init(&dir->note, NOTE_BYTES_MAX);
    dir->edge = NEW(struct edge);
    edge_init(dir->edge);
    log_dir_grow(dir, size);
}

void log_dir_clear(struct log_dir *dir)
{
    signer_clear(&dir->log);
    for (int i = 0; i < LOG_DIR_WITNESSES; i++) {
        signer_clear(&dir->witnesses[i]);
    }
    policy_free(dir->policy);
    buf_clear(&dir->policy_bytes);
    buf_clear(&dir->note);
    edge_clear(dir->edge);
    mem_free(dir->edge);
    mem_free(dir->path);
}
