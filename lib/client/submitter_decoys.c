/* Decoys: sealed records of kind DECOY at random times, each in a case of its own, and their UNSEAL days later, so
 * that none is left overdue. Without them the rhythm of sealed records would tell how many measures a court takes.
 *
 * Of one that is to be opened the payload is a file in DIR/decoys, named after the time, and a random name from which,
 * with the payload key, its case key is derived; nothing else is kept. The file is there before the spool has the
 * decoy, and goes after it has the UNSEAL. What a crash left is seen by the next number of its case: 0, it was never
 * accepted; 1, it is to be opened; 2, it is. */
#include "base/alloc.h"
#include "base/ascii.h"
#include "base/file.h"
#include "base/log.h"
#include "client/spool_parts.h"
#include "client/submitter_parts.h"
#include "record/identifier.h"

#include <assert.h>
#include <dirent.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum {
    NAME_BYTES = 16,
    DIRECTORY_MODE = 0700,
    LOOK_MS = 60 * 1000, /* for decoys to be opened */
    MINUTE_MS = 60 * 1000,
    TICKS = 20, /* to a decoy, on average */
    TICK_MS_MIN = 10,
    TICK_MS_MAX = 1000,
    PER_HOUR_MAX = 36000,
    CHANCES = 1 << 30,
};

static const double HOUR_MS = 3600 * 1000;

static const uint64_t UNSEAL_MAX_MS = UINT64_C(7) * 24 * 60 * 60 * 1000;

struct decoys {
    struct submitter *submitter;
    double per_hour;
    char court[CASE_NUMBER_BYTES_MAX + 1];
    uint64_t unseal_max_ms, look_ms;
    char *dir; /* owned */
    pthread_t thread;
    pthread_mutex_t lock; /* guards is_over */
    pthread_cond_t wake;
    bool is_over;
};

struct decoy_name {
    uint64_t open_ms; /* since 1970 */
    uint8_t random[NAME_BYTES];
};

static uint64_t random_below(uint64_t bound)
{
    uint64_t random;
    crypto_random((uint8_t *)&random, sizeof random);
    return random % bound;
}

/* ---- names and keys ---- */

static void put_path(struct buf *out, const struct decoys *decoys, const struct decoy_name *name)
{
    buf_putf(out, "%s/%016" PRIx64 "-", decoys->dir, name->open_ms);
    hex_put(out, SPAN_OF_ARRAY(name->random));
}

static bool parse_name(struct decoy_name *out, const char *file)
{
    struct err err;
    struct span text = span_of_str(file);
    uint8_t time[sizeof out->open_ms];
    if (text.len != 2 * sizeof time + 1 + 2 * NAME_BYTES || file[2 * sizeof time] != '-' ||
        hex_decode(time, sizeof time, span_slice(text, 0, 2 * sizeof time), &err) != E_OK ||
        hex_decode(out->random, NAME_BYTES, span_slice(text, 2 * sizeof time + 1, 2 * NAME_BYTES),
                   &err) != E_OK) {
        return false;
    }
    struct span in = SPAN_OF_ARRAY(time);
    return span_take_u64(&in, &out->open_ms);
}

/* A case number that nobody will see, and a key: both from the name. */
static void derive_key(struct case_key *out, const struct decoys *decoys,
                       const struct decoy_name *name)
{
    const struct span parts[] = { span_of_str("courtroll/decoy-case/v1"),
                                  SPAN_OF_ARRAY(name->random) };
    struct hash key = hmac_sha256(SPAN_OF_ARRAY(decoys->submitter->payloads.key.bytes), parts, 2);
    static_assert(sizeof key == sizeof out->bytes, "one size of key");
    memcpy(out->bytes, key.bytes, sizeof out->bytes);
    crypto_wipe(&key, sizeof key);
    snprintf(out->number, sizeof out->number, "（2026）%.16s执%u号", decoys->court,
             1 + name->random[0] * 256U + name->random[1]);
}

/* ---- one decoy ---- */

static void draft_init(struct draft *draft, const struct decoys *decoys, const struct case_key *key,
                       uint32_t kind, uint64_t now_ms)
{
    *draft = (struct draft){ .kind = kind_find(kind), .minute = now_ms / MINUTE_MS };
    snprintf(draft->case_number, sizeof draft->case_number, "%s", key->number);
    snprintf(draft->court, sizeof draft->court, "%s", decoys->court);
    for (size_t i = 0; i < FIELDS; i++) {
        buf_init(&draft->fields[i], FIELD_VALUE_BYTES_MAX);
    }
}

/* What an older run was told may differ from what this one is told: the payload counts. */
static enum err_code take_text(char *out, size_t out_max, const struct buf *value, struct err *err)
{
    if (value->len == 0 || value->len >= out_max) {
        return err_set(err, E_CORRUPT, "a decoy's payload makes no sense");
    }
    memcpy(out, value->data, value->len);
    out[value->len] = 0;
    return E_OK;
}

/* `sealed` NULL: the decoy; else its UNSEAL. *out is to be cleared in any case. */
static enum err_code compose(const struct decoys *decoys, const struct case_key *key,
                             const struct payload *sealed, struct payload *out, struct err *err)
{
    const struct submitter *submitter = decoys->submitter;
    uint8_t random[PAYLOAD_RANDOM_BYTES];
    struct draft draft;
    crypto_random(random, sizeof random);
    draft_init(&draft, decoys, key, sealed == NULL ? KIND_DECOY : KIND_UNSEAL, spool_time_ms());
    draft.is_sealed = sealed == NULL;
    enum err_code rc = sealed == NULL ? E_OK
                                      : take_text(draft.court, sizeof draft.court,
                                                  &sealed->values[FIELD_COURT], err);
    const struct composition how = { .origin = submitter->origin,
                                     .case_key = key,
                                     .submitter_key = submitter->key.key,
                                     .submitter_public = submitter->key.vkey.key,
                                     .number = sealed == NULL ? 0 : 1,
                                     .is_vouched = submitter->is_vouched && sealed != NULL,
                                     .sealed = sealed,
                                     .random = random };
    payload_init(out);
    if (rc == E_OK) {
        rc = payload_compose(out, &draft, &how, err);
    }
    draft_clear(&draft);
    crypto_wipe(random, sizeof random);
    return rc;
}

static enum err_code put(struct decoys *decoys, const struct case_key *key,
                         const struct payload *payload, uint64_t number, struct err *err)
{
    struct buf certificate = BUF_INIT(CERTIFICATE_BYTES);
    if (payload->has_certificate) {
        certificate_put(&certificate, &payload->certificate);
    }
    const struct spool_item item = { .entry = buf_span(&payload->record),
                                     .certificate = buf_span(&certificate),
                                     .is_sealed = payload->has_certificate,
                                     .case_id = submitter_case_id(decoys->submitter, key),
                                     .has_number = true,
                                     .number = number,
                                     .id = SUBMITTER_DECOY_ID };
    enum err_code rc = spool_put(decoys->submitter->spool, &item, 1, NULL, err);
    buf_clear(&certificate);
    return rc;
}

static enum err_code write_file(const struct decoys *decoys, const struct decoy_name *name,
                                const struct payload *payload, struct err *err)
{
    struct buf json = BUF_INIT(PAYLOAD_BYTES_MAX);
    struct buf path = BUF_INIT(PATH_MAX);
    payload_put(&json, payload);
    put_path(&path, decoys, name);
    enum err_code rc = sealed_file_write(buf_c_str(&path), CIPHER_AES_256_GCM,
                                         &decoys->submitter->payloads.key, buf_span(&json), err);
    crypto_wipe_buf(&json);
    buf_clear(&path);
    return rc;
}

static enum err_code make_decoy(struct decoys *decoys, struct err *err)
{
    uint64_t now_ms = spool_time_ms();
    uint64_t quarter = decoys->unseal_max_ms / 4;
    struct decoy_name name = { .open_ms = now_ms + quarter +
                                          random_below(decoys->unseal_max_ms - quarter) };
    struct case_key key = { .number = "" };
    struct payload payload;
    crypto_random(name.random, sizeof name.random);
    derive_key(&key, decoys, &name);
    enum err_code rc = compose(decoys, &key, NULL, &payload, err);
    if (rc == E_OK) {
        rc = write_file(decoys, &name, &payload, err);
    }
    if (rc == E_OK) {
        rc = put(decoys, &key, &payload, 0, err);
    }
    payload_clear(&payload);
    case_key_wipe(&key);
    return rc;
}

/* ---- opening ---- */

static enum err_code unseal(struct decoys *decoys, const struct case_key *key,
                            const struct payload *sealed, struct err *err)
{
    struct payload payload;
    enum err_code rc = compose(decoys, key, sealed, &payload, err);
    if (rc == E_OK) {
        rc = put(decoys, key, &payload, 1, err);
    }
    payload_clear(&payload);
    return rc;
}

static enum err_code open_decoy(struct decoys *decoys, const struct decoy_name *name,
                                const char *path, struct err *err)
{
    struct case_key key = { .number = "" };
    struct payload sealed;
    uint64_t next = 0;
    enum err_code rc = payload_dir_read(&decoys->submitter->payloads, path, &sealed, err);
    if (rc == E_OK) {
        derive_key(&key, decoys, name);
        struct hash case_id = submitter_case_id(decoys->submitter, &key);
        rc = spool_next_number(decoys->submitter->spool, &case_id, &next, err);
    }
    if (rc == E_OK && next == 1) {
        rc = unseal(decoys, &key, &sealed, err);
    }
    payload_clear(&sealed);
    case_key_wipe(&key);
    return rc;
}

static void open_due(struct decoys *decoys)
{
    struct err err;
    struct decoy_name name;
    uint64_t now_ms = spool_time_ms();
    DIR *listing = opendir(decoys->dir);
    for (struct dirent *entry; listing != NULL && (entry = readdir(listing)) != NULL;) {
        if (!parse_name(&name, entry->d_name) || name.open_ms > now_ms) {
            continue;
        }
        char *path = file_join(decoys->dir, entry->d_name);
        if (open_decoy(decoys, &name, path, &err) == E_OK) {
            (void)unlink(path);
        } else {
            log_error(LOG_LEVEL_WARN, "decoy_not_opened", &err);
        }
        mem_free(path);
    }
    if (listing != NULL) {
        closedir(listing);
    }
}

/* ---- the thread ---- */

/* False when it is over. */
static bool wait_ms(struct decoys *decoys, uint64_t ms)
{
    uint64_t until = spool_now_ms() + ms;
    struct timespec time = { (time_t)(until / 1000), (long)(until % 1000) * 1000000 };
    int rc = 0;
    pthread_mutex_lock(&decoys->lock);
    while (!decoys->is_over && rc == 0) {
        rc = pthread_cond_timedwait(&decoys->wake, &decoys->lock, &time);
    }
    bool goes_on = !decoys->is_over;
    pthread_mutex_unlock(&decoys->lock);
    return goes_on;
}

/* Each tick one decoy, or mostly none, as chance has it: times that say nothing. */
static void *run(void *ctx)
{
    struct decoys *decoys = ctx;
    double tick = HOUR_MS / decoys->per_hour / TICKS;
    uint64_t tick_ms = tick < TICK_MS_MIN   ? TICK_MS_MIN
                       : tick > TICK_MS_MAX ? TICK_MS_MAX
                                            : (uint64_t)tick;
    double chance = decoys->per_hour * (double)tick_ms / HOUR_MS;
    uint64_t look_ms = 0;
    struct err err;
    while (wait_ms(decoys, tick_ms)) {
        if ((double)random_below(CHANCES) < chance * CHANCES && make_decoy(decoys, &err) != E_OK) {
            log_error(LOG_LEVEL_WARN, "decoy_not_made", &err);
        }
        if (spool_now_ms() >= look_ms) {
            open_due(decoys);
            look_ms = spool_now_ms() + decoys->look_ms;
        }
    }
    return NULL;
}

static enum err_code check_options(const struct submitter *submitter,
                                   const struct submitter_options *options, struct err *err)
{
    struct buf court = BUF_INIT(IDENTIFIER_BYTES_MAX);
    if (!submitter->has_key) {
        return err_set(err, E_MALFORMED, "decoys are operations: they need a submitter key");
    }
    if (options->decoy_court == NULL) {
        return err_set(err, E_MALFORMED, "decoys need the court that they seem to be of");
    }
    if (!(options->decoys_per_hour <= PER_HOUR_MAX)) {
        return err_set(err, E_MALFORMED, "at most %d decoys an hour", PER_HOUR_MAX);
    }
    enum err_code rc = identifier_put_court_code(&court, span_of_str(options->decoy_court), err);
    buf_clear(&court);
    return rc == E_OK ? E_OK : err_wrap(err, "decoy court");
}

static void init_wake(struct decoys *decoys)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&decoys->lock, NULL);
    pthread_cond_init(&decoys->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

enum err_code decoys_start(struct decoys **out, struct submitter *submitter,
                           const struct submitter_options *options, struct err *err)
{
    if (check_options(submitter, options, err) != E_OK) {
        return err->code;
    }
    struct buf court = BUF_INIT(CASE_NUMBER_BYTES_MAX);
    struct decoys *decoys = NEW(struct decoys);
    decoys->submitter = submitter;
    decoys->per_hour = options->decoys_per_hour;
    decoys->unseal_max_ms =
        options->decoy_unseal_max_ms != 0 ? options->decoy_unseal_max_ms : UNSEAL_MAX_MS;
    decoys->look_ms = decoys->unseal_max_ms / 8 < LOOK_MS ? decoys->unseal_max_ms / 8 : LOOK_MS;
    decoys->dir = file_join(options->spool.dir, "decoys");
    enum err_code rc = identifier_put_court_code(&court, span_of_str(options->decoy_court), err);
    if (rc == E_OK) {
        memcpy(decoys->court, court.data, court.len);
        rc = file_make_directory(decoys->dir, DIRECTORY_MODE, err);
    }
    buf_clear(&court);
    if (rc == E_OK && strlen(decoys->dir) + 64 > PATH_MAX) {
        rc = err_set(err, E_TOO_LARGE, "the path of the spool is too long");
    }
    init_wake(decoys);
    if (rc != E_OK || pthread_create(&decoys->thread, NULL, run, decoys) != 0) {
        mem_free(decoys->dir);
        mem_free(decoys);
        return rc != E_OK ? rc : err_set(err, E_IO, "no thread could be made");
    }
    *out = decoys;
    return E_OK;
}

void decoys_stop(struct decoys *decoys)
{
    if (decoys == NULL) {
        return;
    }
    pthread_mutex_lock(&decoys->lock);
    decoys->is_over = true;
    pthread_cond_signal(&decoys->wake);
    pthread_mutex_unlock(&decoys->lock);
    pthread_join(decoys->thread, NULL);
    pthread_cond_destroy(&decoys->wake);
    pthread_mutex_destroy(&decoys->lock);
    mem_free(decoys->dir);
    mem_free(decoys);
}
