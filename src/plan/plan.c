#include "plan/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "decode/envelope.h"
#include "plan/auth.h"
#include "plan/request.h"
#include "signature/hmac_form.h"
#include "signature/jwt.h"
#include "signature/postback.h"

enum { PLAN_MAX_BYTES = 64 << 20 };

uint64_t plan_key_hash(const char *key)
{
    return key == NULL ? 0 : str_hash(STR_HASH, str_of(key)) | 1;
}

uint64_t plan_policy8(const struct plan *plan)
{
    uint64_t v = 0;

    for (int i = 0; i < 16 && plan->hash[i] != '\0'; i++) {
        const char c = plan->hash[i];

        v = v << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    return v;
}

const char *plan_sink_word(enum sink_kind kind)
{
    static const char *const words[SINK_KINDS] = {[SINK_KIND_NULL] = "null",
                                                  [SINK_KIND_FILE] = "file",
                                                  [SINK_KIND_KAFKA] = "kafka",
                                                  [SINK_KIND_CLICKHOUSE] = "clickhouse",
                                                  [SINK_KIND_HTTP] = "http"};

    return words[kind];
}

bool plan_sink_kind(struct str word, enum sink_kind *out)
{
    for (unsigned i = 0; i < SINK_KINDS; i++) {
        if (str_eq(word, str_of(plan_sink_word((enum sink_kind)i)))) {
            *out = (enum sink_kind)i;
            return true;
        }
    }
    return false;
}

struct plan *plan_new(void)
{
    struct plan *p = mem_zalloc(sizeof *p);

    atomic_init(&p->refs, 1);
    arena_init(&p->arena, PLAN_MAX_BYTES);
    return p;
}

struct plan *plan_ref(struct plan *p)
{
    (void)atomic_fetch_add(&p->refs, 1);
    return p;
}

void plan_unref(struct plan *p)
{
    if (p == NULL || atomic_fetch_sub(&p->refs, 1) != 1) {
        return;
    }
    for (uint32_t i = 0; i < p->n_schemas; i++) {
        scan_keys_free(p->schemas[i]->keys);
    }
    for (uint32_t i = 0; i < p->n_envelopes; i++) {
        envelope_free(p->envelopes[i]);
    }
    for (uint32_t i = 0; i < p->n_postbacks; i++) {
        postback_rules_fini(p->postbacks[i]);
    }
    for (uint32_t i = 0; p->secrets != NULL && i < p->secrets->n_hmacs; i++) {
        hmac_form_fini(&p->secrets->hmacs[i]);
    }
    for (uint32_t i = 0; p->secrets != NULL && i < p->secrets->n_jwts; i++) {
        jwt_rules_fini(&p->secrets->jwts[i]);
    }
    arena_fini(&p->arena);
    free(p);
}

static bool is_served(const uint64_t *serves, uint32_t route)
{
    return serves == NULL || (serves[route / 64] >> route % 64 & 1) != 0;
}

const struct route *plan_route(const struct plan *p, uint32_t listener,
                               struct str method, struct str path, char *allow,
                               size_t allow_bytes)
{
    const uint64_t *serves =
        listener < p->n_listeners ? p->listeners[listener].serves : NULL;
    size_t n = 0;

    allow[0] = '\0';
    for (uint32_t i = 0; i < p->n_routes; i++) {
        const struct route *r = &p->routes[i];
        int k;

        if ((r->pattern ? !request_matches(r->path, path)
                        : !str_eq(path, str_of(r->path))) ||
            !is_served(serves, i)) {
            continue;
        }
        if (str_eq(method, str_of(r->method))) {
            return r;
        }
        if (strstr(allow, r->method) != NULL) {
            continue;
        }
        k = snprintf(allow + n, allow_bytes - n, "%s%s%s", n > 0 ? ", " : "", r->method,
                     strcmp(r->method, "GET") == 0 ? ", HEAD" : "");
        if (k > 0 && (size_t)k < allow_bytes - n) {
            n += (size_t)k;
        }
    }
    /* HEAD is answered as GET (RFC 9110, 9.3.2). */
    return str_eq(method, STR("HEAD"))
               ? plan_route(p, listener, STR("GET"), path, allow, allow_bytes)
               : NULL;
}
