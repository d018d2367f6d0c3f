/* TLS and mTLS over loopback, with certificates made here. */
#include "net/rpc_client.h"
#include "net/rpc_server.h"

#include "tests/support/files.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define WHO "/test.Service/Who"

struct party {
    EVP_PKEY *key;
    X509 *cert;
    char *key_path;
    char *cert_path;
};

static void add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    assert_non_null(extension);
    assert_int_equal(X509_add_ext(cert, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

static void write_pems(struct party *party, const char *directory, const char *name)
{
    char file[64];
    snprintf(file, sizeof file, "%s.key", name);
    party->key_path = files_join(directory, file);
    snprintf(file, sizeof file, "%s.pem", name);
    party->cert_path = files_join(directory, file);
    FILE *out = fopen(party->key_path, "w");
    assert_int_equal(PEM_write_PrivateKey(out, party->key, NULL, NULL, 0, NULL, NULL), 1);
    fclose(out);
    out = fopen(party->cert_path, "w");
    assert_int_equal(PEM_write_X509(out, party->cert), 1);
    fclose(out);
}

/* `issuer` NULL makes an authority, which signs itself. */
static struct party party_make(const char *directory, const char *name, const char *san,
                               const struct party *issuer)
{
    static long serial = 1;
    struct party party = { .key = EVP_EC_gen("P-256"), .cert = X509_new() };
    X509 *cert = party.cert;
    X509 *signer = issuer != NULL ? issuer->cert : cert;
    X509_set_version(cert, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), serial++);
    X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_set_pubkey(cert, party.key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
                               (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(cert, X509_get_subject_name(signer));
    add_extension(cert, signer, NID_basic_constraints,
                  issuer == NULL ? "critical,CA:TRUE" : "CA:FALSE");
    if (san != NULL) {
        add_extension(cert, signer, NID_subject_alt_name, san);
    }
    assert_true(X509_sign(cert, issuer != NULL ? issuer->key : party.key, EVP_sha256()) > 0);
    write_pems(&party, directory, name);
    return party;
}

static void party_clear(struct party *party)
{
    EVP_PKEY_free(party->key);
    X509_free(party->cert);
    free(party->key_path);
    free(party->cert_path);
}

static void on_who(void *ctx, struct rpc_call *call, struct span message)
{
    (void)ctx, (void)message;
    const char *name = rpc_call_peer_name(call);
    rpc_reply(call, span_of_str(name != NULL ? name : "nobody"));
}

struct fixture {
    char *directory;
    struct party ca, server, client, other_ca, stranger;
};

static void fixture_init(struct fixture *fixture)
{
    char *d = fixture->directory = files_make_temp_dir();
    fixture->ca = party_make(d, "ca", NULL, NULL);
    fixture->server = party_make(d, "server", "DNS:localhost,IP:127.0.0.1", &fixture->ca);
    fixture->client =
        party_make(d, "client", "DNS:court7.example,DNS:second.example", &fixture->ca);
    fixture->other_ca = party_make(d, "other_ca", NULL, NULL);
    fixture->stranger = party_make(d, "stranger", "DNS:court7.example", &fixture->other_ca);
}

static void fixture_clear(struct fixture *fixture)
{
    party_clear(&fixture->ca);
    party_clear(&fixture->server);
    party_clear(&fixture->client);
    party_clear(&fixture->other_ca);
    party_clear(&fixture->stranger);
    files_remove_tree(fixture->directory);
}

static struct rpc_server *serve(const struct fixture *fixture, bool is_mutual)
{
    const struct rpc_method who = { .path = WHO, .on_call = on_who };
    const struct rpc_server_config config = {
        .listen = { "127.0.0.1:0" },
        .listen_count = 1,
        .tls_cert_path = fixture->server.cert_path,
        .tls_key_path = fixture->server.key_path,
        .tls_client_ca_path = is_mutual ? fixture->ca.cert_path : NULL,
        .methods = &who,
        .method_count = 1,
    };
    struct rpc_server *server = NULL;
    struct err err;
    if (rpc_server_start(&server, &config, &err) != E_OK) {
        fail_msg("%s", err.msg);
    }
    return server;
}

/* What the server calls us; or an error's code. */
static enum err_code ask(struct rpc_server *server, const struct party *ca, const struct party *us,
                         struct buf *reply)
{
    const struct rpc_client_config to = {
        .target = rpc_server_address(server, 0),
        .tls_ca_path = ca != NULL ? ca->cert_path : NULL,
        .tls_cert_path = us != NULL ? us->cert_path : NULL,
        .tls_key_path = us != NULL ? us->key_path : NULL,
    };
    struct rpc_client *client = NULL;
    struct err err;
    buf_init(reply, 100);
    assert_int_equal(rpc_client_open(&client, &to, &err), E_OK);
    enum err_code rc = rpc_client_connect(client, 5000, &err);
    if (rc == E_OK) {
        rc = rpc_unary(client, WHO, span_of_str(""), 5000, reply, &err);
    }
    rpc_client_close(client);
    return rc;
}

static void tls_serves_those_who_trust_the_authority(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture);
    struct rpc_server *server = serve(&fixture, false);
    struct buf reply;
    assert_int_equal(ask(server, &fixture.ca, NULL, &reply), E_OK);
    assert_true(span_is_str(buf_span(&reply), "nobody"));
    buf_clear(&reply);
    assert_int_not_equal(ask(server, &fixture.other_ca, NULL, &reply), E_OK);
    assert_int_not_equal(ask(server, NULL, NULL, &reply), E_OK); /* plaintext */
    rpc_server_stop(server, 1000);
    fixture_clear(&fixture);
}

static void mtls_names_the_peer_and_refuses_strangers(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture);
    struct rpc_server *server = serve(&fixture, true);
    struct buf reply;
    assert_int_equal(ask(server, &fixture.ca, &fixture.client, &reply), E_OK);
    assert_true(span_is_str(buf_span(&reply), "court7.example"));
    buf_clear(&reply);
    assert_int_not_equal(ask(server, &fixture.ca, NULL, &reply), E_OK);
    assert_int_not_equal(ask(server, &fixture.ca, &fixture.stranger, &reply), E_OK);
    rpc_server_stop(server, 1000);
    fixture_clear(&fixture);
}

static void start_fails_with_a_key_of_another_certificate(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture);
    const struct rpc_server_config config = { .listen = { "127.0.0.1:0" },
                                              .listen_count = 1,
                                              .tls_cert_path = fixture.server.cert_path,
                                              .tls_key_path = fixture.client.key_path };
    struct rpc_server *server = NULL;
    struct err err;
    assert_int_not_equal(rpc_server_start(&server, &config, &err), E_OK);
    assert_null(server);
    fixture_clear(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tls_serves_those_who_trust_the_authority),
        cmocka_unit_test(mtls_names_the_peer_and_refuses_strangers),
        cmocka_unit_test(start_fails_with_a_key_of_another_certificate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
