#include "record/commitment.h"

#include <assert.h>

static const char field_domain[] = "courtroll/field/v1\n";
static const char context_domain[] = "courtroll/context/v1\n";
static const char document_domain[] = "courtroll/document/v1\n";

enum {
    TREE_LEVELS = OPENING_HASHES
};
static_assert(FIELDS == 1 << TREE_LEVELS, "a proof has a hash for each level of the tree");

struct hash commitment_context(const char *origin, uint16_t schema,
                               const struct ed25519_public *signing_key,
                               const struct hash *entry_tag)
{
    size_t origin_len = strlen(origin);
    assert(origin_len <= ORIGIN_BYTES_MAX);
    uint8_t len = (uint8_t)origin_len;
    uint8_t version[2] = { (uint8_t)(schema >> 8), (uint8_t)schema };
    struct span parts[] = { span_of_str(context_domain),
                            span_of(&len, 1),
                            span_of_str(origin),
                            SPAN_OF_ARRAY(version),
                            SPAN_OF_ARRAY(signing_key->bytes),
                            hash_span(entry_tag) };
    return sha256_parts(parts, sizeof parts / sizeof parts[0]);
}

struct hash commitment_digest(const struct hash *context, unsigned number,
                              const struct field_value *field)
{
    assert(number < FIELDS);
    assert(field->is_present || field->value.len == 0);
    assert(field->value.len <= UINT32_MAX);
    uint8_t head[3] = { 0, (uint8_t)number, field->is_present };
    uint32_t len = (uint32_t)field->value.len;
    uint8_t length[4] = { (uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8),
                          (uint8_t)len };
    struct span parts[] = { span_of_str(field_domain),  hash_span(context),    SPAN_OF_ARRAY(head),
                            SPAN_OF_ARRAY(field->salt), SPAN_OF_ARRAY(length), field->value };
    return sha256_parts(parts, sizeof parts / sizeof parts[0]);
}

/* Hashes pairs of `nodes` into its first half. */
static void fold_level(struct hash *nodes, size_t count)
{
    for (size_t i = 0; i < count / 2; i++) {
        nodes[i] = merkle_node_hash(&nodes[2 * i], &nodes[2 * i + 1]);
    }
}

static void put_leaves(struct hash nodes[static FIELDS], const struct hash digests[static FIELDS])
{
    for (size_t i = 0; i < FIELDS; i++) {
        nodes[i] = merkle_leaf_hash(hash_span(&digests[i]));
    }
}

struct hash commitment_root(const struct hash digests[static FIELDS])
{
    struct hash nodes[FIELDS];
    put_leaves(nodes, digests);
    for (size_t count = FIELDS; count > 1; count /= 2) {
        fold_level(nodes, count);
    }
    return nodes[0];
}

void commitment_prove(struct hash out[static OPENING_HASHES],
                      const struct hash digests[static FIELDS], unsigned number)
{
    assert(number < FIELDS);
    struct hash nodes[FIELDS];
    put_leaves(nodes, digests);
    for (unsigned level = 0; level < TREE_LEVELS; level++) {
        out[level] = nodes[(number >> level) ^ 1];
        fold_level(nodes, (size_t)FIELDS >> level);
    }
}

enum err_code commitment_verify(const struct hash *root, const struct hash *digest, unsigned number,
                                const struct hash hashes[static OPENING_HASHES], struct err *err)
{
    if (number >= FIELDS) {
        return err_set(err, E_BAD_PROOF, "field %u: there are %d", number, FIELDS);
    }
    struct hash node = merkle_leaf_hash(hash_span(digest));
    for (unsigned level = 0; level < TREE_LEVELS; level++) {
        bool is_right = number >> level & 1;
        node = is_right ? merkle_node_hash(&hashes[level], &node)
                        : merkle_node_hash(&node, &hashes[level]);
    }
    if (!hash_is_equal(&node, root)) {
        return err_set(err, E_BAD_PROOF, "field %u (%s) is not what the record commits to", number,
                       field_definition(number)->name);
    }
    return E_OK;
}

struct hash commitment_document(const uint8_t salt[static FIELD_SALT_BYTES],
                                const struct hash *digest)
{
    static const struct hash none;
    uint8_t is_present = digest != NULL;
    struct span parts[] = { span_of_str(document_domain), span_of(&is_present, 1),
                            span_of(salt, FIELD_SALT_BYTES),
                            hash_span(digest != NULL ? digest : &none) };
    return sha256_parts(parts, sizeof parts / sizeof parts[0]);
}
