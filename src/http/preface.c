/* The PROXY header before a connection's first request, and the client of each request
 * that trusted proxies passed on. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/mem.h"
#include "http/forwarded.h"
#include "http/internal.h"
#include "net/proxy_header.h"

enum { TELL_MS = 10000 };

bool preface_is_trusted(const struct listener *l, const struct conn_origin *from)
{
    const struct http_listener *o = &l->options;

    if (from->local) {
        return o->trusts_local;
    }
    return !from->unknown && address_in_any(&from->address, o->trusted, o->n_trusted);
}

void preface_tell(struct listener *l)
{
    if (l->n_untold > 0) {
        log_write(LOG_WARN, "proxy_refused", "listener=%s peer=%s n=%lu why=\"%s\"",
                  l->label, l->untold_peer, (unsigned long)l->n_untold, l->untold_why);
        l->n_untold = 0;
    }
}

/* At most one line in 10 s for each listener of a worker, with the number since. why
 * lives on. */
static void tell(struct listener *l, const char *peer, const char *why)
{
    struct http_server *s = l->server;

    l->n_untold++;
    (void)snprintf(l->untold_peer, sizeof l->untold_peer, "%s", peer);
    l->untold_why = why;
    if (l->told_ms == 0 || s->now_ms - l->told_ms >= TELL_MS) {
        l->told_ms = s->now_ms;
        preface_tell(l);
    }
}

bool preface_expected(struct listener *l, const struct conn_origin *from,
                      const struct sockaddr_storage *sa, bool *refused)
{
    char peer[48];

    *refused = false;
    if (LIKELY(!l->options.proxy_protocol)) {
        return false;
    }
    if (!preface_is_trusted(l, from)) {
        peer_show(sa, peer, sizeof peer);
        accept_count(l, OBSTACLE_UNTRUSTED);
        tell(l, peer, "it is in none of the trusted networks");
        *refused = true;
    }
    return !*refused;
}

void preface_begin(struct conn *c)
{
    c->preface = mem_alloc(sizeof *c->preface);
    proxy_header_init(c->preface);
}

void preface_drop(struct conn *c)
{
    free(c->preface);
    c->preface = NULL;
}

bool preface_taken(const struct conn *c, struct str *taken)
{
    const struct proxy_header *h = c->preface;

    *taken = (struct str){NULL, 0};
    if (h != NULL) {
        *taken = (struct str){(const char *)h->bytes, h->n};
    }
    return h == NULL || h->n <= sizeof h->bytes;
}

void preface_go_on(struct conn *c, struct str taken)
{
    size_t used;

    (void)!proxy_header_feed(c->preface, (const unsigned char *)taken.p, taken.n,
                             &used); /* it was not whole: nothing comes of it */
}

static void refuse(struct conn *c, const char *why)
{
    accept_count(c->at, OBSTACLE_HEADER);
    tell(c->at, c->peer, why);
    conn_close(c);
}

/* The header is whole: the connection is its client's from now on. */
static void done(struct conn *c)
{
    struct listener *l = c->at;

    if (c->preface->has_address) {
        c->from = (struct conn_origin){.address = c->preface->address};
        c->who = peer_of_address(&c->from.address);
        address_show(&c->from.address, c->peer);
    }
    preface_drop(c);
    if (!accept_admits(l, &c->from)) {
        accept_count(l, OBSTACLE_DENIED);
        conn_close(c);
        return;
    }
    if (!accept_count_address(c)) {
        accept_count(l, OBSTACLE_ADDRESS);
        accept_turn_away(c);
        return;
    }
    if (l->options.tls.door != NULL) {
        accept_secure(c);
    } else {
        conn_finish(c);
    }
}

void preface_read(struct conn *c)
{
    unsigned char bytes[PROXY_V1_MAX + 1];
    enum proxy_result r;
    size_t used;
    /* Only the header's bytes are taken: what follows may be TLS. */
    ssize_t n = recv(c->fd, bytes, sizeof bytes, MSG_PEEK);

    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (n <= 0) {
        refuse(c, "the connection ended within it");
        return;
    }
    r = proxy_header_feed(c->preface, bytes, (size_t)n, &used);
    if (used > 0) {
        n = recv(c->fd, bytes, used, 0);
    }
    if (r == PROXY_BAD) {
        refuse(c, c->preface->why);
    } else if (r == PROXY_DONE) {
        done(c);
    }
}

/* ---- the client of a request ---- */

struct str preface_client(struct conn *c, const struct str_pair *headers, uint32_t n)
{
    const struct http_listener *o = &c->at->options;
    bool list = o->forwarded == HTTP_FORWARDED;
    const struct str name = list ? STR("forwarded") : STR("x-forwarded-for");
    struct address a;

    if (!preface_is_trusted(c->at, &c->from)) {
        return str_of(c->peer);
    }
    for (uint32_t i = 0; i < n; i++) {
        if (headers[i].name.n == name.n &&
            strncasecmp(headers[i].name.p, name.p, name.n) == 0) {
            if (!forwarded_client(list, headers[i].value, o->trusted, o->n_trusted,
                                  &a)) {
                break;
            }
            address_show(&a, c->client);
            return str_of(c->client);
        }
    }
    return str_of(c->peer);
}

static bool is_named(const struct str_pair *h, struct str name)
{
    return h->name.n == name.n && strncasecmp(h->name.p, name.p, name.n) == 0;
}

/* Whether every address of the list is loopback's. */
static bool names_local(bool list, struct str value)
{
    static const struct subnet here[] = {
        {.address = {.four = true, .lo = UINT64_C(127) << 24}, .prefix = 8},
        {.address = {.lo = 1}, .prefix = 128}};
    struct address a;

    return forwarded_client(list, value, here, N_ELEMS(here), &a) &&
           address_is_loopback(&a);
}

bool http_is_local(const struct http_request *r, const struct http_view *v)
{
    const struct conn_origin *from = &r->c->from;
    const struct listener *l = r->c->at;

    if (!from->local && (from->unknown || !address_is_loopback(&from->address))) {
        return false;
    }
    for (uint32_t i = 0; i < v->n_headers; i++) {
        bool list = is_named(&v->headers[i], STR("forwarded"));

        if (!list && !is_named(&v->headers[i], STR("x-forwarded-for"))) {
            continue;
        }
        if (l->options.forwarded != (list ? HTTP_FORWARDED : HTTP_X_FORWARDED_FOR) ||
            !preface_is_trusted(l, from) || !names_local(list, v->headers[i].value)) {
            return false;
        }
    }
    return true;
}
