/* TLS and mTLS over loopback, with certificates made here. */
#include "net/rpc_client.h"
#include "net/rpc_server.h"

#include "tests/support/certificates.h"
#include "tests/support/files.h"

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
