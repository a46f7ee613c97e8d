#include "server/policies/versions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "ingest/binding.h"
#include "policy/load/load.h"

static const char *const words[GEN_STATUSES] = {
    [GEN_LOADING] = "loading", [GEN_CANARY] = "canary",     [GEN_SHADOW] = "shadow",
    [GEN_LIVE] = "live",       [GEN_RETIRING] = "retiring", [GEN_RETIRED] = "retired",
    [GEN_REFUSED] = "refused"};

const char *generation_word(enum generation_status status)
{
    return words[status];
}

static bool ended(const struct generation *g)
{
    return g->status == GEN_RETIRED || g->status == GEN_REFUSED;
}

void generations_init(struct generations *all, uint32_t n_workers)
{
    *all = (struct generations){.n_workers = n_workers};
    all->live =
        stats_gauge("sluice_policy_generation", "Generation of the live policy.", "");
    all->refused =
        stats_gauge("sluice_policy_load_refused",
                    "1: the last load of a policy was refused; a restart loads the "
                    "policy's file again.",
                    "");
    for (int i = 0; i < GEN_STATUSES; i++) {
        char labels[64];

        (void)stats_label_pair(labels, sizeof labels, "status", words[i]);
        all->gauges[i] =
            stats_gauge("sluice_policy_generations",
                        "Policy generations that /status lists, by status.", labels);
    }
}

static void generation_free(struct generation *g)
{
    policy_unref(g->policy);
    free(g->bindings);
    free(g);
}

void generations_fini(struct generations *all)
{
    for (uint32_t i = 0; i < all->n; i++) {
        generation_free(all->list[i]);
    }
    all->n = 0;
}

static void count(const struct generations *all)
{
    uint64_t n[GEN_STATUSES] = {0};

    for (uint32_t i = 0; i < all->n; i++) {
        n[all->list[i]->status]++;
        if (all->list[i]->status == GEN_LIVE) {
            stats_set(all->live, all->list[i]->number);
        }
    }
    for (int i = 0; i < GEN_STATUSES; i++) {
        stats_set(all->gauges[i], n[i]);
    }
    /* One that is under way has not said yet. */
    if (all->list[all->n - 1]->status != GEN_LOADING) {
        stats_set(all->refused,
                  all->full || all->list[all->n - 1]->status == GEN_REFUSED);
    }
}

/* The oldest that has ended makes room. */
static void forget_one(struct generations *all)
{
    for (uint32_t i = 0; i < all->n; i++) {
        if (ended(all->list[i])) {
            generation_free(all->list[i]);
            all->n--;
            memmove(all->list + i, all->list + i + 1,
                    (all->n - i) * sizeof(struct generation *));
            return;
        }
    }
}

struct generation *generation_new(struct generations *all, const char *cause)
{
    struct generation *g;
    uint32_t held = 0;

    for (uint32_t i = 0; i < all->n; i++) {
        held += !ended(all->list[i]);
    }
    if (held >= GENERATIONS_HELD) {
        all->full = true;
        stats_set(all->refused, 1);
        return NULL;
    }
    if (all->n == GENERATIONS_KEPT) {
        forget_one(all);
    }
    g = mem_zalloc(sizeof *g);
    all->full = false;
    g->number = ++all->last;
    g->cause = cause;
    g->began_ms = clock_wall_ms();
    g->bindings = mem_zalloc(all->n_workers * sizeof(struct binding *));
    all->list[all->n++] = g;
    generation_set(all, g, GEN_LOADING, NULL);
    return g;
}

void generation_policy(struct generation *g, struct policy *p)
{
    struct plan *plan = policy_plan_mutable(p);

    plan->generation = g->number;
    g->policy = policy_ref(p);
    (void)snprintf(g->hash, sizeof g->hash, "%s", plan->hash);
}

static void note_why(struct generation *g, const char *why)
{
    (void)snprintf(g->why, sizeof g->why, "%.*s", (int)strcspn(why, "\n"), why);
}

static void tell(const struct generation *g)
{
    static const enum log_level levels[GEN_STATUSES] = {
        [GEN_LOADING] = LOG_INFO, [GEN_CANARY] = LOG_INFO,   [GEN_SHADOW] = LOG_INFO,
        [GEN_LIVE] = LOG_INFO,    [GEN_RETIRING] = LOG_INFO, [GEN_RETIRED] = LOG_INFO,
        [GEN_REFUSED] = LOG_ERROR};
    char quoted[sizeof g->why * 2 + 8], why[sizeof quoted + 8] = "";
    char hash[24] = "";

    if (g->why[0] != '\0') {
        (void)snprintf(why, sizeof why, " why=%s",
                       log_quote(quoted, sizeof quoted, g->why));
    }
    if (g->hash[0] != '\0') {
        (void)snprintf(hash, sizeof hash, " hash=%.12s", g->hash);
    }
    log_write(levels[g->status], "policy",
              "generation=%lu status=%s cause=%s%s ms=%ld%s", (unsigned long)g->number,
              words[g->status], g->cause, hash, (long)(g->at_ms - g->began_ms), why);
}

void generation_set(struct generations *all, struct generation *g,
                    enum generation_status status, const char *why)
{
    g->status = status;
    g->at_ms = clock_wall_ms();
    if (why != NULL) {
        note_why(g, why);
    }
    if (ended(g)) {
        policy_unref(g->policy);
        g->policy = NULL;
    }
    count(all);
    tell(g);
}

void generations_freed(struct generations *all, const struct binding *b)
{
    for (uint32_t i = 0; i < all->n; i++) {
        for (uint32_t w = 0; w < all->n_workers; w++) {
            if (all->list[i]->bindings[w] == b) {
                all->list[i]->bindings[w] = NULL;
            }
        }
    }
    (void)generations_look(all);
}

bool generations_under_way(const struct generations *all)
{
    for (uint32_t i = 0; i < all->n; i++) {
        const struct generation *g = all->list[i];

        for (uint32_t w = 0; w < all->n_workers; w++) {
            if (g->status == GEN_RETIRING && g->bindings[w] != NULL) {
                return true;
            }
        }
    }
    return false;
}

void generation_holders(const struct generations *all, const struct generation *g,
                        struct generation_holders *out)
{
    *out = (struct generation_holders){0};
    for (uint32_t w = 0; w < all->n_workers; w++) {
        if (g->bindings[w] != NULL) {
            out->workers++;
            out->requests += binding_requests(g->bindings[w]);
        }
    }
    /* The policy itself has one reference on its plan, each sink another. */
    if (g->policy != NULL) {
        out->sinks = (uint32_t)atomic_load(&policy_plan_mutable(g->policy)->refs) - 1;
    }
}

bool generations_look(struct generations *all)
{
    bool some = false;

    for (uint32_t i = 0; i < all->n; i++) {
        struct generation *g = all->list[i];
        struct generation_holders h;

        if (g->status != GEN_RETIRING) {
            continue;
        }
        generation_holders(all, g, &h);
        if (h.workers == 0 && h.sinks == 0) {
            generation_set(all, g, GEN_RETIRED, NULL);
        } else {
            some = true;
        }
    }
    return some;
}
