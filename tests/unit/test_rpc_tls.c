/* TLS and mTLS over loopback, with certificates made here. */
#include "net/rpc_client.h"
#include "net/rpc_server.h"

#include "base/file.h"
#include "tests/support/certificates.h"
#include "tests/support/files.h"

#include <openssl/ssl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define WHO "/test.Service/Who"

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

static void copy_file(const char *from, const char *to)
{
    struct buf text = BUF_INIT(100 * 1024);
    struct err err;
    assert_int_equal(file_read(&text, from, &err), E_OK);
    files_write(to, buf_span(&text));
    buf_clear(&text);
}

/* A client that stays connected. */
static struct rpc_client *connect_to(struct rpc_server *server, const struct party *ca,
                                     const struct party *us)
{
    const struct rpc_client_config to = {
        .target = rpc_server_address(server, 0),
        .tls_ca_path = ca->cert_path,
        .tls_cert_path = us->cert_path,
        .tls_key_path = us->key_path,
    };
    struct rpc_client *client = NULL;
    struct err err;
    assert_int_equal(rpc_client_open(&client, &to, &err), E_OK);
    assert_int_equal(rpc_client_connect(client, 5000, &err), E_OK);
    return client;
}

static void assert_answers(struct rpc_client *client)
{
    struct buf reply = BUF_INIT(100);
    struct err err;
    assert_int_equal(rpc_unary(client, WHO, span_of_str(""), 5000, &reply, &err), E_OK);
    assert_true(span_is_str(buf_span(&reply), "court7.example"));
    buf_clear(&reply);
}

static void assert_takes(struct rpc_server *server, const struct party *ca, const struct party *us)
{
    struct buf reply;
    assert_int_equal(ask(server, ca, us, &reply), E_OK);
    buf_clear(&reply);
}

static void assert_refuses(struct rpc_server *server, const struct party *ca,
                           const struct party *us)
{
    struct buf reply;
    assert_int_not_equal(ask(server, ca, us, &reply), E_OK);
}

/* The server's files are replaced by those of another authority, which it asks its clients for, too. */
static void reloading_changes_new_connections_only(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture);
    struct rpc_server *server = serve(&fixture, true);
    struct rpc_client *old = connect_to(server, &fixture.ca, &fixture.client);
    assert_answers(old);
    struct party next =
        party_make(fixture.directory, "next", "DNS:localhost,IP:127.0.0.1", &fixture.other_ca);
    copy_file(next.cert_path, fixture.server.cert_path);
    copy_file(next.key_path, fixture.server.key_path);
    struct party next_ca = party_make(fixture.directory, "next_ca", NULL, NULL);
    copy_file(fixture.other_ca.cert_path, next_ca.cert_path); /* as the client knows it */
    char *ca_path = files_join(fixture.directory, "kept.pem");
    copy_file(fixture.ca.cert_path, ca_path);
    copy_file(fixture.other_ca.cert_path, fixture.ca.cert_path);
    struct party kept = fixture.ca;
    kept.cert_path = ca_path;
    assert_takes(server, &kept, &fixture.client); /* files alone change nothing */
    struct err err;
    assert_int_equal(rpc_server_reload_tls(server, &err), E_OK);
    assert_refuses(server, &kept, &fixture.client);    /* the server's certificate is another's */
    assert_refuses(server, &next_ca, &fixture.client); /* and so is who signs its clients' */
    assert_takes(server, &next_ca, &fixture.stranger); /* who is none any more */
    assert_answers(old);
    rpc_client_close(old);
    free(ca_path);
    party_clear(&next);
    party_clear(&next_ca);
    rpc_server_stop(server, 1000);
    fixture_clear(&fixture);
}

struct broken {
    const char *name;
    const char *text; /* NULL: the file is not there */
    enum err_code code;
};

/* Whatever is wrong with a file, the server goes on with what it has, and says which it is. */
static void reloading_a_broken_file_changes_nothing(void **state)
{
    (void)state;
    static const struct broken faults[] = {
        { "nothing", "", E_MALFORMED },
        { "no PEM", "hello", E_MALFORMED },
        { "cut off", "-----BEGIN CERTIFICATE-----\nMIIB", E_MALFORMED },
        { "missing", NULL, E_NOT_FOUND },
    };
    struct fixture fixture;
    fixture_init(&fixture);
    struct rpc_server *server = serve(&fixture, true);
    const char *paths[] = { fixture.server.cert_path, fixture.server.key_path,
                            fixture.ca.cert_path };
    char *kept = files_join(fixture.directory, "kept.pem");
    struct party ca = fixture.ca;
    ca.cert_path = files_join(fixture.directory, "ca_of_client.pem");
    copy_file(fixture.ca.cert_path, ca.cert_path);
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        copy_file(paths[i], kept);
        for (size_t j = 0; j < sizeof faults / sizeof faults[0]; j++) {
            struct err err;
            if (faults[j].text != NULL) {
                files_write(paths[i], span_of_str(faults[j].text));
            } else {
                assert_int_equal(remove(paths[i]), 0);
            }
            assert_int_equal(rpc_server_reload_tls(server, &err), faults[j].code);
            assert_non_null(strstr(err.msg, paths[i]));
            assert_takes(server, &ca, &fixture.client);
            assert_refuses(server, &ca, &fixture.stranger);
        }
        copy_file(kept, paths[i]);
    }
    struct err err;
    for (size_t i = 0; i < 3; i += 2) { /* a chain is read to its end */
        copy_file(paths[i], kept);
        FILE *file = fopen(paths[i], "a");
        assert_non_null(file);
        fputs("-----BEGIN CERTIFICATE-----\nMIIB\n", file);
        assert_int_equal(fclose(file), 0);
        assert_int_equal(rpc_server_reload_tls(server, &err), E_MALFORMED);
        assert_non_null(strstr(err.msg, paths[i]));
        copy_file(kept, paths[i]);
    }
    copy_file(fixture.stranger.key_path, fixture.server.key_path);
    assert_int_equal(rpc_server_reload_tls(server, &err), E_MALFORMED);
    assert_non_null(strstr(err.msg, "not the key of the certificate"));
    assert_takes(server, &ca, &fixture.client);
    rpc_server_stop(server, 1000);
    free(ca.cert_path);
    free(kept);
    fixture_clear(&fixture);
}

static void reloading_without_tls_is_an_error(void **state)
{
    (void)state;
    const struct rpc_method who = { .path = WHO, .on_call = on_who };
    const struct rpc_server_config config = {
        .listen = { "127.0.0.1:0" }, .listen_count = 1, .methods = &who, .method_count = 1
    };
    struct rpc_server *server = NULL;
    struct err err;
    assert_int_equal(rpc_server_start(&server, &config, &err), E_OK);
    assert_int_equal(rpc_server_reload_tls(server, &err), E_UNSUPPORTED);
    rpc_server_stop(server, 1000);
}

/* Two listeners share the files: each must come to have the new ones. */
static void reloading_reaches_every_listener(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture);
    const struct rpc_method who = { .path = WHO, .on_call = on_who };
    const struct rpc_server_config config = {
        .listen = { "127.0.0.1:0", "127.0.0.1:0" },
        .listen_count = 2,
        .tls_cert_path = fixture.server.cert_path,
        .tls_key_path = fixture.server.key_path,
        .methods = &who,
        .method_count = 1,
    };
    struct rpc_server *server = NULL;
    struct err err;
    assert_int_equal(rpc_server_start(&server, &config, &err), E_OK);
    for (size_t round = 0; round < 2; round++) {
        const struct party *ca = round == 0 ? &fixture.ca : &fixture.other_ca;
        for (size_t i = 0; i < 2; i++) {
            const struct rpc_client_config to = { .target = rpc_server_address(server, i),
                                                  .tls_ca_path = ca->cert_path };
            struct rpc_client *client = NULL;
            assert_int_equal(rpc_client_open(&client, &to, &err), E_OK);
            assert_int_equal(rpc_client_connect(client, 5000, &err), E_OK);
            rpc_client_close(client);
        }
        struct party next =
            party_make(fixture.directory, "next", "IP:127.0.0.1", &fixture.other_ca);
        copy_file(next.cert_path, fixture.server.cert_path);
        copy_file(next.key_path, fixture.server.key_path);
        assert_int_equal(rpc_server_reload_tls(server, &err), E_OK);
        party_clear(&next);
    }
    rpc_server_stop(server, 1000);
    fixture_clear(&fixture);
}

/* The client offers nothing but one version, at the lowest security level, as openssl s_client -tls1_1 -cipher
 * ALL:@SECLEVEL=0 does. That a refusal is the server's shows in that the others come about. */
static bool shakes_hands(const char *address, int version)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    assert_non_null(ctx);
    SSL_CTX_set_security_level(ctx, 0);
    assert_int_equal(SSL_CTX_set_min_proto_version(ctx, version), 1);
    assert_int_equal(SSL_CTX_set_max_proto_version(ctx, version), 1);
    assert_int_equal(SSL_CTX_set_cipher_list(ctx, "ALL:@SECLEVEL=0"), 1);
    BIO *bio = BIO_new_connect(address);
    assert_int_equal(BIO_do_connect(bio), 1);
    SSL *ssl = SSL_new(ctx);
    SSL_set_bio(ssl, bio, bio);
    bool is_done = SSL_connect(ssl) == 1;
    assert_true(BIO_number_written(bio) > 0); /* it did make its offer */
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    return is_done;
}

static void tls_below_1_2_is_refused(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture);
    struct rpc_server *server = serve(&fixture, false);
    const char *address = rpc_server_address(server, 0);
    for (size_t i = 0; i < 2; i++) {
        struct err err;
        assert_false(shakes_hands(address, TLS1_VERSION));
        assert_false(shakes_hands(address, TLS1_1_VERSION));
        assert_true(shakes_hands(address, TLS1_2_VERSION));
        assert_true(shakes_hands(address, TLS1_3_VERSION));
        assert_int_equal(rpc_server_reload_tls(server, &err), E_OK);
    }
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
        cmocka_unit_test(reloading_changes_new_connections_only),
        cmocka_unit_test(reloading_a_broken_file_changes_nothing),
        cmocka_unit_test(reloading_without_tls_is_an_error),
        cmocka_unit_test(reloading_reaches_every_listener),
        cmocka_unit_test(tls_below_1_2_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
