#include "client/submitter.h"

#include "base/alloc.h"
#include "base/log.h"
#include "client/submitter_parts.h"
#include "store/key_file.h"
#include "tlog/merkle.h"

#include <assert.h>
#include <limits.h>
#include <stdio.h>

/* ---- open and close ---- */

static enum err_code load_keys(struct submitter *submitter, const struct submitter_options *options,
                               struct err *err)
{
    bool has_any = options->key_path != NULL || options->payload_dir != NULL ||
                   options->payload_key_path != NULL;
    if (!has_any) {
        return E_OK;
    }
    if (options->key_path == NULL || options->payload_dir == NULL ||
        options->payload_key_path == NULL) {
        return err_set(err, E_MALFORMED,
                       "operations need all three: submitter key, payload directory, payload key");
    }
    enum err_code rc = key_file_load(&submitter->key, options->key_path, err);
    if (rc == E_OK) {
        submitter->has_key = true;
        rc = vkey_require_type(&submitter->key.vkey, SIGNATURE_ED25519, err);
    }
    if (rc == E_OK) {
        submitter->id = submitter_id_make(&submitter->key.vkey.key);
        rc = payload_dir_open(&submitter->payloads, options->payload_dir, options->payload_key_path,
                              err);
    }
    return rc;
}

/* A decoy's receipt is of no use to anyone. */
static void forget_decoy(struct submitter *submitter, const struct spool_receipt *receipt)
{
    struct err err;
    if (receipt->is_refused) {
        log_event(LOG_LEVEL_WARN, "decoy_refused", "words=%s",
                  log_quoted_str(receipt->refusal).text);
    }
    if (spool_forget(submitter->spool, receipt->ticket, &err) != E_OK) {
        log_error(LOG_LEVEL_WARN, "decoy_kept", &err);
    }
}

static void on_spool_receipt(void *ctx, const struct spool_receipt *receipt)
{
    struct submitter *submitter = ctx;
    if (span_is_equal(receipt->id, SUBMITTER_DECOY_ID)) {
        pthread_mutex_lock(&submitter->opening);
        pthread_mutex_unlock(&submitter->opening);
        forget_decoy(submitter, receipt);
    } else if (submitter->on_receipt != NULL) {
        submitter->on_receipt(submitter->ctx, receipt);
    }
}

static enum err_code open_spool(struct submitter *submitter, const struct spool_options *options,
                                struct err *err)
{
    struct spool_options ours = *options;
    submitter->ctx = options->ctx;
    submitter->on_receipt = options->on_receipt;
    ours.ctx = submitter;
    ours.on_receipt = on_spool_receipt;
    pthread_mutex_lock(&submitter->opening);
    enum err_code rc = spool_open(&submitter->spool, &ours, err);
    pthread_mutex_unlock(&submitter->opening);
    return rc;
}

enum err_code submitter_open(struct submitter **out, const struct submitter_options *options,
                             struct err *err)
{
    struct submitter *submitter = NEW(struct submitter);
    submitter->origin = mem_strdup(options->spool.origin);
    submitter->is_vouched = options->is_vouched;
    pthread_mutex_init(&submitter->opening, NULL);
    for (size_t i = 0; i < SUBMITTER_STRIPES; i++) {
        pthread_mutex_init(&submitter->stripes[i], NULL);
    }
    enum err_code rc = load_keys(submitter, options, err);
    if (rc == E_OK) {
        rc = open_spool(submitter, &options->spool, err);
    }
    if (rc == E_OK && options->decoys_per_hour > 0) {
        rc = decoys_start(&submitter->decoys, submitter, options, err);
    }
    if (rc != E_OK) {
        submitter_close(submitter);
        return rc;
    }
    *out = submitter;
    return E_OK;
}

void submitter_close(struct submitter *submitter)
{
    if (submitter == NULL) {
        return;
    }
    decoys_stop(submitter->decoys);
    spool_close(submitter->spool);
    payload_dir_close(&submitter->payloads);
    if (submitter->has_key) {
        signer_clear(&submitter->key);
    }
    for (size_t i = 0; i < SUBMITTER_STRIPES; i++) {
        pthread_mutex_destroy(&submitter->stripes[i]);
    }
    pthread_mutex_destroy(&submitter->opening);
    mem_free(submitter->origin);
    mem_free(submitter);
}

struct spool *submitter_spool(struct submitter *submitter)
{
    return submitter->spool;
}

const struct payload_dir *submitter_payload_dir(const struct submitter *submitter)
{
    return submitter->has_key ? &submitter->payloads : NULL;
}

struct each {
    void *ctx;
    enum err_code (*on_receipt)(void *ctx, const struct spool_receipt *receipt, struct err *err);
};

static enum err_code on_kept(void *ctx, const struct spool_receipt *receipt, struct err *err)
{
    const struct each *each = ctx;
    if (span_is_equal(receipt->id, SUBMITTER_DECOY_ID)) {
        return E_OK;
    }
    return each->on_receipt(each->ctx, receipt, err);
}

enum err_code submitter_each_receipt(
    struct submitter *submitter,
    enum err_code (*on_receipt)(void *ctx, const struct spool_receipt *receipt, struct err *err),
    void *ctx, struct err *err)
{
    struct each each = { ctx, on_receipt };
    return spool_each_receipt(submitter->spool, on_kept, &each, err);
}

/* ---- cases ---- */

struct hash submitter_case_id(const struct submitter *submitter, const struct case_key *key)
{
    const struct span parts[] = { span_of_str("courtroll/spool-case/v1"),
                                  SPAN_OF_ARRAY(submitter->id.bytes) };
    return hmac_sha256(SPAN_OF_ARRAY(key->bytes), parts, 2);
}

static void lock_stripes(struct submitter *submitter, uint64_t stripes)
{
    for (size_t i = 0; i < SUBMITTER_STRIPES; i++) {
        if ((stripes >> i & 1) != 0) {
            pthread_mutex_lock(&submitter->stripes[i]);
        }
    }
}

static void unlock_stripes(struct submitter *submitter, uint64_t stripes)
{
    for (size_t i = 0; i < SUBMITTER_STRIPES; i++) {
        if ((stripes >> i & 1) != 0) {
            pthread_mutex_unlock(&submitter->stripes[i]);
        }
    }
}

/* ---- composing ---- */

struct batch {
    size_t count;
    struct payload *payloads; /* `composed` of them */
    size_t composed;
    struct hash *case_ids;
    uint64_t *numbers;
    uint64_t stripes;
    struct buf certificates; /* CERTIFICATE_BYTES each */
    struct spool_item *items;
};

static void batch_clear(struct batch *batch)
{
    for (size_t i = 0; i < batch->composed; i++) {
        payload_clear(&batch->payloads[i]);
    }
    mem_free(batch->payloads);
    mem_free(batch->case_ids);
    mem_free(batch->numbers);
    mem_free(batch->items);
    buf_clear(&batch->certificates);
}

static void batch_init(struct batch *batch, const struct submitter *submitter,
                       const struct submission_draft *drafts, size_t count)
{
    *batch = (struct batch){ .count = count };
    batch->payloads = mem_calloc(count, sizeof batch->payloads[0]);
    batch->case_ids = mem_calloc(count, sizeof batch->case_ids[0]);
    batch->numbers = mem_calloc(count, sizeof batch->numbers[0]);
    batch->items = mem_calloc(count, sizeof batch->items[0]);
    buf_init(&batch->certificates, count * CERTIFICATE_BYTES);
    (void)buf_extend(&batch->certificates, batch->certificates.max); /* it must not move */
    buf_reset(&batch->certificates);
    for (size_t i = 0; i < count; i++) {
        batch->case_ids[i] = submitter_case_id(submitter, drafts[i].case_key);
        batch->stripes |= UINT64_C(1) << (batch->case_ids[i].bytes[0] % SUBMITTER_STRIPES);
    }
}

/* One behind the last of the case in this batch, or the spool's next. */
static enum err_code find_number(struct submitter *submitter, struct batch *batch, size_t i,
                                 struct err *err)
{
    for (size_t k = i; k > 0; k--) {
        if (hash_is_equal(&batch->case_ids[k - 1], &batch->case_ids[i])) {
            batch->numbers[i] = batch->numbers[k - 1] + 1;
            return E_OK;
        }
    }
    return spool_next_number(submitter->spool, &batch->case_ids[i], &batch->numbers[i], err);
}

/* The name under which a sealed payload is kept: nobody without the case key can tell whose it is. */
static struct hash sealed_name(const struct case_key *key, const char *id)
{
    const struct span parts[] = { span_of_str("courtroll/sealed-name/v1"), span_of_str(id) };
    return hmac_sha256(SPAN_OF_ARRAY(key->bytes), parts, 2);
}

/* The sealed one of that id before `i`, in this batch; NULL: it is on the disk, or nowhere. */
static const struct payload *find_composed(const struct batch *batch, size_t i,
                                           const struct submission_draft *drafts, const char *id)
{
    for (size_t k = i; k > 0; k--) {
        if (drafts[k - 1].draft->is_sealed && strcmp(drafts[k - 1].draft->id, id) == 0 &&
            hash_is_equal(&batch->case_ids[k - 1], &batch->case_ids[i])) {
            return &batch->payloads[k - 1];
        }
    }
    return NULL;
}

/* *found is what draft `i` opens: one of the batch, or `room`, read from the disk; NULL when it opens nothing. */
static enum err_code find_unsealed(struct submitter *submitter, const struct batch *batch, size_t i,
                                   const struct submission_draft *drafts, struct payload *room,
                                   const struct payload **found, struct err *err)
{
    const struct draft *draft = drafts[i].draft;
    const char *unseal = draft->unseal;
    struct buf path = BUF_INIT(PATH_MAX);
    *found = NULL;
    if (draft->kind->class != KIND_OF_UNSEAL) {
        return E_OK;
    }
    if (unseal[0] == 0) {
        return err_set(err, E_MALFORMED, "unseal: the path of the sealed payload is missing");
    }
    if (strncmp(unseal, DRAFT_UNSEAL_ID, strlen(DRAFT_UNSEAL_ID)) == 0) {
        const char *id = unseal + strlen(DRAFT_UNSEAL_ID);
        struct hash name = sealed_name(drafts[i].case_key, id);
        *found = find_composed(batch, i, drafts, id);
        payload_dir_put_name_path(&path, &submitter->payloads, &name);
    } else {
        buf_put_str(&path, unseal);
    }
    enum err_code rc = E_OK;
    if (*found == NULL) {
        *found = room;
        rc = payload_dir_read(&submitter->payloads, buf_c_str(&path), room, err);
    }
    buf_clear(&path);
    return rc == E_OK ? E_OK : err_wrap(err, "unseal");
}

static enum err_code compose(struct submitter *submitter, struct batch *batch, size_t i,
                             const struct submission_draft *drafts, struct err *err)
{
    uint8_t random[PAYLOAD_RANDOM_BYTES];
    const struct submission_draft *from = &drafts[i];
    const struct payload *sealed = NULL;
    struct payload room;
    payload_init(&room);
    enum err_code rc = find_number(submitter, batch, i, err);
    if (rc == E_OK) {
        rc = find_unsealed(submitter, batch, i, drafts, &room, &sealed, err);
    }
    if (rc == E_OK) {
        crypto_random(random, sizeof random);
        const struct composition how = { .origin = submitter->origin,
                                         .case_key = from->case_key,
                                         .submitter_key = submitter->key.key,
                                         .submitter_public = submitter->key.vkey.key,
                                         .number = batch->numbers[i],
                                         .is_vouched = submitter->is_vouched,
                                         .sealed = sealed,
                                         .random = random };
        payload_init(&batch->payloads[i]);
        rc = payload_compose(&batch->payloads[i], from->draft, &how, err);
        batch->composed = i + 1;
        crypto_wipe(random, sizeof random);
    }
    payload_clear(&room);
    return rc;
}

static void make_item(struct batch *batch, size_t i, const struct submission_draft *from)
{
    const struct payload *payload = &batch->payloads[i];
    size_t before = batch->certificates.len;
    if (payload->has_certificate) {
        certificate_put(&batch->certificates, &payload->certificate);
    }
    batch->items[i] = (struct spool_item){
        .entry = buf_span(&payload->record),
        .certificate =
            span_slice(buf_span(&batch->certificates), before, batch->certificates.len - before),
        .is_sealed = payload->has_certificate,
        .case_id = batch->case_ids[i],
        .has_number = true,
        .number = batch->numbers[i],
        .id = span_of_str(from->draft->id),
    };
}

/* So that an UNSEAL finds what it opens. */
static enum err_code name_sealed(struct submitter *submitter, const struct batch *batch,
                                 const struct submission_draft *drafts, struct err *err)
{
    enum err_code rc = E_OK;
    size_t named = 0;
    for (size_t i = 0; i < batch->count && rc == E_OK; i++) {
        if (drafts[i].draft->is_sealed && drafts[i].draft->id[0] != 0) {
            struct hash name = sealed_name(drafts[i].case_key, drafts[i].draft->id);
            struct hash leaf = merkle_leaf_hash(buf_span(&batch->payloads[i].record));
            rc = payload_dir_put_name(&submitter->payloads, &name, &leaf, err);
            named++;
        }
    }
    return rc == E_OK && named > 0 ? payload_dir_sync_names(&submitter->payloads, err) : rc;
}

static enum err_code write_payloads(struct submitter *submitter, const struct batch *batch,
                                    const struct submission_draft *drafts, struct err *err)
{
    enum err_code rc = payload_dir_write(&submitter->payloads, batch->payloads, batch->count, err);
    if (rc == E_OK && name_sealed(submitter, batch, drafts, err) != E_OK) {
        payload_dir_remove(&submitter->payloads, batch->payloads, batch->count);
        return err->code;
    }
    return rc;
}

/* With the stripes locked. */
static enum err_code put(struct submitter *submitter, struct batch *batch,
                         const struct submission_draft *drafts, uint64_t *first_ticket,
                         size_t *failed, struct err *err)
{
    for (size_t i = 0; i < batch->count; i++) {
        if (compose(submitter, batch, i, drafts, err) != E_OK) {
            *failed = i;
            return err->code;
        }
        make_item(batch, i, &drafts[i]);
    }
    enum err_code rc = write_payloads(submitter, batch, drafts, err);
    if (rc == E_OK) {
        rc = spool_put(submitter->spool, batch->items, batch->count, first_ticket, err);
        /* After a failed write a crash may leave the records in the spool: what would open them stays. */
        if (rc != E_OK && rc != E_IO) {
            payload_dir_remove(&submitter->payloads, batch->payloads, batch->count);
        }
    }
    return rc;
}

enum err_code submitter_put(struct submitter *submitter, const struct submission_draft *drafts,
                            size_t count, uint64_t *first_ticket, size_t *failed, struct err *err)
{
    struct batch batch;
    assert(count >= 1 && count <= SUBMITTER_BATCH_MAX);
    *failed = count;
    if (!submitter->has_key) {
        return err_set(err, E_UNSUPPORTED, "opened without a submitter key: entries only");
    }
    batch_init(&batch, submitter, drafts, count);
    lock_stripes(submitter, batch.stripes);
    enum err_code rc = put(submitter, &batch, drafts, first_ticket, failed, err);
    unlock_stripes(submitter, batch.stripes);
    batch_clear(&batch);
    return rc;
}

enum err_code submitter_put_entry(struct submitter *submitter, struct span entry, struct span order,
                                  struct span id, uint64_t *ticket, struct err *err)
{
    struct spool_item item = { .entry = entry, .id = id };
    if (order.len > 0) {
        const struct span parts[] = { span_of_str("courtroll/spool-order/v1\n"), order };
        item.case_id = sha256_parts(parts, 2);
    }
    return spool_put(submitter->spool, &item, 1, ticket, err);
}
