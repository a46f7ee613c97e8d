#include "server/policies/rollout.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "ingest/binding.h"
#include "policy/run/run.h"
#include "server/internal.h"

static const double LOOK_MIN_S = 0.1, LOOK_MAX_S = 1;
enum { LOOKS = 20 /* during a rollout, at least */ };

static stats_cell *result_cell(const char *result)
{
    char labels[64];

    (void)stats_label_pair(labels, sizeof labels, "result", result);
    return stats_counter("sluice_policy_trials_total",
                         "Canaries and shadows that have ended, by result.", labels);
}

void rollout_init(struct rollout *t, struct server *s)
{
    *t = (struct rollout){.s = s};
    t->running = stats_gauge("sluice_policy_trial",
                             "Generation of the running canary or shadow; 0 "
                             "when there is none.",
                             "");
    t->promoted = result_cell("promoted");
    t->rolled_back = result_cell("rolled_back");
    t->done = result_cell("done");
    for (int i = 1; i < N_CONTRASTS; i++) {
        char labels[64];

        (void)stats_label_pair(labels, sizeof labels, "kind", contrast_words[i]);
        t->differs[i] = stats_gauge(
            "sluice_shadow_differences",
            "Events that the last shadow decided differently, by kind.", labels);
    }
}

static void forget(struct rollout *t)
{
    for (uint32_t i = 0; i < t->n_samples; i++) {
        free(t->samples[i]);
    }
    free(t->samples);
    t->samples = NULL;
    t->n_samples = 0;
    t->n_codes = 0;
    memset(t->differ, 0, sizeof t->differ);
}

void rollout_fini(struct rollout *t)
{
    forget(t);
    policy_state_free(t->rule_state);
    t->rule_state = NULL;
    free(t->units[0]);
    free(t->units[1]);
    t->units[0] = t->units[1] = NULL;
}

static struct analysis_unit unit_of(const struct tally_unit *u)
{
    return (struct analysis_unit){.requests = atomic_load(&u->requests),
                                  .events = atomic_load(&u->events),
                                  .refused = atomic_load(&u->refused),
                                  .failed = atomic_load(&u->failed),
                                  .timed = atomic_load(&u->timed),
                                  .slow = atomic_load(&u->slow),
                                  .very_slow = atomic_load(&u->very_slow)};
}

/* Worker after worker: a unit's number means the same side with all of them. */
static void add_units(const struct tally *tally, struct analysis_unit *units)
{
    for (uint32_t i = 0; i < tally->n_units; i++) {
        struct analysis_unit u = unit_of(&tally->units[i]), *sum = &units[i];

        sum->requests += u.requests;
        sum->events += u.events;
        sum->refused += u.refused;
        sum->failed += u.failed;
        sum->timed += u.timed;
        sum->slow += u.slow;
        sum->very_slow += u.very_slow;
    }
}

static void add_side(const struct server *s, const struct generation *g,
                     struct analysis_unit *units, struct rollout_side *side)
{
    const struct stats_histogram **spent = mem_zalloc(s->n_workers * sizeof *spent);

    *side = (struct rollout_side){.units = units};
    if (units != NULL) {
        memset(units, 0, ANALYSIS_SIDE_UNITS * sizeof *units);
        side->n_units = ANALYSIS_SIDE_UNITS;
    }
    for (uint32_t i = 0; i < s->n_workers; i++) {
        const struct binding *b = g->bindings[i];

        if (b == NULL) {
            continue;
        }
        side->requests += atomic_load(&b->tally.all.requests);
        side->events += atomic_load(&b->tally.all.events);
        side->refused += atomic_load(&b->tally.all.refused);
        side->failed += atomic_load(&b->tally.all.failed);
        spent[i] = b->tally.spent;
        if (units != NULL) {
            add_units(&b->tally, units);
        }
    }
    side->p50_ms = stats_quantile(spent, s->n_workers, 0.5) / 1e6;
    side->p99_ms = stats_quantile(spent, s->n_workers, 0.99) / 1e6;
    free(spent);
}

static void add_code(struct rollout *t, const char *code, uint64_t n)
{
    uint32_t i = 0;

    while (i < t->n_codes && strcmp(t->codes[i].code, code) != 0) {
        i++;
    }
    if (i == SHADOW_CODES) {
        i--; /* of several workers' many codes: with the last one */
    } else if (i == t->n_codes) {
        t->codes[t->n_codes++] = (struct rollout_code){0};
        (void)snprintf(t->codes[i].code, sizeof t->codes[i].code, "%s", code);
    }
    t->codes[i].n += n;
}

static void add_shadow(struct rollout *t, const struct shadow_counts *c)
{
    uint32_t n = atomic_load_explicit(&c->n_codes, memory_order_acquire);

    for (int i = 1; i < N_CONTRASTS; i++) {
        t->differ[i] += atomic_load(&c->differ[i]);
    }
    for (uint32_t i = 0; i < n; i++) {
        add_code(t, c->codes[i].code, atomic_load(&c->codes[i].n));
    }
}

void rollout_look(struct rollout *t)
{
    const struct server *s = t->s;

    if (t->g == NULL) {
        return;
    }
    add_side(s, s->live, t->units[0], &t->old);
    add_side(s, t->g, t->units[1], &t->new_);
    memset(t->differ, 0, sizeof t->differ);
    t->n_codes = 0;
    for (uint32_t i = 0; i < s->n_workers; i++) {
        const struct binding *b = t->g->bindings[i];

        if (b != NULL && b->shadow != NULL) {
            add_shadow(t, shadow_counts(b->shadow));
        }
    }
    for (int i = 1; i < N_CONTRASTS; i++) {
        stats_set(t->differs[i], t->differ[i]);
    }
}

/* From now on requests of both sides are counted as slow or not. */
static void time_units(const struct rollout *t)
{
    const struct server *s = t->s;
    double slow_ms, very_slow_ms;

    if (!analysis_slow(&t->old, &slow_ms, &very_slow_ms)) {
        return;
    }
    for (uint32_t i = 0; i < 2 * s->n_workers; i++) {
        const struct generation *g = i % 2 == 0 ? s->live : t->g;
        struct binding *b = g->bindings[i / 2];

        if (b != NULL && atomic_load(&b->tally.slow_ns) == 0) {
            stats_set(&b->tally.very_slow_ns, (uint64_t)(very_slow_ms * 1e6));
            stats_set(&b->tally.slow_ns, (uint64_t)(slow_ms * 1e6));
        }
    }
}

static bool against(struct rollout *t, bool last, char *why, size_t why_bytes)
{
    const struct rollout_side *sides[2] = {&t->old, &t->new_};
    struct policy_number lists[2][8];

    if (t->rule_state == NULL) {
        return analysis_against(&t->rule, &t->old, &t->new_, last, why, why_bytes);
    }
    for (int i = 0; i < 2; i++) {
        const struct rollout_side *x = sides[i];
        const struct policy_number list[8] = {
            {"requests", (double)x->requests},
            {"events", (double)x->events},
            {"refused", (double)x->refused},
            {"failed", (double)x->failed},
            {"refusal_rate", analysis_refusal_rate(x)},
            {"error_rate", analysis_error_rate(x)},
            {"p50_ms", x->p50_ms},
            {"p99_ms", x->p99_ms}};

        memcpy(lists[i], list, sizeof list);
    }
    return policy_roll_back_if(t->rule_state, lists[0], lists[1], 8, why, why_bytes);
}

static void on_done(void *arg, const struct reload_answer *a)
{
    struct rollout *t = arg;

    /* It stays: the next look asks again. */
    if (a->result != RELOAD_OK) {
        t->asked = false;
    }
}

static void ask(struct rollout *t, enum reload_kind kind, const char *why)
{
    (void)snprintf(t->reason, sizeof t->reason, "%s", why);
    t->asked =
        reload_ask(t->s, &(struct reload_request){
                             .kind = kind,
                             .cause = t->kind == ROLLOUT_CANARY ? "canary" : "shadow",
                             .rollout = t->number,
                             .why = t->reason,
                             .done = on_done,
                             .arg = t});
}

static const char *unit_word(const struct rollout *t)
{
    switch (policy_plan(t->g->policy)->rollout.by) {
    case SHARE_BY_CONNECTION:
        return "connection";
    case SHARE_BY_REQUEST:
        return "request";
    case SHARE_BY_PEER:
        return "peer";
    case SHARE_BY_HEADER:
        break;
    }
    return "value of the header";
}

/* During has passed without a word against it. */
static void end_canary(struct rollout *t)
{
    char why[256], quoted[600];

    if (analysis_enough(&t->old, &t->new_,
                        policy_plan(t->g->policy)->rollout.min_requests, unit_word(t),
                        why, sizeof why)) {
        ask(t, RELOAD_PROMOTE, "nothing spoke against it");
    } else if (clock_mono_ns() >= t->last_ns) {
        ask(t, RELOAD_DROP, why);
    } else if (!t->extended) {
        t->extended = true;
        log_write(LOG_WARN, "canary",
                  "generation=%lu status=extended until_ms=%ld why=%s",
                  (unsigned long)t->number,
                  (long)(t->began_ms + ROLLOUT_EXTENDS * t->during_ms),
                  log_quote(quoted, sizeof quoted, why));
    }
}

static void on_look(struct ev_loop *loop, ev_timer *w, int events)
{
    struct rollout *t = OUTER(w, struct rollout, look);
    bool over = clock_mono_ns() >= t->until_ns;
    char why[256];

    (void)loop;
    (void)events;
    rollout_look(t);
    if (t->asked) {
        return;
    }
    if (t->kind != ROLLOUT_CANARY) {
        if (over) {
            ask(t, RELOAD_DROP, "its time is over");
        }
        return;
    }
    time_units(t);
    if (against(t, over, why, sizeof why)) {
        ask(t, RELOAD_DROP, why);
    } else if (over) {
        end_canary(t);
    }
}

static void begin_canary(struct rollout *t)
{
    t->extended = false;
    t->last_ns = clock_mono_ns() + (uint64_t)t->during_ms * ROLLOUT_EXTENDS * 1000000u;
    analysis_begin(&t->rule);
    for (int i = 0; i < 2; i++) {
        if (t->units[i] == NULL) {
            t->units[i] = mem_zalloc(ANALYSIS_SIDE_UNITS * sizeof *t->units[i]);
        }
    }
}

void rollout_begin(struct rollout *t, struct generation *g,
                   struct policy_state *rule_state)
{
    const struct rollout_plan *plan = &policy_plan(g->policy)->rollout;
    double every = (double)plan->during_ms / 1000 / LOOKS;

    forget(t);
    t->g = g;
    t->rule_state = rule_state;
    t->own_rule = rule_state != NULL;
    t->asked = false;
    t->kind = plan->kind;
    t->number = g->number;
    t->live = t->s->live->number;
    t->share = plan->share;
    t->began_ms = clock_wall_ms();
    t->during_ms = plan->during_ms;
    t->until_ns = clock_mono_ns() + (uint64_t)plan->during_ms * 1000000u;
    (void)snprintf(t->result, sizeof t->result, "running");
    t->why[0] = '\0';
    t->max_samples = plan->sample;
    t->samples = mem_zalloc((plan->sample + 1) * sizeof *t->samples);
    stats_set(t->running, t->number);
    if (t->kind == ROLLOUT_CANARY) {
        begin_canary(t);
    }
    rollout_look(t);
    every = every < LOOK_MIN_S ? LOOK_MIN_S : every > LOOK_MAX_S ? LOOK_MAX_S : every;
    ev_timer_init(&t->look, on_look, every, every);
    ev_timer_start(t->s->loop, &t->look);
}

static void tell(const struct rollout *t)
{
    char quoted[600];
    uint64_t differ = 0;

    for (int i = 1; i < N_CONTRASTS; i++) {
        differ += t->differ[i];
    }
    log_write(strcmp(t->result, "rolled_back") == 0 ? LOG_WARN : LOG_INFO,
              t->kind == ROLLOUT_CANARY ? "canary" : "shadow",
              "generation=%lu result=%s beside=%lu requests=%lu/%lu "
              "events=%lu/%lu refused=%lu/%lu failed=%lu/%lu "
              "p99_ms=%.3f/%.3f differ=%lu why=%s",
              (unsigned long)t->number, t->result, (unsigned long)t->live,
              (unsigned long)t->new_.requests, (unsigned long)t->old.requests,
              (unsigned long)t->new_.events, (unsigned long)t->old.events,
              (unsigned long)t->new_.refused, (unsigned long)t->old.refused,
              (unsigned long)t->new_.failed, (unsigned long)t->old.failed,
              t->new_.p99_ms, t->old.p99_ms, (unsigned long)differ,
              log_quote(quoted, sizeof quoted, t->why));
}

void rollout_end(struct rollout *t, const char *result, const char *why)
{
    ev_timer_stop(t->s->loop, &t->look);
    t->g = NULL;
    policy_state_free(t->rule_state);
    t->rule_state = NULL;
    (void)snprintf(t->result, sizeof t->result, "%s", result);
    (void)snprintf(t->why, sizeof t->why, "%s", why);
    stats_set(t->running, 0);
    stats_add(strcmp(result, "promoted") == 0      ? t->promoted
              : strcmp(result, "rolled_back") == 0 ? t->rolled_back
                                                   : t->done,
              1);
    tell(t);
}

void rollout_sample(struct rollout *t, struct shadow_sample *x)
{
    char event[SHADOW_TEXT * 2 + 8], route[360];

    if (x->generation != t->number || t->n_samples == t->max_samples) {
        free(x);
        return;
    }
    t->samples[t->n_samples++] = x;
    log_write(LOG_INFO, "shadow", "generation=%lu kind=%s code=%s route=%s sample=%s",
              (unsigned long)x->generation, contrast_words[x->kind],
              x->code[0] == '\0' ? "-" : x->code,
              log_quote(route, sizeof route, x->route),
              log_quote(event, sizeof event, x->event));
}
