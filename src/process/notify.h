/*
 * notify - tells the service manager about this process: the protocol of sd_notify(3),
 * one datagram for each message.
 *
 *   notify_open (before threads, privileges and the sandbox) -> notify_send* -> (exit)
 *
 * notify_send: any thread, never blocks. Without a service manager all of it does nothing.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/attr.h"

struct notify {
    int fd; /* -1: no service manager wants messages */
    struct sockaddr_un to;
    socklen_t to_bytes;
    bool silent;          /* it hears another process still, and passes over this one */
    uint64_t watchdog_us; /* longest time between two pings; 0: none are wanted */
};

/* Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID. */
void notify_open(struct notify *n);

/* lines: "READY=1\nSTATUS=…". False: nobody took it, or n is silent. */
bool notify_send(const struct notify *n, const char *fmt, ...) PRINTF(2, 3);

/* A reload begins; READY=1 ends it. */
void notify_reloading(const struct notify *n);
