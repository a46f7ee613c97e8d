/*
 * address - an IP address as numbers. An IPv4 address that is written as an IPv6 one
 * (::ffff:192.0.2.1) is the IPv4 address. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/str.h"

struct sockaddr_storage;

struct address {
    bool four;
    uint64_t hi, lo; /* of IPv4: 0 and the 32 bits */
};

/* The addresses whose first bits are those of address. */
struct subnet {
    struct address address;
    uint32_t prefix; /* 0 to 32 of IPv4, to 128 of IPv6 */
};

enum { ADDRESS_TEXT = 46 };

/* False: no address. A port, brackets and a zone are no part of one. */
bool address_read(struct str text, struct address *out) MUST_USE;

/* An address and its prefix: "10.0.0.0/8", "2001:db8::/32", "192.0.2.1". The prefix of
 * IPv4 is 0 to 32, also of ::ffff:10.0.0.0/104. NULL, or why it is none. */
const char *address_read_network(struct str text, struct address *out,
                                 uint32_t *prefix) MUST_USE;

bool address_in(const struct address *a, const struct subnet *n);
bool address_in_any(const struct address *a, const struct subnet *list, uint32_t n);
/* Of a TCP socket's other end. False: another family's. */
bool address_of_socket(const struct sockaddr_storage *sa, struct address *out) MUST_USE;
/* Of 4 bytes, or 16, in network order. */
void address_of_bytes(const unsigned char *p, bool six, struct address *out);
/* The canonical text (RFC 5952): "10.0.0.7", "2001:db8::7". */
void address_show(const struct address *a, char out[ADDRESS_TEXT]);
bool address_is_loopback(const struct address *a);
