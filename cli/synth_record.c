#include "cli/synth_record.h"

#include "base/alloc.h"
#include "base/file.h"
#include "cli/synth_draft.h"
#include "record/payload.h"
#include "tlog/merkle.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

struct synth_recorder {
    const struct synth_world *world; /* borrowed */
    const char *origin;              /* borrowed */
    struct hash origin_hash;
    FILE *entries, *certificates, *registrations; /* owned */
    uint64_t count;
    struct draft draft;
    struct buf scratch; /* of certificates */
};

/* ---- files ---- */

static FILE *make_file(const char *dir, const char *name, struct err *err)
{
    char *path = file_join(dir, name);
    FILE *file = fopen(path, "wxe");
    if (file == NULL) {
        err_set_errno(err, errno == EEXIST ? E_EXISTS : E_IO, errno, "%s", path);
    }
    mem_free(path);
    return file;
}

static enum err_code put_framed(FILE *file, struct span bytes, struct err *err)
{
    const uint8_t length[] = { (uint8_t)(bytes.len >> 8), (uint8_t)bytes.len };
    assert(bytes.len <= ENTRY_BYTES_MAX);
    if (fwrite(length, sizeof length, 1, file) != 1 ||
        (bytes.len > 0 && fwrite(bytes.data, bytes.len, 1, file) != 1)) {
        return err_set_errno(err, E_IO, errno, "the entries");
    }
    return E_OK;
}

static enum err_code put_entry(struct synth_recorder *recorder, struct span entry,
                               struct span certificate, struct err *err)
{
    enum err_code rc = put_framed(recorder->entries, entry, err);
    if (rc == E_OK) {
        rc = put_framed(recorder->certificates, certificate, err);
    }
    if (rc == E_OK) {
        recorder->count++;
    }
    return rc;
}

/* ---- registrations ---- */

static enum err_code put_registration(struct synth_recorder *recorder, unsigned i, uint64_t minute,
                                      struct err *err)
{
    const struct synth_submitter *submitter = &recorder->world->submitters[i];
    struct operation operation = { .kind = kind_find(KIND_SUBMITTER),
                                   .minute = minute,
                                   .submitter = submitter->id };
    struct registration *registration = &operation.registration;
    registration->key = submitter->public;
    registration->roles = UINT32_C(1) << submitter->role;
    registration->from = minute;
    snprintf(registration->name, sizeof registration->name, "%s", submitter->name);
    if (i < SYNTH_COURTS) { /* the others serve all courts */
        registration->court_count = 1;
        registration->courts[0] = court_tag_make(span_of_str(recorder->world->courts[i].code));
    }
    struct buf entry = BUF_INIT(OPERATION_BYTES_MAX);
    enum err_code rc =
        operation_put_signed(&entry, &operation, recorder->origin, submitter->key, err);
    if (rc == E_OK) {
        rc = put_entry(recorder, buf_span(&entry), (struct span){ NULL, 0 }, err);
    }
    if (rc == E_OK) {
        rc = put_framed(recorder->registrations, buf_span(&entry), err);
    }
    buf_clear(&entry);
    return rc;
}

enum err_code synth_recorder_open(struct synth_recorder **out, const struct synth_world *world,
                                  const char *dir, const char *origin, uint64_t minute,
                                  struct err *err)
{
    struct synth_recorder *recorder = NEW(struct synth_recorder);
    recorder->world = world;
    recorder->origin = origin;
    recorder->origin_hash = sha256(span_of_str(origin));
    synth_draft_init(&recorder->draft);
    buf_init(&recorder->scratch, CERTIFICATE_BYTES);
    enum err_code rc = E_OK;
    recorder->entries = make_file(dir, "entries", err);
    recorder->certificates = recorder->entries != NULL ? make_file(dir, "certificates", err) : NULL;
    if (recorder->certificates != NULL) {
        recorder->registrations = make_file(dir, "registrations", err);
    }
    if (recorder->registrations == NULL) {
        rc = err->code;
    }
    for (unsigned i = 0; rc == E_OK && i < SYNTH_SUBMITTERS; i++) {
        rc = put_registration(recorder, i, minute, err);
    }
    if (rc != E_OK) {
        struct err ignored; /* the first one is told */
        (void)!synth_recorder_close(recorder, &ignored);
        return rc;
    }
    *out = recorder;
    return E_OK;
}

/* ---- operations ---- */

/* Salts and keys of one record: never used for another. */
static void make_random(uint8_t out[static PAYLOAD_RANDOM_BYTES],
                        const struct synth_operation *operation)
{
    static_assert(PAYLOAD_RANDOM_BYTES < 256 * HASH_BYTES, "a counter of one byte is enough");
    uint64_t which = (uint64_t)operation->ordinal << 8 | (uint64_t)operation->fault;
    struct hash secret =
        synth_world_secret(operation->of->world, "salts", operation->of->id, which);
    uint8_t counter = 0;
    for (size_t done = 0; done < PAYLOAD_RANDOM_BYTES; done += HASH_BYTES, counter++) {
        const struct span parts[] = { hash_span(&secret), span_of(&counter, 1) };
        struct hash block = sha256_parts(parts, 2);
        size_t left = PAYLOAD_RANDOM_BYTES - done;
        memcpy(out + done, block.bytes, left < HASH_BYTES ? left : HASH_BYTES);
    }
    crypto_wipe(&secret, sizeof secret);
}

static enum err_code compose(struct payload *out, struct synth_recorder *recorder,
                             const struct synth_operation *operation, const struct case_key *key,
                             const struct payload *sealed, struct err *err)
{
    const struct synth_world *world = recorder->world;
    const struct synth_submitter *submitter =
        &world->submitters[synth_case_submitter(operation->of, operation->by)];
    uint8_t random[PAYLOAD_RANDOM_BYTES];
    struct composition how = { .origin = recorder->origin,
                               .case_key = key,
                               .submitter_key = submitter->key,
                               .submitter_public = submitter->public,
                               .number = operation->number,
                               .sealed = sealed,
                               .random = random };
    struct signing_key *rogue = NULL;
    if (operation->is_rogue) {
        struct hash seed = synth_world_secret(world, "rogue key", operation->of->id, 0);
        rogue = signing_key_from_seed(seed.bytes);
        how.submitter_key = rogue;
        how.submitter_public = signing_key_public(rogue);
    }
    make_random(random, operation);
    synth_draft_make(&recorder->draft, operation, &recorder->origin_hash);
    enum err_code rc = payload_compose(out, &recorder->draft, &how, err);
    signing_key_free(rogue);
    crypto_wipe(random, sizeof random);
    return rc;
}

/* The sealed operation again, as it was. */
static struct synth_operation sealed_again(const struct synth_operation *operation)
{
    const struct synth_sealed *sealed = &operation->unseals;
    return (struct synth_operation){ .of = operation->of,
                                     .kind = sealed->kind,
                                     .by = SYNTH_BY_COURT,
                                     .is_sealed = true,
                                     .minute = sealed->minute,
                                     .ordinal = sealed->ordinal,
                                     .number = sealed->number };
}

static enum err_code write_payload(struct synth_recorder *recorder,
                                   struct synth_operation *operation, struct payload *payload,
                                   struct err *err)
{
    struct span certificate = { NULL, 0 };
    if (operation->is_bad) { /* cut off in its signature */
        buf_truncate(&payload->record, payload->record.len - 1 - operation->of->id % 40);
    }
    if (payload->has_certificate && operation->is_sealed) {
        buf_reset(&recorder->scratch);
        certificate_put(&recorder->scratch, &payload->certificate);
        certificate = buf_span(&recorder->scratch);
    }
    operation->index = recorder->count;
    operation->leaf = merkle_leaf_hash(buf_span(&payload->record));
    return put_entry(recorder, buf_span(&payload->record), certificate, err);
}

enum err_code synth_recorder_put(struct synth_recorder *recorder, struct synth_operation *operation,
                                 struct err *err)
{
    struct case_key key = synth_case_key(operation->of);
    struct payload payload, sealed;
    payload_init(&payload);
    payload_init(&sealed);
    enum err_code rc = E_OK;
    if (operation->is_unseal) {
        struct synth_operation again = sealed_again(operation);
        rc = compose(&sealed, recorder, &again, &key, NULL, err);
    }
    if (rc == E_OK) {
        rc = compose(&payload, recorder, operation, &key, operation->is_unseal ? &sealed : NULL,
                     err);
    }
    if (rc == E_OK) {
        rc = write_payload(recorder, operation, &payload, err);
    } else {
        err_wrap(err, "case %ju, operation %u", (uintmax_t)operation->of->id,
                 (unsigned)operation->ordinal);
    }
    payload_clear(&payload);
    payload_clear(&sealed);
    case_key_wipe(&key);
    return rc;
}

uint64_t synth_recorder_count(const struct synth_recorder *recorder)
{
    return recorder->count;
}

enum err_code synth_recorder_close(struct synth_recorder *recorder, struct err *err)
{
    enum err_code rc = E_OK;
    if (recorder == NULL) {
        return rc;
    }
    FILE *files[] = { recorder->entries, recorder->certificates, recorder->registrations };
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        if (files[i] != NULL && fclose(files[i]) != 0) {
            rc = err_set_errno(err, E_IO, errno, "the entries");
        }
    }
    draft_clear(&recorder->draft);
    buf_clear(&recorder->scratch);
    mem_free(recorder);
    return rc;
}
