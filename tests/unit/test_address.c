#include "net/address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct address parse(const char *text)
{
    struct address address;
    struct err err;
    assert_int_equal(address_parse(&address, span_of_str(text), &err), E_OK);
    return address;
}

static void address_put_gives_the_text_that_was_parsed(void **state)
{
    (void)state;
    const char *texts[] = { "127.0.0.1:6962", "0.0.0.0:0",         "[::1]:65535",
                            "[::]:80",        "[2001:db8::1]:443", "unix:/run/courtroll/log.sock",
                            "unix:relative" };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct address address = parse(texts[i]);
        struct buf out = BUF_INIT(ADDRESS_TEXT_MAX + 1);
        address_put(&out, &address);
        assert_string_equal(buf_c_str(&out), texts[i]);
        buf_clear(&out);
    }
}

static void address_parse_takes_localhost_as_ipv4(void **state)
{
    (void)state;
    struct address address = parse("localhost:6962");
    assert_int_equal(address.any.sa_family, AF_INET);
    assert_int_equal(address_port(&address), 6962);
    assert_true(address_is_loopback(&address));
}

static void address_parse_rejects_what_is_not_an_address(void **state)
{
    (void)state;
    const char *texts[] = { "",
                            ":",
                            ":80",
                            "127.0.0.1",
                            "127.0.0.1:",
                            "127.0.0.1:080",
                            "127.0.0.1:65536",
                            "127.0.0.1:-1",
                            "127.0.0.1:+1",
                            "127.0.0.1: 1",
                            "127.0.0.1:80 ",
                            " 127.0.0.1:80",
                            "127.1:80",
                            "0127.0.0.1:80",
                            "256.0.0.1:80",
                            "::1:80",
                            "[::1]",
                            "[::1",
                            "[]:80",
                            "[127.0.0.1]:80",
                            "[::1%lo]:80",
                            "[[::1]]:80",
                            "[::1]x:80",
                            "example.com:80",
                            "LOCALHOST:80",
                            "unix:",
                            "http://127.0.0.1:80",
                            "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:80" };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct address address;
        memset(&address, 0x5a, sizeof address);
        struct address before = address;
        struct err err;
        assert_int_equal(address_parse(&address, span_of_str(texts[i]), &err), E_MALFORMED);
        assert_memory_equal(&address, &before, sizeof address);
    }
    struct address address;
    struct err err;
    assert_int_equal(address_parse(&address, span_of("unix:/a\0b", 9), &err), E_MALFORMED);
    assert_int_equal(address_parse(&address, span_of("127.0.0.1\0:80", 13), &err), E_MALFORMED);
}

static void address_parse_bounds_a_unix_path(void **state)
{
    (void)state;
    char text[5 + ADDRESS_PATH_MAX + 1];
    memset(text, 'a', sizeof text);
    memcpy(text, "unix:", 5);
    struct address address;
    struct err err;
    assert_int_equal(address_parse(&address, span_of(text, sizeof text - 1), &err), E_OK);
    assert_int_equal(strlen(address.un.sun_path), ADDRESS_PATH_MAX);
    assert_int_equal(address_parse(&address, span_of(text, sizeof text), &err), E_MALFORMED);
}

static void address_is_loopback_for_this_machine_only(void **state)
{
    (void)state;
    const struct {
        const char *text;
        bool is_loopback;
    } cases[] = {
        { "127.0.0.1:1", true },
        { "127.255.255.254:1", true },
        { "[::1]:1", true },
        { "[::ffff:127.0.0.1]:1", true },
        { "unix:/x", true },
        { "0.0.0.0:1", false },
        { "128.0.0.1:1", false },
        { "10.0.0.1:1", false },
        { "[::]:1", false },
        { "[::2]:1", false },
        { "[::ffff:10.0.0.1]:1", false },
        { "[2001:db8::1]:1", false },
        { "[fe80::7f00:1]:1", false },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct address address = parse(cases[i].text);
        assert_int_equal(address_is_loopback(&address), cases[i].is_loopback);
        assert_int_equal(address_is_unix(&address), cases[i].text[0] == 'u');
    }
}

static void address_from_sockaddr_keeps_ip_addresses(void **state)
{
    (void)state;
    const char *texts[] = { "192.0.2.1:9", "[2001:db8::9]:9" };
    for (size_t i = 0; i < 2; i++) {
        struct address address = parse(texts[i]);
        struct address copy = address_from_sockaddr(&address.any);
        assert_memory_equal(&address, &copy, sizeof address);
    }
    struct sockaddr unnamed = { .sa_family = AF_UNIX };
    struct address address = address_from_sockaddr(&unnamed);
    assert_true(address_is_unix(&address));
    assert_int_equal(address_port(&address), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(address_put_gives_the_text_that_was_parsed),
        cmocka_unit_test(address_parse_takes_localhost_as_ipv4),
        cmocka_unit_test(address_parse_rejects_what_is_not_an_address),
        cmocka_unit_test(address_parse_bounds_a_unix_path),
        cmocka_unit_test(address_is_loopback_for_this_machine_only),
        cmocka_unit_test(address_from_sockaddr_keeps_ip_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
