#include "net/listen.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct config_key keys[] = { LISTEN_CONFIG_KEYS("127.0.0.1:1", "127.0.0.1:2") };
static const struct config_schema schema = {
    .program = "test", .summary = "a test", .keys = keys, .key_count = sizeof keys / sizeof keys[0]
};

/* The strings in *out live as long as the config, which the caller frees. */
static enum err_code read_settings(struct listen_settings *out, struct config **config,
                                   const char *text, struct err *err)
{
    *config = config_new(&schema);
    enum err_code rc = config_parse(*config, "test", span_of_str(text), err);
    return rc == E_OK ? listen_settings_read(out, *config, "127.0.0.1:1", "127.0.0.1:2", err) : rc;
}

static void expect(const char *text, enum err_code wanted)
{
    struct listen_settings settings;
    struct config *config;
    struct err err;
    assert_int_equal(read_settings(&settings, &config, text, &err), wanted);
    config_free(config);
}

static void listen_settings_have_defaults(void **state)
{
    (void)state;
    struct listen_settings settings;
    struct config *config;
    struct err err;
    assert_int_equal(read_settings(&settings, &config, "", &err), E_OK);
    assert_int_equal(settings.http_count, 1);
    assert_int_equal(address_port(&settings.http[0]), 1);
    assert_int_equal(settings.grpc_count, 1);
    assert_string_equal(settings.grpc[0], "127.0.0.1:2");
    assert_null(settings.tls_cert);
    config_free(config);
}

static void listen_settings_take_several_addresses(void **state)
{
    (void)state;
    struct listen_settings settings;
    struct config *config;
    struct err err;
    const char *text = "http-listen = 0.0.0.0:80\nhttp-listen = unix:/run/x\n"
                       "grpc-listen = [::1]:7\ngrpc-listen = unix:/run/y\n";
    assert_int_equal(read_settings(&settings, &config, text, &err), E_OK);
    assert_int_equal(settings.http_count, 2);
    assert_int_equal(settings.grpc_count, 2);
    assert_string_equal(settings.grpc[1], "unix:/run/y");
    config_free(config);
}

static void listen_settings_refuse_grpc_for_others_without_tls(void **state)
{
    (void)state;
    expect("grpc-listen = 0.0.0.0:7\n", E_DENIED);
    expect("grpc-listen = [::]:7\n", E_DENIED);
    expect("grpc-listen = 127.0.0.1:6\ngrpc-listen = 10.0.0.1:7\n", E_DENIED);
    expect("grpc-listen = 0.0.0.0:7\ntls-cert = c\ntls-key = k\n", E_OK);
}

static void listen_settings_refuse_half_of_tls(void **state)
{
    (void)state;
    expect("tls-cert = c\n", E_MALFORMED);
    expect("tls-key = k\n", E_MALFORMED);
    expect("tls-client-ca = a\n", E_MALFORMED);
    expect("tls-cert = c\ntls-client-ca = a\n", E_MALFORMED);
    expect("tls-cert = c\ntls-key = k\ntls-client-ca = a\n", E_OK);
}

static void listen_settings_refuse_more_than_the_servers_take(void **state)
{
    (void)state;
    struct buf text = BUF_INIT(4096);
    for (int i = 0; i < LISTEN_MAX; i++) {
        buf_putf(&text, "http-listen = 127.0.0.1:%d\ngrpc-listen = 127.0.0.1:%d\n", 10 + i, 50 + i);
    }
    expect(buf_c_str(&text), E_OK);
    struct buf more = BUF_INIT(8192);
    buf_putf(&more, "%shttp-listen = 127.0.0.1:9\n", buf_c_str(&text));
    expect(buf_c_str(&more), E_MALFORMED);
    buf_reset(&more);
    buf_putf(&more, "%sgrpc-listen = 127.0.0.1:9\n", buf_c_str(&text));
    expect(buf_c_str(&more), E_MALFORMED);
    buf_clear(&more);
    buf_clear(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(listen_settings_have_defaults),
        cmocka_unit_test(listen_settings_take_several_addresses),
        cmocka_unit_test(listen_settings_refuse_grpc_for_others_without_tls),
        cmocka_unit_test(listen_settings_refuse_half_of_tls),
        cmocka_unit_test(listen_settings_refuse_more_than_the_servers_take),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
