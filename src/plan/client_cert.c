#include "plan/client_cert.h"

#include "base/tls_peer.h"

/* The length of the character at p: an escaped one counts as one. */
static size_t step(struct str s, size_t at)
{
    return s.p[at] == '\\' && at + 1 < s.n ? 2 : 1;
}

static bool ends_value(char c)
{
    return c == ',' || c == '+';
}

bool client_cert_matches(struct str pattern, struct str name)
{
    size_t p = 0, n = 0, star = SIZE_MAX, from = 0;

    /* Goes back to the last star alone: it takes as little as it can, and an earlier one
     * need not take more. */
    while (n < name.n) {
        if (p < pattern.n && pattern.p[p] == '*') {
            star = p++;
            from = n;
        } else if (p < pattern.n && pattern.p[p] == name.p[n]) {
            p++;
            n++;
        } else if (star != SIZE_MAX && !ends_value(name.p[from])) {
            from += step(name, from);
            p = star + 1;
            n = from;
        } else {
            return false;
        }
    }
    while (p < pattern.n && pattern.p[p] == '*') {
        p++;
    }
    return p == pattern.n;
}

static bool has_match(const struct str *list, uint32_t n, const char *name, bool cut)
{
    for (uint32_t i = 0; i < n && !cut; i++) {
        if (client_cert_matches(list[i], str_of(name))) {
            return true;
        }
    }
    return n == 0;
}

enum auth_reason client_cert_check(const struct client_cert *c,
                                   const struct tls_peer *peer, int64_t now_s)
{
    bool found = c->n_fingerprints == 0;

    if (peer == NULL || peer->fingerprint[0] == '\0') {
        return AUTH_MISSING;
    }
    if (now_s >= peer->expires_s) {
        return AUTH_EXPIRED; /* since the handshake */
    }
    for (uint32_t i = 0; i < c->n_fingerprints && !found; i++) {
        found = str_eq(c->fingerprints[i], str_of(peer->fingerprint));
    }
    return found &&
                   has_match(c->subjects, c->n_subjects, peer->subject,
                             peer->subject_cut) &&
                   has_match(c->authorities, c->n_authorities, peer->authority,
                             peer->authority_cut)
               ? AUTH_OK
               : AUTH_UNKNOWN;
}
