/*
 * listener - a listening TCP socket. Made by the supervisor; the descriptor is
 * the caller's to close.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"

struct err;

/* Whether addr has the form of one that listener_open takes; *e tells. */
bool listener_is_address(const char *addr, struct err *e) MUST_USE;

/* addr: "127.0.0.1:8080", "[::1]:8080", "0.0.0.0:8080" (all of IPv4), "*:8080",
 * ":8080" or "[::]:8080" (all addresses of both families); port 0
 * takes a free one. bound gets the address in the same form. Non-blocking.
 * reuseport: others may listen on the same address and share its connections.
 * -1 and *e on failure. */
int listener_open(const char *addr, bool reuseport, char *bound, size_t bound_bytes,
                  struct err *e) MUST_USE;

/* Whether no socket listens on addr, not even one that would share it. Another process
 * may take it before the caller opens it. False: *e tells. */
bool listener_is_free(const char *addr, struct err *e) MUST_USE;

/* The address of a listening socket: "127.0.0.1:8080", "unix:/run/x.sock". False: errno. */
bool listener_show(int fd, char *bound, size_t bound_bytes) MUST_USE;
