#include "server/renewal.h"

#include <ev.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/tls_context.h"
#include "net/tls_door.h"
#include "net/tls_tickets.h"
#include "policy/load/load.h"
#include "server/certificates.h"
#include "stats/stats.h"

enum { DAY_S = 86400, LABEL_BYTES = 320, QUOTED_BYTES = 2 * ERR_TEXT_MAX };

_Static_assert(TLS_CERTIFICATES_MAX <= 64, "struct renewed has a bit for each");

/* Where there is no TLS, no certificate ends. */
static const uint64_t NEVER_S = 36500ull * DAY_S;
/* SluiceCertificateExpires tells of one that lives long. */
enum { TOLD_S = 14 * DAY_S };

struct renewed {
    struct tls_door *door;
    struct tls_context *context; /* in the door; NULL: none was there yet */
    uint64_t stamp;              /* of the files when they were last read */
    bool unusable;               /* they could not be used then */
    uint64_t late;               /* bits: in use, not valid, and it is told */
    uint64_t look_ms;            /* monotonic: when to look at them again */
    stats_cell *left_s, *lifetime_s, *failing, *good, *failed; /* NULL: never had TLS */
};

struct renewal {
    struct ev_loop *loop;
    ev_timer timer;
    struct tls_tickets *tickets;
    struct policy *policy; /* live; NULL: none yet */
    struct renewed list[CERTIFICATES_PLACES];
};

static uint64_t now_ms(void)
{
    return clock_mono_ns() / 1000000u;
}

static const struct tls_plan *tls_of(const struct renewal *r, uint32_t place)
{
    return certificates_plan(policy_plan(r->policy), place);
}

static const char *name_of(const struct renewal *r, uint32_t place)
{
    return certificates_name(policy_plan(r->policy), place);
}

static void make_cells(struct renewed *x, const char *address)
{
    char pair[LABEL_BYTES], labels[LABEL_BYTES + 32];

    if (x->left_s != NULL) {
        return;
    }
    (void)stats_label_pair(pair, sizeof pair, "listener", address);
    x->left_s =
        stats_gauge("sluice_tls_certificate_expiry_seconds",
                    "Time until the certificate of a listener expires that is to be "
                    "renewed first; 0: it has expired, or is not valid yet.",
                    pair);
    x->lifetime_s = stats_gauge("sluice_tls_certificate_lifetime_seconds",
                                "Whole life of the certificate of a listener that is "
                                "to be renewed first.",
                                pair);
    x->failing = stats_gauge("sluice_tls_renewal_failing",
                             "1: changed certificate files of a listener can't be "
                             "used, and it keeps the certificates before.",
                             pair);
    (void)snprintf(labels, sizeof labels, "%s,result=\"renewed\"", pair);
    x->good = stats_counter("sluice_tls_renewals_total",
                            "Changed certificate files that sluice read: renewed, or "
                            "failed (it keeps the certificates before).",
                            labels);
    (void)snprintf(labels, sizeof labels, "%s,result=\"failed\"", pair);
    x->failed = stats_counter("sluice_tls_renewals_total",
                              "Changed certificate files that sluice read: renewed, or "
                              "failed (it keeps the certificates before).",
                              labels);
}

/* The time until people are told that it is not renewed; after its end the longest. One that
 * lives for days expires before others, and is renewed in time all the same. */
static int64_t spare_s(int64_t left, int64_t lifetime)
{
    return left <= 0 ? left - (int64_t)NEVER_S
                     : left - (lifetime / 4 < TOLD_S ? lifetime / 4 : TOLD_S);
}

static void count_left(const struct renewal *r, uint32_t place)
{
    const struct renewed *x = &r->list[place];
    const struct tls_plan *t = tls_of(r, place);
    int64_t now = clock_wall_ms() / 1000, least = INT64_MAX, lifetime = 0, spare = 0;

    for (uint32_t i = 0; x->context != NULL && i < t->n_certificates; i++) {
        int64_t left = tls_context_expires_s(x->context, i) - now;
        int64_t whole = tls_context_lifetime_s(x->context, i);

        if (left > whole) {
            left = 0; /* it is not valid yet: clients refuse it, too */
        }
        if (i == 0 || spare_s(left, whole) < spare) {
            spare = spare_s(left, whole);
            least = left;
            lifetime = whole;
        }
    }
    stats_set(x->lifetime_s, least == INT64_MAX ? NEVER_S
                             : lifetime < 0     ? 0
                                                : (uint64_t)lifetime);
    stats_set(x->left_s, least == INT64_MAX ? NEVER_S
                         : least < 0        ? 0
                                            : (uint64_t)least);
}

/* Of each certificate in use that is not valid now, once. */
static void tell_late(struct renewal *r, uint32_t place)
{
    struct renewed *x = &r->list[place];
    char quoted[QUOTED_BYTES], name[LABEL_BYTES];
    uint64_t late = 0;
    struct err e;

    for (uint32_t i = 0; tls_context_late(x->context, &i, clock_wall_ms() / 1000, &e);
         i++) {
        late |= UINT64_C(1) << i;
        if ((x->late & UINT64_C(1) << i) == 0) {
            log_write(LOG_WARN, "certificate", "status=not_valid listener=%s why=%s",
                      log_quote(name, sizeof name, name_of(r, place)),
                      log_quote(quoted, sizeof quoted, e.text));
        }
    }
    x->late = late;
}

/* Takes c. */
static void use(struct renewal *r, uint32_t place, struct tls_context *c)
{
    struct renewed *x = &r->list[place];

    x->context = c;
    tls_door_set(x->door, c);
    x->late = 0;
    tell_late(r, place);
    count_left(r, place);
}

/* The files were written, or another policy names others; told: they are as when it was
 * told that they can't be used, which may be for want of descriptors or memory. */
static void read_again(struct renewal *r, uint32_t place, bool told)
{
    struct renewed *x = &r->list[place];
    char name[LABEL_BYTES], quoted[QUOTED_BYTES];
    struct tls_context *c;
    struct err e;

    (void)log_quote(name, sizeof name, name_of(r, place));
    c = certificates_context(r->policy, place, r->tickets, &e);
    x->unusable = c == NULL;
    stats_set(x->failing, x->unusable);
    if (x->unusable && told) {
        return;
    }
    if (x->unusable) {
        stats_add(x->failed, 1);
        log_write(LOG_ERROR, "certificate",
                  "status=failed listener=%s using=\"the one before\" why=%s", name,
                  log_quote(quoted, sizeof quoted, e.text));
        return;
    }
    use(r, place, c);
    stats_add(x->good, 1);
    log_write(LOG_INFO, "certificate", "status=renewed listener=%s days=%llu", name,
              (unsigned long long)*x->left_s / DAY_S);
}

static void look_at(struct renewal *r, uint32_t place)
{
    struct renewed *x = &r->list[place];
    uint64_t stamp = certificates_stamp(r->policy, place);

    x->look_ms = now_ms() + (uint64_t)tls_of(r, place)->renew_ms;
    if (stamp != x->stamp || x->unusable) {
        bool told = stamp == x->stamp;

        x->stamp = stamp; /* before they are read: a later change is seen */
        read_again(r, place, told);
    }
    count_left(r, place);
    if (x->context != NULL) { /* an end may come while it is in use */
        tell_late(r, place);
    }
}

/* To the next listener whose files are due; no listener has TLS: not at all. */
static void wait_for_next(struct renewal *r)
{
    uint64_t next = UINT64_MAX, now = now_ms();

    for (uint32_t i = 0; i < CERTIFICATES_PLACES; i++) {
        if (tls_of(r, i) != NULL && r->list[i].look_ms < next) {
            next = r->list[i].look_ms;
        }
    }
    ev_timer_stop(r->loop, &r->timer);
    if (next != UINT64_MAX) {
        ev_timer_set(&r->timer, next > now ? (double)(next - now) / 1000. : 0., 0.);
        ev_timer_start(r->loop, &r->timer);
    }
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int events)
{
    struct renewal *r = OUTER(w, struct renewal, timer);

    (void)loop;
    (void)events;
    for (uint32_t i = 0; i < CERTIFICATES_PLACES; i++) {
        if (tls_of(r, i) != NULL && now_ms() >= r->list[i].look_ms) {
            look_at(r, i);
        }
    }
    wait_for_next(r);
}

struct renewal *renewal_new(struct ev_loop *loop, struct tls_tickets *tickets)
{
    struct renewal *r = mem_zalloc(sizeof *r);

    r->loop = loop;
    r->tickets = tls_tickets_ref(tickets);
    for (uint32_t i = 0; i < CERTIFICATES_PLACES; i++) {
        r->list[i].door = tls_door_new(NULL);
    }
    ev_timer_init(&r->timer, on_timer, 0., 0.);
    return r;
}

void renewal_free(struct renewal *r)
{
    if (r == NULL) {
        return;
    }
    ev_timer_stop(r->loop, &r->timer);
    for (uint32_t i = 0; i < CERTIFICATES_PLACES; i++) {
        tls_door_free(r->list[i].door);
    }
    tls_tickets_unref(r->tickets);
    policy_unref(r->policy);
    free(r);
}

struct tls_tickets *renewal_tickets(struct renewal *r)
{
    return r->tickets;
}

struct tls_door *renewal_door(struct renewal *r, uint32_t place)
{
    return r->list[place].door;
}

void renewal_set(struct renewal *r, struct policy *p, struct certificates *c)
{
    if (c == NULL && r->policy == p) {
        return;
    }
    policy_ref(p);
    policy_unref(r->policy);
    r->policy = p;
    for (uint32_t i = 0; i < CERTIFICATES_PLACES; i++) {
        struct renewed *x = &r->list[i];

        if (tls_of(r, i) == NULL) {
            if (x->left_s != NULL) {
                stats_set(x->left_s, NEVER_S);
                stats_set(x->lifetime_s, NEVER_S);
                stats_set(x->failing, 0);
            }
            continue;
        }
        make_cells(x, name_of(r, i));
        if (c != NULL) {
            x->stamp = c->stamps[i];
            x->unusable = false;
            stats_set(x->failing, 0);
            use(r, i, c->contexts[i]);
            c->contexts[i] = NULL;
        } else {
            x->stamp = 0;
            x->unusable = false;
            look_at(r, i);
        }
        x->look_ms = now_ms() + (uint64_t)tls_of(r, i)->renew_ms;
    }
    wait_for_next(r);
}
