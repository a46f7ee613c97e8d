#include "server/certificates.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "net/tls_context.h"
#include "policy/load/load.h"

enum { NOTE_BYTES = 700, STATEMENT_BYTES = 80 };

/* A path of the policy; a relative one starts at its folder. */
static char *path_of(const struct policy *p, const char *path)
{
    const char *own = policy_file(p, 0);
    const char *slash = own == NULL ? NULL : strrchr(own, '/');
    char out[PATH_MAX];

    if (path[0] == '/' || slash == NULL) {
        return mem_strdup(path);
    }
    (void)snprintf(out, sizeof out, "%.*s/%s", (int)(slash - own), own, path);
    return mem_strdup(out);
}

const struct tls_plan *certificates_plan(const struct plan *p, uint32_t place)
{
    return place == CERTIFICATES_ADMIN ? p->admin.listener.tls
           : place < p->n_listeners    ? p->listeners[place].tls
                                       : NULL;
}

const char *certificates_name(const struct plan *p, uint32_t place)
{
    return place == CERTIFICATES_ADMIN ? "admin" : p->listeners[place].address;
}

static const struct tls_plan *tls_of(const struct policy *p, uint32_t place)
{
    return certificates_plan(policy_plan(p), place);
}

/* As the policy names it: listen ":8443". */
static const char *statement_of(const struct policy *p, uint32_t place,
                                char out[STATEMENT_BYTES])
{
    const char *name = certificates_name(policy_plan(p), place);

    (void)snprintf(out, STATEMENT_BYTES,
                   place == CERTIFICATES_ADMIN ? "%s" : "listen \"%.60s\"", name);
    return out;
}

static uint64_t stamp_of(uint64_t h, const struct policy *p, const char *path)
{
    char *whole = path_of(p, path);
    struct stat st;
    int64_t facts[8] = {0};

    if (stat(whole, &st) == 0) {
        facts[0] = (int64_t)st.st_dev;
        facts[1] = (int64_t)st.st_ino;
        facts[2] = st.st_size;
        facts[3] = st.st_mtim.tv_sec;
        facts[4] = st.st_mtim.tv_nsec;
        facts[6] = st.st_ctim.tv_sec; /* who may read it */
        facts[7] = st.st_ctim.tv_nsec;
    } else {
        facts[5] = errno;
    }
    free(whole);
    return str_hash(h, (struct str){(const char *)facts, sizeof facts});
}

uint64_t certificates_stamp(const struct policy *p, uint32_t place)
{
    const struct tls_plan *t = tls_of(p, place);
    uint64_t h = STR_HASH;

    for (uint32_t i = 0; i < t->n_certificates; i++) {
        h = stamp_of(h, p, t->certificates[i].cert);
        h = stamp_of(h, p, t->certificates[i].key);
    }
    return t->ca == NULL ? h : stamp_of(h, p, t->ca);
}

/* File n of t; the number of its files is taken off n where it has fewer. */
static const char *file_of(const struct tls_plan *t, uint32_t *n)
{
    uint32_t all = 2 * t->n_certificates + (t->ca != NULL);

    if (*n >= all) {
        *n -= all;
        return NULL;
    }
    if (*n == 2 * t->n_certificates) {
        return t->ca;
    }
    return *n % 2 == 0 ? t->certificates[*n / 2].cert : t->certificates[*n / 2].key;
}

char *certificates_file(const struct policy *p, uint32_t n)
{
    for (uint32_t i = 0; i < CERTIFICATES_PLACES; i++) {
        const struct tls_plan *t = tls_of(p, i);
        const char *path = t == NULL ? NULL : file_of(t, &n);

        if (path != NULL) {
            return path_of(p, path);
        }
    }
    return NULL;
}

struct tls_context *certificates_context(const struct policy *p, uint32_t place,
                                         struct tls_tickets *tickets, struct err *e)
{
    const struct tls_plan *t = tls_of(p, place);
    struct tls_files files[TLS_CERTIFICATES_MAX];
    char *paths[2 * TLS_CERTIFICATES_MAX + 1], statement[STATEMENT_BYTES];
    struct tls_options o = {
        .files = files, .client = (enum tls_client)t->client, .only_1_3 = t->only_1_3};
    struct tls_context *c = NULL;
    struct err why;
    size_t n = 0;

    if (t->n_certificates > TLS_CERTIFICATES_MAX) {
        (void)err_set(e, "%s.tls: more than %d certificates",
                      statement_of(p, place, statement), TLS_CERTIFICATES_MAX);
        return NULL;
    }
    for (uint32_t i = 0; i < t->n_certificates; i++) {
        const struct certificate_plan *x = &t->certificates[i];

        paths[n] = path_of(p, x->cert);
        paths[n + 1] = path_of(p, x->key);
        files[i] = (struct tls_files){paths[n], paths[n + 1], x->names, x->n_names};
        n += 2;
    }
    o.n_files = t->n_certificates;
    if (t->ca != NULL) {
        o.ca = paths[n++] = path_of(p, t->ca);
    }
    c = tls_context_new(&o, t->tickets ? tickets : NULL, &why);
    if (c == NULL) {
        (void)err_set(e, "%s.tls: %s", statement_of(p, place, statement), why.text);
    }
    while (n > 0) {
        free(paths[--n]);
    }
    return c;
}

bool certificates_read(struct certificates *c, const struct policy *p,
                       struct tls_tickets *tickets, struct err *e)
{
    *c = (struct certificates){0};
    for (uint32_t i = 0; i < CERTIFICATES_PLACES; i++) {
        if (tls_of(p, i) != NULL) {
            c->stamps[i] = certificates_stamp(p, i);
            c->contexts[i] = certificates_context(p, i, tickets, e);
            if (c->contexts[i] == NULL) {
                certificates_free(c);
                return false;
            }
        }
    }
    return true;
}

void certificates_free(struct certificates *c)
{
    for (uint32_t i = 0; i < CERTIFICATES_PLACES; i++) {
        tls_context_unref(c->contexts[i]);
        c->contexts[i] = NULL;
    }
}

void certificates_note(const struct certificates *c, const struct policy *p,
                       struct policy_report *report)
{
    int64_t now = clock_wall_ms() / 1000;
    char text[NOTE_BYTES], statement[STATEMENT_BYTES];
    struct err e;

    for (uint32_t i = 0; i < CERTIFICATES_PLACES; i++) {
        for (uint32_t k = 0;
             c->contexts[i] != NULL && tls_context_late(c->contexts[i], &k, now, &e);
             k++) {
            (void)snprintf(text, sizeof text, "%s.tls: %s",
                           statement_of(p, i, statement), e.text);
            policy_report_note(report, policy_file(p, 0), text);
        }
    }
}
