#include "tlog/log_list.h"

#include "base/alloc.h"
#include "base/ascii.h"
#include "tlog/checkpoint.h"
#include "tlog/lines.h"

#include <assert.h>

/* -- what is there already -- */

enum {
    SEEN_SLOTS_MAX = 4 * LOG_LIST_LINES_MAX,
    KEY_LINE_BYTES_MIN = 60, /* "log", a name, an ID and a key of 33 bytes in base64 */
};

/* A set of names, by hash: lists may be long, and those of the network are a stranger's. */
struct seen {
    struct hash *slots; /* owned; all zeros is a free one */
    size_t count;       /* a power of two, and twice the names that a list can hold, at least */
};

static void seen_init(struct seen *seen, size_t list_bytes)
{
    size_t keys = list_bytes / KEY_LINE_BYTES_MIN + 1;
    seen->count = 64;
    while (seen->count < SEEN_SLOTS_MAX && seen->count / 4 < keys) {
        seen->count *= 2;
    }
    seen->slots = mem_calloc(seen->count, sizeof seen->slots[0]);
}

/* False when it was there. Called at most twice for each key, so that some slot is always free. */
static bool seen_add(struct seen *seen, const struct hash *name)
{
    static const struct hash free_slot = { { 0 } };
    struct span start = hash_span(name);
    uint32_t at = 0;
    bool is_taken = span_take_u32(&start, &at);
    assert(is_taken);
    for (;; at++) {
        struct hash *slot = &seen->slots[at % seen->count];
        if (hash_is_equal(slot, name)) {
            return false;
        }
        if (hash_is_equal(slot, &free_slot)) {
            *slot = *name;
            return true;
        }
    }
}

/* Hashes what must not be there twice, apart from what else there is under another `label`. */
static bool seen_add_name(struct seen *seen, const char *label, struct span name)
{
    struct span parts[] = { span_of(label, strlen(label) + 1), name };
    struct hash hash = sha256_parts(parts, 2);
    return seen_add(seen, &hash);
}

/* -- a list that grows -- */

struct reader {
    struct log_list list;
    size_t room; /* items that list.items has memory for */
    struct seen seen;
};

/* E_MALFORMED for a list that is too long. Call reader_end in any case. */
static enum err_code reader_init(struct reader *reader, struct span bytes, struct err *err)
{
    *reader = (struct reader){ 0 };
    if (bytes.len > LOG_LIST_BYTES_MAX) {
        return err_set(err, E_MALFORMED, "%zu bytes, at most %d are read", bytes.len,
                       LOG_LIST_BYTES_MAX);
    }
    seen_init(&reader->seen, bytes.len);
    return E_OK;
}

/* Hands over the list, or drops it. */
static enum err_code reader_end(struct reader *reader, enum err_code rc, struct log_list *out)
{
    mem_free(reader->seen.slots);
    if (rc == E_OK) {
        *out = reader->list;
    } else {
        log_list_clear(&reader->list);
    }
    return rc;
}

void log_list_clear(struct log_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        mem_free(list->items[i].url);
    }
    mem_free(list->items);
    *list = (struct log_list){ 0 };
}

/* Takes over item->url, also when it fails. */
static enum err_code add_item(struct reader *reader, const struct log_list_item *item,
                              struct err *err)
{
    struct log_list *list = &reader->list;
    if (list->count == LOG_LIST_LINES_MAX) {
        mem_free(item->url);
        return err_set(err, E_MALFORMED, "over %d keys", LOG_LIST_LINES_MAX);
    }
    if (list->count == reader->room) {
        reader->room = reader->room == 0 ? 16 : 2 * reader->room;
        list->items = mem_realloc(list->items, reader->room * sizeof list->items[0]);
    }
    list->items[list->count++] = *item;
    return E_OK;
}

/* -- our own lists -- */

static char *copy(struct span text)
{
    char *out = mem_alloc(text.len + 1);
    memcpy(out, text.data, text.len);
    out[text.len] = 0;
    return out;
}

/* As in a policy: a public key is there once, and so are a name and ID, by which notes name keys. */
static enum err_code check_new_key(struct seen *seen, const struct vkey *vkey, struct err *err)
{
    if (!seen_add_name(seen, "key", vkey_public(vkey))) {
        return err_set(err, E_MALFORMED, "the public key of %s is listed already", vkey->name);
    }
    struct buf name = BUF_INIT(KEY_NAME_BYTES_MAX + 4);
    buf_put_u32(&name, vkey->id);
    buf_put_str(&name, vkey->name);
    bool is_new = seen_add_name(seen, "name", buf_span(&name));
    buf_clear(&name);
    if (!is_new) {
        return err_set(err, E_MALFORMED, "another key with name %s and ID %08x is listed already",
                       vkey->name, vkey->id);
    }
    return E_OK;
}

static enum err_code on_line(void *ctx, struct span keyword, struct span line, struct err *err)
{
    struct reader *reader = ctx;
    struct log_list_item item = { 0 };
    struct span url;
    if (!span_is_str(keyword, "log")) {
        return err_set(err, E_MALFORMED, "\"%s\" is not log", lines_quote(keyword).text);
    }
    enum err_code rc = lines_expect_key(&line, VKEY_LOG, &item.vkey, &url, err);
    if (rc == E_OK) {
        rc = check_new_key(&reader->seen, &item.vkey, err);
    }
    if (rc == E_OK) {
        memcpy(item.origin, item.vkey.name, strlen(item.vkey.name));
        item.url = url.len == 0 ? NULL : copy(url);
        rc = add_item(reader, &item, err);
    }
    return rc;
}

enum err_code log_list_parse(struct log_list *out, struct span bytes, struct err *err)
{
    static_assert(KEY_NAME_BYTES_MAX <= ORIGIN_BYTES_MAX, "a key's name can be an origin");
    struct reader reader;
    enum err_code rc = reader_init(&reader, bytes, err);
    if (rc == E_OK) {
        rc = lines_parse(bytes, on_line, &reader, err);
    }
    if (reader_end(&reader, rc, out) != E_OK) {
        return err_wrap(err, "log list");
    }
    return E_OK;
}

/* -- lists of the witness network -- */

#define REQUESTS_PER_DAY_MAX ((uint64_t)INT32_MAX)

/* How far an entry has got: its lines have one order. */
enum part {
    PART_HEADER, /* not even the first line was there */
    PART_NONE,   /* between entries */
    PART_VKEY,
    PART_ORIGIN,
    PART_RATE,
};

struct network_reader {
    struct reader reader;
    enum part part;
    struct log_list_item item; /* of the entry that has begun */
    bool is_usable;            /* by us */
};

/* What is no key at all is an entry that is of no use to us, as is a key of another type: the entry is
 * its log operator's, and must not keep all others from being read. */
static enum err_code take_vkey(struct network_reader *network, struct span value, struct err *err)
{
    (void)err;
    struct err why_not;
    network->item = (struct log_list_item){ 0 };
    network->is_usable = vkey_parse_ed25519(&network->item.vkey, value, &why_not) == E_OK &&
                         network->item.vkey.type == SIGNATURE_ED25519;
    if (network->is_usable) {
        memcpy(network->item.origin, network->item.vkey.name, sizeof network->item.vkey.name);
    }
    return E_OK;
}

static enum err_code take_origin(struct network_reader *network, struct span value, struct err *err)
{
    (void)err;
    if (!origin_is_valid(value)) {
        network->is_usable = false;
        return E_OK;
    }
    memset(network->item.origin, 0, sizeof network->item.origin);
    memcpy(network->item.origin, value.data, value.len);
    return E_OK;
}

static enum err_code take_rate(struct network_reader *network, struct span value, struct err *err)
{
    uint64_t *rate = &network->item.requests_per_day;
    enum err_code rc = decimal_parse(rate, value, REQUESTS_PER_DAY_MAX, err);
    if (rc == E_OK && *rate == 0) {
        rc = err_set(err, E_MALFORMED, "not above 0");
    }
    return rc;
}

/* Ends the entry. The contact itself is for people. */
static enum err_code take_contact(struct network_reader *network, struct span value,
                                  struct err *err)
{
    (void)value;
    struct reader *reader = &network->reader;
    if (network->is_usable &&
        seen_add_name(&reader->seen, "origin", span_of_str(network->item.origin))) {
        return add_item(reader, &network->item, err);
    }
    reader->list.skipped++;
    return E_OK;
}

struct keyword {
    const char *word;
    enum part after[2]; /* which parts it may follow */
    enum part part;     /* where the entry is then */
    bool is_one_word;
    enum err_code (*take)(struct network_reader *network, struct span value, struct err *err);
};

static const struct keyword keywords[] = {
    { "vkey", { PART_NONE, PART_NONE }, PART_VKEY, true, take_vkey },
    { "origin", { PART_VKEY, PART_VKEY }, PART_ORIGIN, false, take_origin },
    { "qpd", { PART_VKEY, PART_ORIGIN }, PART_RATE, true, take_rate },
    { "contact", { PART_RATE, PART_RATE }, PART_NONE, false, take_contact },
};

static enum err_code take_value(struct network_reader *network, const struct keyword *keyword,
                                struct span value, struct err *err)
{
    if (network->part != keyword->after[0] && network->part != keyword->after[1]) {
        return err_set(
            err, E_MALFORMED,
            "out of order: an entry is vkey, then origin or not, then qpd, then contact");
    }
    if (value.len == 0) {
        return err_set(err, E_MALFORMED, "no value");
    }
    if (keyword->is_one_word && memchr(value.data, ' ', value.len) != NULL) {
        return err_set(err, E_MALFORMED, "more than one value");
    }
    network->part = keyword->part;
    return keyword->take(network, value, err);
}

/* A trimmed line. Keywords that we do not know may come with later versions. */
static enum err_code take_network_line(struct network_reader *network, struct span line,
                                       struct err *err)
{
    if (line.len == 0 || line.data[0] == '#') {
        return E_OK;
    }
    if (network->part == PART_HEADER) {
        network->part = PART_NONE;
        return span_is_str(line, "logs/v0")
                   ? E_OK
                   : err_set(err, E_MALFORMED, "the list does not begin with logs/v0");
    }
    struct span value = line, word;
    if (!span_take_until(&value, ' ', &word)) {
        word = line;
        value = span_of(NULL, 0);
    }
    for (size_t i = 0; i < sizeof keywords / sizeof keywords[0]; i++) {
        if (span_is_str(word, keywords[i].word)) {
            if (take_value(network, &keywords[i], value, err) != E_OK) {
                return err_wrap(err, "%s", keywords[i].word);
            }
            return E_OK;
        }
    }
    return E_OK;
}

static bool is_trimmed(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static struct span trim(struct span line)
{
    while (line.len > 0 && is_trimmed(line.data[0])) {
        line = span_slice(line, 1, line.len - 1);
    }
    while (line.len > 0 && is_trimmed(line.data[line.len - 1])) {
        line.len--;
    }
    return line;
}

static enum err_code parse_network(struct network_reader *network, struct span in, struct err *err)
{
    for (size_t number = 1; in.len > 0; number++) {
        struct span line;
        if (!span_take_until(&in, '\n', &line)) {
            line = in;
            in = span_of(NULL, 0);
        }
        if (take_network_line(network, trim(line), err) != E_OK) {
            return err_wrap(err, "line %zu", number);
        }
    }
    if (network->part == PART_HEADER) {
        return err_set(err, E_MALFORMED, "the list does not begin with logs/v0");
    }
    if (network->part != PART_NONE) {
        return err_set(err, E_MALFORMED, "the last entry is not complete");
    }
    return E_OK;
}

enum err_code log_list_parse_network(struct log_list *out, struct span bytes, struct err *err)
{
    struct network_reader network = { .part = PART_HEADER };
    enum err_code rc = reader_init(&network.reader, bytes, err);
    if (rc == E_OK) {
        rc = parse_network(&network, bytes, err);
    }
    if (reader_end(&network.reader, rc, out) != E_OK) {
        return err_wrap(err, "network log list");
    }
    return E_OK;
}
