/* witnesses.h -- policies and cosignatures of witnesses w1, w2 and so on, for tests. One thread. */
#ifndef SUPPORT_WITNESSES_H
#define SUPPORT_WITNESSES_H

#include "tests/support/keys.h"
#include "tlog/policy.h"

#include <assert.h>
#include <stdio.h>

/* Witness number `i`, from 0. Free with signer_clear. */
static inline struct signer witnesses_signer(size_t i)
{
    char name[16];
    snprintf(name, sizeof name, "w%zu", i + 1);
    return keys_signer(name, SIGNATURE_COSIGNATURE, name);
}

/* `count` witnesses, all with a URL but those whose bit is set in `files`; `rules` is what follows them. */
static inline struct policy *witnesses_policy(size_t count, unsigned files, const char *rules)
{
    struct buf text = BUF_INIT(POLICY_BYTES_MAX);
    for (size_t i = 0; i < count; i++) {
        struct signer signer = witnesses_signer(i);
        buf_putf(&text, "witness w%zu ", i + 1);
        vkey_put(&text, &signer.vkey);
        buf_put_str(&text, (files >> i & 1) != 0 ? "\n" : " http://w.example/\n");
        signer_clear(&signer);
    }
    buf_put_str(&text, rules);
    struct policy *made;
    struct err err;
    enum err_code rc = policy_parse(&made, buf_span(&text), &err);
    assert(rc == E_OK);
    buf_clear(&text);
    return made;
}

static inline void witnesses_put_line(struct buf *out, size_t i, uint64_t timestamp,
                                      struct span text)
{
    struct signer signer = witnesses_signer(i);
    keys_put_signature(out, text, &signer, timestamp);
    signer_clear(&signer);
}

#endif
