/* A walk over descriptor.proto's own encoding. What is declared where is the table below; a symbol is
 * looked for from the left, so the walk goes as deep as the symbol has dots, and no deeper than the
 * schema. Bytes that cannot be read end the walk: nothing more is found. */
#include "net/rpc_descriptors.h"

#include <stddef.h>

/* Written by cmake/Descriptors.cmake. */
extern const size_t rpc_descriptor_set_bytes;
extern const uint8_t rpc_descriptor_set[];

enum {
    WIRE_VARINT = 0,
    WIRE_FIXED64 = 1,
    WIRE_BYTES = 2,
    WIRE_FIXED32 = 5,
    SET_FILE = 1,
    NAME = 1, /* in every declaration */
    FILE_PACKAGE = 2,
};

enum kind {
    KIND_FILE,
    KIND_MESSAGE,
    KIND_ENUM,
    KIND_SERVICE,
    KIND_LEAF
};

static const struct declaration {
    enum kind in;
    uint32_t field;
    enum kind what;
} declarations[] = {
    { KIND_FILE, 4, KIND_MESSAGE },    { KIND_FILE, 5, KIND_ENUM },
    { KIND_FILE, 6, KIND_SERVICE },    { KIND_MESSAGE, 2, KIND_LEAF },
    { KIND_MESSAGE, 3, KIND_MESSAGE }, { KIND_MESSAGE, 4, KIND_ENUM },
    { KIND_MESSAGE, 8, KIND_LEAF }, /* a oneof */
    { KIND_SERVICE, 2, KIND_LEAF },    { KIND_ENUM, 2, KIND_LEAF },
};

static bool take_varint(struct span *in, uint64_t *out)
{
    uint64_t value = 0;
    uint8_t byte = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (!span_take_u8(in, &byte)) {
            return false;
        }
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *out = value;
            return true;
        }
    }
    return false;
}

/* The next field; its bytes are empty when it has another type than bytes. */
static bool take_field(struct span *in, uint32_t *field, struct span *bytes)
{
    uint64_t tag = 0, value = 0;
    if (!take_varint(in, &tag)) {
        return false;
    }
    *field = (uint32_t)(tag >> 3);
    *bytes = span_of(NULL, 0);
    struct span skipped;
    switch (tag & 7) {
    case WIRE_VARINT:
        return take_varint(in, &value);
    case WIRE_FIXED64:
        return span_take(in, 8, &skipped);
    case WIRE_FIXED32:
        return span_take(in, 4, &skipped);
    case WIRE_BYTES:
        return take_varint(in, &value) && value <= in->len && span_take(in, (size_t)value, bytes);
    default:
        return false;
    }
}

/* The first field of that number, empty when there is none. */
static struct span field_of(struct span body, uint32_t wanted)
{
    uint32_t field = 0;
    struct span bytes;
    while (take_field(&body, &field, &bytes)) {
        if (field == wanted) {
            return bytes;
        }
    }
    return span_of(NULL, 0);
}

static const struct declaration *declaration_of(enum kind in, uint32_t field)
{
    for (size_t i = 0; i < sizeof declarations / sizeof declarations[0]; i++) {
        if (declarations[i].in == in && declarations[i].field == field) {
            return &declarations[i];
        }
    }
    return NULL;
}

/* Takes "name." */
static bool take_scope(struct span *symbol, struct span name)
{
    struct span rest = *symbol;
    bool is_inside =
        name.len > 0 && span_take_prefix(&rest, name) && span_take_prefix(&rest, span_of_str("."));
    if (is_inside) {
        *symbol = rest;
    }
    return is_inside;
}

/* Whether `symbol`, a name relative to this declaration, is declared in its body. */
static bool declares(enum kind kind, struct span body, struct span symbol)
{
    uint32_t field = 0;
    struct span child;
    while (take_field(&body, &field, &child)) {
        const struct declaration *declaration = declaration_of(kind, field);
        if (declaration == NULL) {
            continue;
        }
        struct span name = field_of(child, NAME), rest = symbol;
        if (span_is_equal(name, symbol)) {
            return true;
        }
        /* An enum's values are named beside it, not below it. */
        bool is_within = declaration->what == KIND_ENUM || take_scope(&rest, name);
        if (is_within && declares(declaration->what, child, rest)) {
            return true;
        }
    }
    return false;
}

static bool is_named(struct span file, struct span name)
{
    return span_is_equal(field_of(file, NAME), name);
}

static bool has_symbol(struct span file, struct span symbol)
{
    struct span package = field_of(file, FILE_PACKAGE);
    bool is_within = package.len == 0 || take_scope(&symbol, package);
    return is_within && symbol.len > 0 && declares(KIND_FILE, file, symbol);
}

static bool find(bool (*is_so)(struct span file, struct span wanted), struct span wanted,
                 struct span *out)
{
    struct span set = span_of(rpc_descriptor_set, rpc_descriptor_set_bytes);
    uint32_t field = 0;
    struct span file;
    while (take_field(&set, &field, &file)) {
        if (field == SET_FILE && is_so(file, wanted)) {
            *out = file;
            return true;
        }
    }
    return false;
}

bool rpc_descriptors_file(struct span name, struct span *out)
{
    return find(is_named, name, out);
}

bool rpc_descriptors_symbol(struct span symbol, struct span *out)
{
    return find(has_symbol, symbol, out);
}
