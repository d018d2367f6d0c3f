/* fuzz_log_list.c -- lists of logs, ours and the network's: no key and no origin is there twice, and
 * what is understood, written again, is understood alike.
 *
 * An input cannot easily hold valid keys, so "@0" to "@9" in it stand for ten of them: those of
 * witnesses are 3 and 7, and 8 and 9 are keys of 0 and 1 by the same name. */
#include "base/ascii.h"
#include "tlog/checkpoint.h"
#include "tlog/log_list.h"

#include <assert.h>
#include <ctype.h>
#include <inttypes.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    INPUT_MAX = 4096,
    TEXT_MAX = 512 * 1024,
    KEYS = 10
};

static const char *key_text(size_t i)
{
    static struct buf keys[KEYS];
    if (keys[i].data == NULL) {
        char name[] = { 'k', (char)('0' + i % 8), 0 };
        uint8_t seed[ED25519_SEED_BYTES] = { (uint8_t)i };
        struct signing_key *key = signing_key_from_seed(seed);
        struct ed25519_public public = signing_key_public(key);
        struct vkey vkey =
            vkey_make(name, i % 4 == 3 ? SIGNATURE_COSIGNATURE : SIGNATURE_ED25519, &public);
        buf_init(&keys[i], 256);
        vkey_put(&keys[i], &vkey);
        buf_c_str(&keys[i]);
        signing_key_free(key);
    }
    return (const char *)keys[i].data;
}

static void expand(struct buf *out, struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == '@' && i + 1 < text.len && isdigit(text.data[i + 1])) {
            i++;
            buf_put_str(out, key_text((size_t)(text.data[i] - '0')));
        } else {
            buf_put_u8(out, text.data[i]);
        }
    }
}

static void assert_equal(const struct log_list *a, const struct log_list *b)
{
    assert(a->count == b->count);
    for (size_t i = 0; i < a->count; i++) {
        const struct log_list_item *x = &a->items[i], *y = &b->items[i];
        assert(strcmp(x->origin, y->origin) == 0);
        assert(vkey_is_equal(&x->vkey, &y->vkey));
        assert((x->url == NULL) == (y->url == NULL));
        assert(x->url == NULL || strcmp(x->url, y->url) == 0);
        assert(x->requests_per_day == y->requests_per_day);
    }
}

static void check_item(const struct log_list_item *item)
{
    assert(item->vkey.type != SIGNATURE_COSIGNATURE);
    assert(origin_is_valid(span_of_str(item->origin)));
    assert(item->requests_per_day <= INT32_MAX);
}

/* -- ours -- */

static void check_own(struct span text)
{
    struct log_list list, again;
    struct err err;
    if (log_list_parse(&list, text, &err) != E_OK) {
        assert(err.code == E_MALFORMED);
        return;
    }
    assert(list.skipped == 0);
    struct buf written = BUF_INIT(2 * TEXT_MAX);
    for (size_t i = 0; i < list.count; i++) {
        const struct log_list_item *item = &list.items[i];
        check_item(item);
        assert(strcmp(item->origin, item->vkey.name) == 0);
        assert(item->requests_per_day == 0);
        for (size_t k = 0; k < i; k++) {
            assert(!span_is_equal(vkey_public(&item->vkey), vkey_public(&list.items[k].vkey)));
        }
        buf_put_str(&written, "log ");
        vkey_put(&written, &item->vkey);
        buf_putf(&written, " %s\n", item->url == NULL ? "" : item->url);
    }
    enum err_code rc = log_list_parse(&again, buf_span(&written), &err);
    assert(rc == E_OK);
    assert_equal(&list, &again);
    log_list_clear(&again);
    log_list_clear(&list);
    buf_clear(&written);
}

/* -- the network's -- */

static void check_network(struct span text)
{
    struct log_list list, again;
    struct err err;
    if (log_list_parse_network(&list, text, &err) != E_OK) {
        assert(err.code == E_MALFORMED);
        return;
    }
    struct buf written = BUF_INIT(2 * TEXT_MAX);
    buf_put_str(&written, "logs/v0\n");
    for (size_t i = 0; i < list.count; i++) {
        const struct log_list_item *item = &list.items[i];
        check_item(item);
        assert(item->url == NULL);
        assert(item->requests_per_day >= 1);
        for (size_t k = 0; k < i; k++) {
            assert(strcmp(item->origin, list.items[k].origin) != 0);
        }
        buf_put_str(&written, "vkey ");
        vkey_put(&written, &item->vkey);
        buf_putf(&written, "\norigin %s\nqpd %" PRIu64 "\ncontact x\n", item->origin,
                 item->requests_per_day);
    }
    enum err_code rc = log_list_parse_network(&again, buf_span(&written), &err);
    assert(rc == E_OK);
    assert(again.skipped == 0);
    assert_equal(&list, &again);
    log_list_clear(&again);
    log_list_clear(&list);
    buf_clear(&written);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > INPUT_MAX) {
        return 0;
    }
    struct buf text = BUF_INIT(TEXT_MAX);
    expand(&text, span_of(data, size));
    check_own(buf_span(&text));
    check_network(buf_span(&text));
    buf_clear(&text);
    return 0;
}
