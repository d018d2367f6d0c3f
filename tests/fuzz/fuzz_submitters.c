/* fuzz_submitters.c -- submitters files: who is enabled is what the file lists, each key once and under one name;
 * a file that is wrong changes nothing.
 *
 * An input cannot easily hold valid keys, so "@0" to "@9" in it stand for ten of them: 7 is a witness's, 8 has a
 * name that is none, and 9 is the key of 0 under another name. */
#include "logd/registry.h"
#include "tlog/vkey.h"

#include <assert.h>
#include <ctype.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    INPUT_MAX = 4096,
    TEXT_MAX = 512 * 1024,
    KEYS = 10,
};

static struct vkey key_at(size_t i)
{
    char name[] = "k0.example";
    uint8_t seed[ED25519_SEED_BYTES] = { (uint8_t)(i % 9 + 1) };
    name[1] = i == 8 ? '_' : (char)('0' + i);
    struct signing_key *key = signing_key_from_seed(seed);
    struct ed25519_public public = signing_key_public(key);
    signing_key_free(key);
    return vkey_make(name, i == 7 ? SIGNATURE_COSIGNATURE : SIGNATURE_ED25519, &public);
}

static const struct vkey *key_of(size_t i)
{
    static struct vkey keys[KEYS];
    if (keys[i].name[0] == 0) {
        keys[i] = key_at(i);
    }
    return &keys[i];
}

static void expand(struct buf *out, struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == '@' && i + 1 < text.len && isdigit(text.data[i + 1])) {
            i++;
            vkey_put(out, key_of((size_t)(text.data[i] - '0')));
        } else {
            buf_put_u8(out, text.data[i]);
        }
    }
}

/* How many are enabled; each is registered nowhere, and known by its file's name. */
static size_t check_enabled(struct registry *registry)
{
    size_t count = 0;
    for (size_t i = 0; i < KEYS; i++) {
        struct submitter_id id = submitter_id_make(&key_of(i)->key);
        struct registry_entry entry;
        if (!registry_find(registry, &id, &entry)) {
            continue;
        }
        assert(i != 7 && i != 8);
        assert(entry.is_enabled && !entry.is_registered && !entry.has_ended);
        assert(!registry_entry_is_usable(&entry));
        assert(strcmp(entry.enabled_name, entry.registration.name) == 0);
        count += strcmp(entry.enabled_name, key_of(i)->name) == 0;
    }
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > INPUT_MAX) {
        return 0;
    }
    struct registry *registry = registry_new();
    struct buf text = BUF_INIT(TEXT_MAX);
    struct err err;
    buf_put_str(&text, "submitter ");
    vkey_put(&text, key_of(5));
    buf_put_str(&text, "\n");
    enum err_code first = registry_enable(registry, buf_span(&text), &err);
    assert(first == E_OK);
    buf_reset(&text);
    expand(&text, span_of(data, size));
    if (registry_enable(registry, buf_span(&text), &err) == E_OK) {
        assert(check_enabled(registry) == registry_counts(registry).enabled);
    } else {
        assert(err.code == E_MALFORMED);
        assert(registry_counts(registry).enabled == 1 && check_enabled(registry) == 1);
    }
    buf_clear(&text);
    registry_free(registry);
    return 0;
}
