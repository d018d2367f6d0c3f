/* vectors.h -- reading test vectors that are written as words: "name hash hash".
 *
 * The vectors are ours: what cannot be read ends the test program. Any thread.
 */
#ifndef SUPPORT_VECTORS_H
#define SUPPORT_VECTORS_H

#include "base/ascii.h"
#include "base/crypto.h"

#include <stdio.h>
#include <stdlib.h>

/* Takes the next run of bytes other than blanks and newlines; false at the end. */
static inline bool vectors_take_word(struct span *in, struct span *word)
{
    while (in->len > 0 && (in->data[0] == ' ' || in->data[0] == '\n')) {
        *in = span_slice(*in, 1, in->len - 1);
    }
    size_t len = 0;
    while (len < in->len && in->data[len] != ' ' && in->data[len] != '\n') {
        len++;
    }
    return span_take(in, len, word) && len > 0;
}

/* A hash in hex or in base64. */
static inline struct hash vectors_hash(struct span text)
{
    struct hash hash;
    struct err err;
    enum err_code rc = text.len == (size_t)2 * HASH_BYTES
                           ? hex_decode(hash.bytes, HASH_BYTES, text, &err)
                           : base64_decode_hash(&hash, text, &err);
    if (rc != E_OK) {
        fprintf(stderr, "not a hash: %.*s\n", SPAN_PRINTF(text));
        abort();
    }
    return hash;
}

static inline struct hash vectors_hash_str(const char *text)
{
    return vectors_hash(span_of_str(text));
}

/* The word behind the word `name`, as a hash. */
static inline struct hash vectors_hash_of(struct span words, const char *name)
{
    struct span word;
    while (vectors_take_word(&words, &word)) {
        if (span_is_str(word, name) && vectors_take_word(&words, &word)) {
            return vectors_hash(word);
        }
    }
    fprintf(stderr, "no vector %s\n", name);
    abort();
}

/* The last word of a line, as a hash. */
static inline struct hash vectors_last_hash(struct span line)
{
    struct span word = { NULL, 0 }, next;
    while (vectors_take_word(&line, &next)) {
        word = next;
    }
    return vectors_hash(word);
}

#endif
