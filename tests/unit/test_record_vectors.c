/* The vectors of docs/record.md, tests/vectors/record.json: made here from fixed seeds by the code that makes
 * records, and compared with the file. tests/integration/test_record.py derives them without any of this code.
 *
 *     test_record_vectors --print > tests/vectors/record.json
 */
#include "base/alloc.h"
#include "base/crypto_cipher.h"
#include "base/file.h"
#include "record/identifier.h"
#include "record/payload_json.h"
#include "store/sealed_file.h"
#include "tests/support/record_world.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum {
    VECTORS_BYTES_MAX = 1024 * 1024
};

static const char path[] = COURTROLL_SOURCE_DIR "/tests/vectors/record.json";

#define CLOSED_DRAFT                                                                               \
    "{\"case\":\"" RECORD_WORLD_CASE "\",\"counts\":{\"00112233445566778899aabbccddeeff\":2,"      \
    "\"ff112233445566778899aabbccddeeff\":5},\"court\":\"测0101\",\"fields\":{\"method\":1},"     \
    "\"kind\":\"CLOSED\",\"minute\":\"2026-06-30T08:00Z\",\"officer\":\"officer 7\"}"

static json_t *hex(struct span bytes)
{
    return payload_json_hex(bytes);
}

static void set(json_t *object, const char *name, json_t *value)
{
    json_object_set_new(object, name, value);
}

static void set_text(json_t *object, const char *name, const char *text)
{
    json_object_set_new(object, name, json_string(text));
}

/* -- tables -- */

static const char *type_name(enum field_type type)
{
    static const char *const names[] = {
        [FIELD_TYPE_COUNT] = "count",
        [FIELD_TYPE_MONEY] = "money",
        [FIELD_TYPE_DATE] = "date",
        [FIELD_TYPE_MINUTE] = "minute",
        [FIELD_TYPE_CODE] = "code",
        [FIELD_TYPE_KIND] = "kind",
        [FIELD_TYPE_TEXT] = "text",
        [FIELD_TYPE_CASE_NUMBER] = "case-number",
        [FIELD_TYPE_COURT] = "court",
        [FIELD_TYPE_PARTY] = "party",
        [FIELD_TYPE_CREDIT_CODE] = "credit-code",
        [FIELD_TYPE_TAG] = "tag",
        [FIELD_TYPE_SUBMITTER] = "submitter",
        [FIELD_TYPE_CERTIFICATE] = "certificate",
        [FIELD_TYPE_REFERENCES] = "references",
        [FIELD_TYPE_DIGEST] = "digest",
        [FIELD_TYPE_NONE] = "none",
    };
    return names[type];
}

static json_t *field_table(void)
{
    json_t *table = json_array();
    for (unsigned i = 0; i < FIELDS; i++) {
        json_t *field = json_object();
        set_text(field, "name", field_definition(i)->name);
        set_text(field, "type", type_name(field_definition(i)->type));
        json_array_append_new(table, field);
    }
    return table;
}

static json_t *names_of(uint32_t fields)
{
    json_t *names = json_array();
    for (unsigned i = 0; i < FIELDS; i++) {
        if ((fields >> i & 1) != 0) {
            json_array_append_new(names, json_string(field_definition(i)->name));
        }
    }
    return names;
}

static json_t *kind_table(void)
{
    static const char *const classes[] = {
        [KIND_OF_CASE] = "case", [KIND_OF_SEALED] = "sealed", [KIND_OF_UNSEAL] = "unseal",
        [KIND_OF_LOG] = "log",   [KIND_INSIDE] = "inside",
    };
    json_t *table = json_array();
    const struct kind *kind;
    for (size_t i = 0; (kind = kind_at(i)) != NULL; i++) {
        json_t *row = json_object(), *roles = json_array();
        for (unsigned role = 1; role <= ROLE_LAST; role++) {
            if ((kind->roles >> role & 1) != 0) {
                json_array_append_new(roles, json_string(role_name(role)));
            }
        }
        set(row, "number", json_integer(kind->number));
        set_text(row, "name", kind->name);
        set_text(row, "class", classes[kind->class]);
        set(row, "may_be_sealed", json_boolean(kind->is_control || kind->class == KIND_INSIDE));
        set(row, "roles", roles);
        set(row, "required", names_of(kind->required));
        set(row, "material", names_of(kind->material));
        set(row, "allowed", names_of(kind->allowed));
        json_array_append_new(table, row);
    }
    return table;
}

/* -- identifiers and values -- */

static void add_identifier(json_t *list, const char *type, const char *text,
                           enum err_code (*put)(struct buf *out, struct span text, struct err *err))
{
    struct buf out = BUF_INIT(IDENTIFIER_BYTES_MAX);
    struct err err;
    json_t *one = json_object();
    bool is_good = put(&out, span_of_str(text), &err) == E_OK;
    set_text(one, "type", type);
    set_text(one, "text", text);
    set(one, "canonical", is_good ? json_stringn((const char *)out.data, out.len) : json_null());
    json_array_append_new(list, one);
    buf_clear(&out);
}

static json_t *identifiers(void)
{
    static const char *const cases[] = {
        "(2022)京01执123号",     "〔2022〕京01执123号",  "（２０２２）粤0703执恢9号之一",
        "（2026）最高法执监1号", "（2022）京01执0123号", "（2022）京1执123号",
        "(2022）x01执123号"
    };
    static const char *const courts[] = { "最高法", "测", "粤07", "粤0703", "粤070", "X01" };
    static const char *const credits[] = { "91990000MA000001A8", "91990000ma00000hkl",
                                           "11990000MB00000PTT", "53990000MJ0000007C",
                                           "91990000MA000001A9", "91990000MA00000IKL" };
    static const char *const citizens[] = { "990000199001010017", "990101198503151239",
                                            "990000200002294045", "990000200102294045",
                                            "990000199001010018" };
    json_t *list = json_array();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        add_identifier(list, "case-number", cases[i], identifier_put_case_number);
    }
    for (size_t i = 0; i < sizeof courts / sizeof courts[0]; i++) {
        add_identifier(list, "court", courts[i], identifier_put_court_code);
    }
    for (size_t i = 0; i < sizeof credits / sizeof credits[0]; i++) {
        add_identifier(list, "credit-code", credits[i], identifier_put_credit_code);
    }
    for (size_t i = 0; i < sizeof citizens / sizeof citizens[0]; i++) {
        add_identifier(list, "citizen-id", citizens[i], identifier_put_citizen_id);
    }
    return list;
}

static json_t *values(void)
{
    static const struct {
        unsigned number;
        const char *text;
    } texts[] = {
        { FIELD_NUMBER, "0" },
        { FIELD_AMOUNT, "1234500" },
        { FIELD_START, "2026-03-04" },
        { FIELD_MINUTE, "2026-03-04T09:31Z" },
        { FIELD_METHOD, "7" },
        { FIELD_KIND, "FREEZE" },
        { FIELD_BASIS, "e\xcc\x81" },
        { FIELD_REFERENCES, "" },
        { FIELD_COURT, "测0101" },
        { FIELD_DEBTOR, "99000019900101001７" },
        { FIELD_OFFICER, "00112233445566778899aabbccddeeff" },
    };
    json_t *list = json_array();
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct buf value = BUF_INIT(FIELD_VALUE_BYTES_MAX);
        struct err err;
        assert_int_equal(field_put_value(&value, texts[i].number, span_of_str(texts[i].text), &err),
                         E_OK);
        json_t *one = json_object();
        set_text(one, "field", field_definition(texts[i].number)->name);
        set_text(one, "text", texts[i].text);
        set(one, "value", hex(buf_span(&value)));
        json_array_append_new(list, one);
        buf_clear(&value);
    }
    return list;
}

/* -- what comes from the case key -- */

static json_t *case_key_vectors(void)
{
    static const char *const purposes[] = { "officer", "asset", "payee" };
    json_t *object = json_object(), *tags = json_array(), *persons = json_array();
    struct case_key key = record_world_case_key();
    struct signer submitter = record_world_submitter();
    struct submitter_id id = submitter_id_make(&submitter.vkey.key);
    struct buf file = BUF_INIT(CASE_KEY_FILE_BYTES_MAX);
    for (uint64_t i = 0; i < 3; i++) {
        struct hash tag = entry_tag_make(&key, &id, i);
        json_array_append_new(tags, hex(hash_span(&tag)));
    }
    for (size_t i = 0; i < 3; i++) {
        struct person_tag tag = person_tag_make(&key, purposes[i], span_of_str("officer 7"));
        json_t *one = json_object();
        set_text(one, "purpose", purposes[i]);
        set_text(one, "text", "officer 7");
        set(one, "tag", hex(SPAN_OF_ARRAY(tag.bytes)));
        json_array_append_new(persons, one);
    }
    struct hash commitment = case_commitment_make(&key);
    case_key_put(&file, &key);
    set(object, "key", hex(SPAN_OF_ARRAY(key.bytes)));
    set_text(object, "case_number", key.number);
    set(object, "file", json_stringn((const char *)file.data, file.len));
    set(object, "entry_tags", tags);
    set(object, "person_tags", persons);
    set(object, "case_commitment", hex(hash_span(&commitment)));
    buf_clear(&file);
    signer_clear(&submitter);
    return object;
}

static json_t *submitter_vectors(void)
{
    json_t *object = json_object();
    struct signer submitter = record_world_submitter();
    struct submitter_id id = submitter_id_make(&submitter.vkey.key);
    struct hash seed = record_world_secret("submitter key");
    struct court_tag court = court_tag_make(span_of_str("测0101"));
    set(object, "seed", hex(hash_span(&seed)));
    set(object, "public_key", hex(SPAN_OF_ARRAY(submitter.vkey.key.bytes)));
    set(object, "id", hex(SPAN_OF_ARRAY(id.bytes)));
    set_text(object, "court", "测0101");
    set(object, "court_tag", hex(SPAN_OF_ARRAY(court.bytes)));
    signer_clear(&submitter);
    return object;
}

/* -- records -- */

static void set_buf(json_t *object, const char *name, struct buf *buf)
{
    set(object, name, json_stringn((const char *)buf->data, buf->len));
    buf_clear(buf);
}

static void add_record(json_t *list, const char *name, struct payload *payload,
                       const struct record_recipe *recipe)
{
    struct err err;
    uint8_t random[PAYLOAD_RANDOM_BYTES];
    struct buf json = BUF_INIT(PAYLOAD_BYTES_MAX);
    char random_name[64];
    json_t *one = json_object(), *digests = json_array();
    assert_int_equal(record_world_compose(payload, recipe, &err), E_OK);
    snprintf(random_name, sizeof random_name, "random of record %ju", (uintmax_t)recipe->number);
    record_world_random(random, random_name);
    payload_put(&json, payload);
    struct hash all[FIELDS], leaf = merkle_leaf_hash(buf_span(&payload->record));
    payload_digests(all, payload);
    for (size_t i = 0; i < FIELDS; i++) {
        json_array_append_new(digests, hex(hash_span(&all[i])));
    }
    struct hash root = commitment_root(all);
    set_text(one, "name", name);
    set_text(one, "draft", recipe->draft);
    set(one, "number", json_integer((json_int_t)recipe->number));
    set(one, "vouched", json_boolean(recipe->is_vouched));
    set(one, "random", hex(SPAN_OF_ARRAY(random)));
    set(one, "digests", digests);
    set(one, "fields_root", hex(hash_span(&root)));
    set(one, "record", hex(buf_span(&payload->record)));
    set(one, "leaf_hash", hex(hash_span(&leaf)));
    set_buf(one, "payload", &json);
    json_array_append_new(list, one);
}

static json_t *disclosure_vector(const struct payload *payload)
{
    struct disclosure disclosure;
    struct buf json = BUF_INIT(DISCLOSURE_BYTES_MAX);
    disclosure_init(&disclosure);
    disclosure_make(&disclosure, payload, UINT32_C(1) << FIELD_ACCOUNT | UINT32_C(1) << FIELD_PAYEE,
                    true, span_of(NULL, 0));
    disclosure_put(&json, &disclosure);
    json_t *text = json_stringn((const char *)json.data, json.len);
    buf_clear(&json);
    disclosure_clear(&disclosure);
    return text;
}

static void set_records(json_t *object)
{
    struct payload filed, frozen, sealed, unsealed, vouched, closed;
    json_t *records = json_array();
    add_record(records, "filed", &filed, &(struct record_recipe){ .draft = RECORD_WORLD_FILED });
    add_record(records, "sealed", &sealed,
               &(struct record_recipe){ .draft = RECORD_WORLD_FREEZE("true"), .number = 1 });
    add_record(records, "unsealed", &unsealed,
               &(struct record_recipe){
                   .draft = RECORD_WORLD_UNSEAL, .number = 2, .sealed = &sealed });
    add_record(records, "frozen", &frozen,
               &(struct record_recipe){ .draft = RECORD_WORLD_FREEZE("false"), .number = 3 });
    add_record(records, "vouched", &vouched,
               &(struct record_recipe){
                   .draft = RECORD_WORLD_FREEZE("false"), .number = 4, .is_vouched = true });
    add_record(records, "closed", &closed,
               &(struct record_recipe){ .draft = CLOSED_DRAFT, .number = 5 });
    set(object, "records", records);
    set(object, "disclosure_of_sealed", disclosure_vector(&sealed));
    set(object, "disclosure_of_frozen", disclosure_vector(&frozen));
    struct payload *all[] = { &filed, &frozen, &sealed, &unsealed, &vouched, &closed };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        payload_clear(all[i]);
    }
}

static json_t *registration_vector(void)
{
    struct signer submitter = record_world_submitter();
    struct operation operation = { .kind = kind_find(KIND_SUBMITTER), .minute = 29542171 };
    struct buf bytes = BUF_INIT(OPERATION_BYTES_MAX);
    struct err err;
    operation.submitter = submitter_id_make(&submitter.vkey.key);
    operation.registration = (struct registration){
        .key = submitter.vkey.key,
        .name = "court-0101.example",
        .court_count = 1,
        .courts = { court_tag_make(span_of_str("测0101")) },
        .roles = 1U << ROLE_ENFORCEMENT,
        .from = 29454480,
    };
    assert_int_equal(operation_put_signed(&bytes, &operation, RECORD_WORLD_ORIGIN, submitter.key,
                                          &err),
                     E_OK);
    json_t *text = hex(buf_span(&bytes));
    buf_clear(&bytes);
    signer_clear(&submitter);
    return text;
}

/* The nonce is random in files; here it is fixed. */
static json_t *sealed_file_vector(void)
{
    static const char head[] = "courtroll sealed file v1\naes-256-gcm\n";
    static const char plain[] = "{\"plain\":\"text\"}\n";
    struct hash secret = record_world_secret("payload key"), nonce = record_world_secret("nonce");
    struct sealed_key key;
    struct buf bytes = BUF_INIT(1024), out = BUF_INIT(1024);
    struct err err;
    memcpy(key.bytes, secret.bytes, sizeof key.bytes);
    buf_put_str(&bytes, head);
    buf_put(&bytes, span_of(nonce.bytes, CIPHER_NONCE_BYTES));
    cipher_seal(&bytes, CIPHER_AES_256_GCM, key.bytes, nonce.bytes, span_of_str(head),
                span_of_str(plain));
    assert_int_equal(sealed_file_take(&out, &key, buf_span(&bytes), &err), E_OK);
    assert_true(span_is_str(buf_span(&out), plain));
    json_t *object = json_object();
    set(object, "key", hex(SPAN_OF_ARRAY(key.bytes)));
    set_text(object, "plain", plain);
    set(object, "file", hex(buf_span(&bytes)));
    buf_clear(&out);
    buf_clear(&bytes);
    return object;
}

static json_t *make_vectors(void)
{
    json_t *object = json_object();
    set_text(object, "about",
             "Vectors of docs/record.md, made by tests/unit/test_record_vectors.c from seeds that "
             "are the SHA-256 of a text; nobody's data. Bytes are in hex.");
    set_text(object, "origin", RECORD_WORLD_ORIGIN);
    set_text(object, "paper", RECORD_WORLD_PAPER);
    set(object, "fields", field_table());
    set(object, "kinds", kind_table());
    set(object, "identifiers", identifiers());
    set(object, "values", values());
    set(object, "case_key", case_key_vectors());
    set(object, "submitter", submitter_vectors());
    set(object, "registration", registration_vector());
    set(object, "sealed_file", sealed_file_vector());
    set_records(object);
    return object;
}

static int put_chunk(const char *bytes, size_t len, void *ctx)
{
    buf_put(ctx, span_of(bytes, len));
    return 0;
}

static struct buf vectors_text(void)
{
    struct buf text = BUF_INIT(VECTORS_BYTES_MAX);
    json_t *object = make_vectors();
    int rc = json_dump_callback(object, put_chunk, &text, JSON_INDENT(1) | JSON_SORT_KEYS);
    assert_int_equal(rc, 0);
    buf_put_str(&text, "\n");
    json_decref(object);
    return text;
}

static void the_file_has_what_the_code_makes(void **state)
{
    (void)state;
    struct buf made = vectors_text(), file = BUF_INIT(VECTORS_BYTES_MAX);
    struct err err;
    assert_int_equal(file_read(&file, path, &err), E_OK);
    size_t at = 0;
    while (at < made.len && at < file.len && made.data[at] == file.data[at]) {
        at++;
    }
    if (at != made.len || at != file.len) {
        size_t from = at > 200 ? at - 200 : 0;
        size_t len = made.len - from < 400 ? made.len - from : 400;
        fail_msg("record.json differs at byte %zu; the code makes ...%.*s...", at,
                 SPAN_PRINTF(span_slice(buf_span(&made), from, len)));
    }
    buf_clear(&file);
    buf_clear(&made);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--print") == 0) {
        struct buf text = vectors_text();
        fwrite(text.data, 1, text.len, stdout);
        buf_clear(&text);
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_file_has_what_the_code_makes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
