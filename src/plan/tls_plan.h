/*
 * tls_plan - the TLS of a listener, as a policy has it. Lives with its plan.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* A certificate of a listener: files in PEM, whose paths may start at the policy's
 * folder. */
struct certificate_plan {
    const char *cert, *key;
    const char *const *names; /* hosts; none: those in the certificate */
    uint32_t n_names;
};

enum tls_client_plan { TLS_ASKS_NOTHING, TLS_ASKS, TLS_REQUIRES };

struct tls_plan {
    const struct certificate_plan *certificates; /* at least one */
    uint32_t n_certificates;
    enum tls_client_plan client;
    const char *ca; /* NULL: client asks nothing */
    bool only_1_3, tickets;
    int64_t handshake_timeout_ms, renew_ms;
    uint32_t max_handshakes;
};
