/*
 * location - whether a redirect may lead to a url, and how it stands in the Location of an
 * answer. Pure; any thread.
 *
 * A url that reaches a client's browser is read by another parser than ours, so that
 * what two parsers could read differently is refused: userinfo, backslashes and control
 * bytes, hosts that are not plain ASCII, ports that nobody named.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/str.h"

enum { LOCATION_MAX = 2048 };

/* Host names in lower case: "shop.example", "shop.example:8443", "*.shop.example" (each
 * name below it). n 0: any host. */
struct location_hosts {
    const struct str *list;
    uint32_t n;
};

/* The url as it may stand in a header, with a NUL, to out. Spaces, bytes that are not ASCII
 * and those that no url has are percent-encoded after the host. False: it is not an
 * absolute url of http or https, its host is not one of hosts, or it is longer than
 * LOCATION_MAX bytes; *why says so (static text). */
bool location_write(struct location_hosts hosts, struct str url,
                    char out[LOCATION_MAX + 1], const char **why) MUST_USE;

/* text percent-encoded but for letters, digits and -._~, for a part of a url, to out,
 * which has 3 * text.n bytes; returns the length. */
size_t location_escape(struct str text, char *out);
