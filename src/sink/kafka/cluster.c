/* One Kafka cluster of a sink, and its producer; try.c has the breaker in front of it. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "sink/kafka/internal.h"
#include "sink/kafka/options.h"

enum {
    UNREACHED_MS = 1000,
    /* A leader may move, a replica be restarted: that is over within this. */
    REFUSED_MS = 5000,
    /* How long another address or another password waits for messages that the producer
     * before it has in flight. */
    SWITCH_MS = 10000,
    FATAL_MS = 2000 /* between two producers: a broker may refuse each at once */
};

/* ---- the producer's words ---- */

static void on_report(void *arg, const rd_kafka_message_t *m, bool taken)
{
    in_flight_report(arg, m, taken);
}

/* Whether brokers that are reached take nothing, and say why, or have no leader. One
 * partition that does not hold up the others is no such thing. */
static bool takes_nothing(struct cluster *c, bool reached, const char *refused)
{
    uint64_t since = kafka_ago_ns(REFUSED_MS);
    char quoted[WHY_MAX + 20];
    bool now = reached && refused[0] != '\0' && c->took_ns < since &&
               in_flight_waits(c, since);

    if (now) {
        (void)snprintf(c->producer->last_error, sizeof c->producer->last_error, "%s",
                       refused);
    }
    if (now && !c->refusing) {
        log_write(LOG_ERROR, "kafka_refused", "sink=%s endpoint=%s why=%s",
                  c->sink->conf.plan->name, c->brokers,
                  log_quote(quoted, sizeof quoted, refused));
    }
    c->refusing = now;
    return now;
}

/* A message for one partition without a leader may wait for ever, and would keep a
 * half-open breaker from those of all others. Of such a try what became of its other
 * messages tells; one that has none tells nothing. */
static void look_at_half_open(struct cluster *c, bool nothing)
{
    const int64_t linger_ms = c->sink->conf.plan->batch.linger_ms;

    if (breaker_state(&c->breaker, kafka_now_ms()) != BREAKER_HALF_OPEN) {
        return;
    }
    (void)in_flight_late(c, kafka_ago_ns(LATE_MS + linger_ms), cluster_taken);
    if (!nothing) {
        (void)in_flight_late(c, kafka_ago_ns(REFUSED_MS + linger_ms), cluster_unjudged);
    }
}

/* Each second. librdkafka does not report a failure that it tries to get over. While no
 * broker is reached, or none takes anything, waiting messages count as failed for the
 * breaker, and so does each further second of waiting; but of brokers that are reached
 * only a new try tells that they take something again. */
static void on_stats(void *arg, bool reached, const char *refused)
{
    struct cluster *c = arg;
    bool nothing = !reached || takes_nothing(c, reached, refused);
    int64_t now = kafka_now_ms();
    uint64_t generation;

    c->n_well = nothing ? 0 : c->n_well + 1;
    if (c->n_well >= REFUSED_MS / 1000 ||
        !in_flight_undecided(c->sink, clock_mono_ns())) {
        c->n_nothing = 0;
    } else if (nothing) { /* one that is reached has refused for so long */
        c->n_nothing += reached ? REFUSED_MS / 1000 : 1;
    }
    look_at_half_open(c, nothing);
    if (nothing && in_flight_late(c, kafka_ago_ns(UNREACHED_MS), cluster_overdue) > 0 &&
        (!reached || breaker_state(&c->breaker, now) == BREAKER_CLOSED) &&
        breaker_allow(&c->breaker, now, &generation)) {
        breaker_done(&c->breaker, now, generation, false, false);
        meter_count(&c->meter, false);
    }
    if (c->number == 0) {
        in_flight_tell_late(c->sink);
    }
    cluster_show(c);
}

/* Every message without a report is to be sent again, by another producer. A message
 * that was on its way may be there twice then: its position tells. */
static void on_fatal(void *arg, const char *why);

static void on_isolating_fatal(void *arg, const char *why)
{
    struct cluster *c = arg;
    struct producer *old = c->isolating;

    (void)why;
    c->isolating = NULL; /* another is made when one is needed */
    producer_free(old);
}

struct producer *cluster_isolating(struct cluster *c, struct err *e)
{
    if (c->isolating == NULL) {
        c->isolating = producer_new(&(struct producer_conf){.loop = c->sink->conf.loop,
                                                            .brokers = c->brokers,
                                                            .plan = c->sink->conf.plan,
                                                            .report = on_report,
                                                            .fatal = on_isolating_fatal,
                                                            .arg = c,
                                                            .alone = true},
                                    e);
    }
    return c->isolating;
}

static struct producer *make(struct cluster *c, const char *brokers,
                             const struct sink_plan *plan, struct err *e)
{
    const struct producer_conf conf = {.loop = c->sink->conf.loop,
                                       .brokers = brokers,
                                       .plan = plan,
                                       .cells = &c->cells,
                                       .report = on_report,
                                       .stats = on_stats,
                                       .fatal = on_fatal,
                                       .arg = c};

    return producer_new(&conf, e);
}

/* Those of a producer that goes on have another cause: a broker's answer did not say that
 * it has them. */
void cluster_copied(struct cluster *c)
{
    c->n_copies += c->replacing || c->sink->rests ||
                   (c->producer != NULL && producer_failed(c->producer));
}

/* Ends the producer; fresh NULL: no other comes. Unconfirmed messages are sent again:
 * each such message that was on its way is one that the broker may have already. Those
 * that a fatal error failed were counted before it came here. */
static void replace(struct cluster *c, struct producer *fresh, const char *cause)
{
    struct producer *old = c->producer;
    uint64_t copies;

    c->producer = fresh;
    c->n_nothing = 0;
    c->replacing = true;
    producer_free(old); /* reports come from in here */
    c->replacing = false;
    copies = c->n_copies;
    c->n_copies = 0;
    if (copies > 0) {
        log_write(LOG_WARN, "kafka_resent", "sink=%s cause=%s possible_copies=%lu",
                  c->sink->conf.plan->name, cause, (unsigned long)copies);
    }
}

static void on_fatal(void *arg, const char *why)
{
    struct cluster *c = arg;
    struct sink *s = c->sink;
    struct producer *fresh;
    char quoted[WHY_MAX + 20];
    int64_t since_ms = kafka_now_ms() - c->fatal_ms;
    struct err e;

    if (!producer_failed(c->producer)) {
        return; /* one that is to take its place: asked again then */
    }
    if (c->next != NULL) { /* nothing in flight will be confirmed any more */
        c->next_by_ns = 1;
        in_flight_look(s);
        return;
    }
    if (c->fatal_ms != 0 && since_ms < FATAL_MS) {
        return; /* asked again with the next statistics */
    }
    c->fatal_ms += since_ms;
    (void)snprintf(c->fatal, sizeof c->fatal, "%s", why);
    fresh = make(c, c->brokers, s->conf.plan, &e);
    if (fresh == NULL) { /* asked again with the next statistics */
        log_write(LOG_ERROR, "sink", "sink=%s why=%s", s->conf.plan->name,
                  log_quote(quoted, sizeof quoted, e.text));
        return;
    }
    stats_add(s->fatals, 1);
    log_write(LOG_ERROR, "sink", "sink=%s status=new_producer why=%s",
              s->conf.plan->name, log_quote(quoted, sizeof quoted, why));
    replace(c, fresh, "fatal_error");
}

/* ---- life ---- */

void cluster_init(struct cluster *c, struct sink *s, unsigned number)
{
    *c = (struct cluster){.sink = s, .number = number};
}

/* Nothing was sent by it. */
static void free_unused(struct producer **at)
{
    struct producer *p = *at;

    *at = NULL;
    if (p != NULL) {
        producer_free(p);
    }
}

void cluster_close(struct cluster *c)
{
    struct producer *p = c->isolating; /* its reports want no other: the sink rests */

    free_unused(&c->ready);
    free_unused(&c->next);
    c->isolating = NULL;
    if (p != NULL) {
        c->replacing = true;
        producer_free(p);
    }
    if (c->producer != NULL) {
        replace(c, NULL, "end");
    }
    meter_end(&c->meter); /* the last reports are counted */
    c->cells = (struct producer_cells){NULL, NULL, NULL, NULL};
    c->breaker.forced = false; /* the delivery says it of the next brokers */
}

static bool same_options(const struct kafka_plan *k, const struct kafka_plan *l)
{
    bool ok = k->n_options == l->n_options;

    for (uint32_t i = 0; ok && i < k->n_options; i++) {
        ok = strcmp(k->options[i].name, l->options[i].name) == 0 &&
             strcmp(k->options[i].value, l->options[i].value) == 0;
    }
    return ok;
}

/* With its end, so that texts do not run together. */
static uint64_t add(uint64_t h, const char *z)
{
    return str_hash(h, (struct str){z, strlen(z) + 1});
}

/* A hash of the settings that a producer is made of. */
static uint64_t recipe_of(const char *brokers, const struct sink_plan *plan,
                          uint64_t files)
{
    const struct kafka_plan *k = &plan->kafka;
    uint64_t h = add(add(STR_HASH, brokers), k->compression);
    char numbers[96];

    (void)snprintf(numbers, sizeof numbers, "%d %lu %lu %lx", (int)k->partitioner,
                   (unsigned long)plan->batch.linger_ms, (unsigned long)plan->batch.max,
                   (unsigned long)files);
    h = add(h, numbers);
    for (uint32_t i = 0; i < k->n_options; i++) {
        h = add(add(h, k->options[i].name), k->options[i].value);
    }
    return h;
}

static void look_after(struct cluster *c, const char *brokers,
                       const struct breaker_plan *plan, bool first)
{
    const struct sink_hooks *hooks = c->sink->conf.hooks;
    breaker_trip_fn *trip = plan->has_trip ? hooks->trip : NULL;
    const bool forced = c->breaker.forced;
    struct stats_owner *before;

    if (first) {
        breaker_init(&c->breaker, plan, trip, hooks->arg, kafka_now_ms());
        if (forced) {
            breaker_force(&c->breaker, kafka_now_ms(), true);
        }
        (void)snprintf(c->brokers, sizeof c->brokers, "%s", brokers);
        meter_init(&c->meter, c->sink->conf.plan->name, c->brokers);
        before = stats_own(&c->meter.series); /* they end with those of the meter */
        producer_cells_init(&c->cells, c->sink->conf.plan->name, c->brokers);
        (void)stats_own(before);
    }
    c->breaker.plan = plan;
    c->breaker.trip = trip;
    c->breaker.arg = hooks->arg;
}

static bool make_if_needed(struct cluster *c, const char *brokers,
                           const struct sink_plan *plan, struct producer **fresh,
                           struct err *e)
{
    *fresh = NULL;
    c->goes_back = false;
    if (brokers == NULL) {
        return true;
    }
    c->new_files = options_files(&plan->kafka); /* before they are read */
    c->new_recipe = recipe_of(brokers, plan, c->new_files);
    /* One that was to be replaced, and is wanted again. */
    c->goes_back =
        c->next != NULL && c->new_recipe == c->recipe && !producer_failed(c->producer);
    if (c->goes_back ||
        (c->producer != NULL &&
         c->new_recipe == (c->next != NULL ? c->next_recipe : c->recipe))) {
        return true;
    }
    if (strlen(brokers) >= sizeof c->brokers) {
        return err_set(e, "sink \"%s\": brokers are more than %zu bytes", plan->name,
                       sizeof c->brokers - 1);
    }
    if (c->ready != NULL && c->new_recipe == c->ready_recipe) {
        *fresh = c->ready;
        c->ready = NULL;
        producer_wake(*fresh);
        return true;
    }
    *fresh = make(c, brokers, plan, e);
    return *fresh != NULL;
}

bool cluster_make(struct cluster *c, const char *brokers, const struct sink_plan *plan,
                  struct producer **fresh, struct err *e)
{
    bool ok = make_if_needed(c, brokers, plan, fresh, e);

    free_unused(&c->ready);
    return ok;
}

bool cluster_check(struct cluster *c, const char *brokers, const struct sink_plan *plan,
                   struct err *e)
{
    struct producer *fresh;
    bool ok = cluster_make(c, brokers, plan, &fresh, e);

    c->ready = fresh;
    c->ready_recipe = c->new_recipe;
    if (fresh != NULL) {
        producer_rest(fresh); /* there may be no such cluster yet, with its cells */
    }
    return ok;
}

/* next is the producer from here on. */
static void switch_now(struct cluster *c, const char *cause)
{
    const struct sink_plan *plan = c->sink->conf.plan;
    struct producer *fresh = c->next, *isolating = c->isolating;
    bool moved = strcmp(c->next_brokers, c->brokers) != 0;

    c->next = NULL;
    c->isolating = NULL;
    c->recipe = c->next_recipe;
    /* First: the reports of those that end may want another one to isolate by. */
    memcpy(c->brokers, c->next_brokers, sizeof c->brokers);
    replace(c, fresh, cause);
    if (isolating != NULL) {
        producer_free(isolating);
    }
    if (moved) {
        meter_end(&c->meter);
        look_after(c, c->next_brokers, &plan->kafka.breaker, true);
    }
}

static bool has_in_flight(const struct cluster *c)
{
    return !producer_idle(c->producer) ||
           (c->isolating != NULL && !producer_idle(c->isolating));
}

bool cluster_look(struct cluster *c)
{
    bool late;

    if (c->next == NULL) {
        return true;
    }
    producer_flush(c->producer); /* linger is not waited for */
    if (c->isolating != NULL) {
        producer_flush(c->isolating);
    }
    late = c->next_by_ns != 0 && clock_mono_ns() >= c->next_by_ns;
    if (has_in_flight(c) && !late) {
        return false;
    }
    switch_now(c, "new_settings");
    return true;
}

/* A deadline that one before it has stays: what it waits for may never be answered. */
static void take_fresh(struct cluster *c, const char *brokers, struct producer *fresh,
                       bool moved)
{
    uint64_t by_ns = moved ? clock_mono_ns() + SWITCH_MS * 1000000ull : 0;

    if (c->next != NULL) {
        by_ns = c->next_by_ns != 0 ? c->next_by_ns : by_ns;
        producer_free(c->next);
    }
    c->next = fresh;
    c->next_recipe = c->new_recipe;
    (void)snprintf(c->next_brokers, sizeof c->next_brokers, "%s", brokers);
    c->next_by_ns = by_ns;
}

/* A policy was refused, or taken back: what is in flight is waited for as before. */
static void go_back(struct cluster *c)
{
    producer_free(c->next); /* nothing was sent by it */
    c->next = NULL;
    c->files = c->new_files;
}

void cluster_apply(struct cluster *c, const char *brokers, const struct sink_plan *plan,
                   struct producer *fresh)
{
    bool first = c->producer == NULL;
    uint64_t files = c->files;

    if (brokers == NULL) {
        cluster_close(c);
        return;
    }
    if (fresh != NULL) {
        c->files = c->new_files;
    }
    look_after(c, first ? brokers : c->brokers, &plan->kafka.breaker, first);
    if (first) {
        c->producer = fresh;
        c->recipe = c->new_recipe;
    } else if (c->goes_back) {
        go_back(c);
    } else if (fresh != NULL) {
        take_fresh(c, brokers, fresh,
                   strcmp(brokers, c->brokers) != 0 || files != c->files ||
                       !same_options(&plan->kafka, &c->sink->conf.plan->kafka));
    }
    if (fresh != NULL && !first && c->number > 0) {
        switch_now(c, "new_settings"); /* a hedge's messages are copies anyway */
    }
    c->producer->plan = &plan->kafka;
    if (c->next != NULL) {
        c->next->plan = &plan->kafka;
    }
    if (c->isolating != NULL) {
        c->isolating->plan = &plan->kafka;
    }
}
