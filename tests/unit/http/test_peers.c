/* Connections are counted by client address. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>

#include "base/attr.h"
#include "http/peers.h"

static struct sockaddr_storage address(const char *text)
{
    struct sockaddr_storage sa = {0};
    struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)&sa;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)&sa;

    if (strchr(text, ':') == NULL) {
        v4->sin_family = AF_INET;
        assert_int_equal(1, inet_pton(AF_INET, text, &v4->sin_addr));
    } else {
        v6->sin6_family = AF_INET6;
        assert_int_equal(1, inet_pton(AF_INET6, text, &v6->sin6_addr));
    }
    return sa;
}

static struct peer peer(const char *text)
{
    struct sockaddr_storage sa = address(text);

    return peer_of(&sa);
}

static void an_address_is_counted_until_it_leaves(void **state)
{
    struct peers *p = peers_new();
    struct peer a = peer("10.0.0.1"), b = peer("10.0.0.2");

    (void)state;
    assert_int_equal(0, peers_count(p, &a));
    peers_enter(p, &a);
    peers_enter(p, &a);
    peers_enter(p, &b);
    assert_int_equal(2, peers_count(p, &a));
    peers_leave(p, &a);
    assert_int_equal(1, peers_count(p, &a));
    peers_leave(p, &a);
    assert_int_equal(0, peers_count(p, &a));
    assert_int_equal(1, peers_count(p, &b));
    peers_free(p);
}

static void a_mapped_address_is_the_ipv4_one(void **state)
{
    struct sockaddr_storage sa = address("::ffff:10.0.0.7");
    struct peer a = peer("10.0.0.7"), b = peer_of(&sa);
    char text[48];

    (void)state;
    assert_memory_equal(&a, &b, sizeof a);
    peer_show(&sa, text, sizeof text);
    assert_string_equal("10.0.0.7", text);
    sa = address("2001:db8::1");
    peer_show(&sa, text, sizeof text);
    assert_string_equal("2001:db8::1", text);
}

static void an_ipv6_network_is_one_client(void **state)
{
    struct peer a = peer("2001:db8:1:2::1"), b = peer("2001:db8:1:2:3:4:5:6"),
                c = peer("2001:db8:1:3::1");

    (void)state;
    assert_memory_equal(&a, &b, sizeof a);
    assert_memory_not_equal(&a, &c, sizeof a);
}

static void many_addresses_are_told_apart(void **state)
{
    struct peers *p = peers_new();
    struct peer who = {{0}};

    (void)state;
    for (uint32_t i = 0; i < 20000; i++) {
        memcpy(who.bytes, &i, sizeof i);
        peers_enter(p, &who);
    }
    for (uint32_t i = 0; i < 20000; i++) {
        memcpy(who.bytes, &i, sizeof i);
        assert_int_equal(1, peers_count(p, &who));
    }
    peers_free(p);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_is_counted_until_it_leaves),
        cmocka_unit_test(a_mapped_address_is_the_ipv4_one),
        cmocka_unit_test(an_ipv6_network_is_one_client),
        cmocka_unit_test(many_addresses_are_told_apart)};

    return cmocka_run_group_tests_name("peers", tests, NULL, NULL);
}
