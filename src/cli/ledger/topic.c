#include "cli/ledger/topic.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/err.h"
#include "cli/ledger/away.h"
#include "cli/ledger/read.h"
#include "cli/ledger/topic_check.h"
#include "cli/show.h"
#include "plan/plan.h"
#include "policy/load/load.h"

static bool fits(const struct ledger_topic *t, struct err *e)
{
    const struct kafka_plan *k = &t->plan->kafka;

    if (t->plan->kind != SINK_KIND_KAFKA) {
        return err_set(e, "sink \"%s\" of %s is no kafka sink", t->sink, t->file);
    }
    if (k->hedge_brokers != NULL) {
        return err_set(e,
                       "kafka \"%s\" has a second cluster (hedge): an event may be in "
                       "either, so neither can be compared alone",
                       t->sink);
    }
    return t->topics != NULL || (k->topic_by == NULL && !k->has_topic) ||
           err_set(e,
                   "kafka \"%s\" chooses the topic of each event: name all topics, as "
                   "--topic 'a,b' or --topic 'events-*'",
                   t->sink);
}

bool ledger_topic_open(struct ledger_topic *t, struct err *e)
{
    struct policy_report report;
    const struct plan *plan;

    t->policy = policy_load(t->file, &report);
    if (t->policy == NULL) {
        show_words(stderr, report.text);
        policy_report_fini(&report);
        return err_set(e, "the policy %s has mistakes", t->file);
    }
    policy_report_fini(&report);
    plan = policy_plan(t->policy);
    for (uint32_t i = 0; i < plan->n_sinks; i++) {
        if (strcmp(plan->sinks[i].name, t->sink) == 0) {
            t->plan = &plan->sinks[i];
            return fits(t, e);
        }
    }
    return err_set(e, "the policy %s has no sink \"%s\"", t->file, t->sink);
}

void ledger_topic_close(struct ledger_topic *t)
{
    if (t->policy != NULL) {
        policy_unref(t->policy);
    }
    t->policy = NULL;
}

static void print_elsewhere(const struct ledger_topic *t, const struct away *away)
{
    show_line(stdout,
              "  elsewhere: the sink has sent these events to other topics, and they "
              "were not compared: --topic '%s,%s' compares all",
              t->plan->kafka.topic, away->topics[0] == '\0' ? "..." : away->topics);
}

static void print_result(const struct ledger_topic *t, const char *stream,
                         const struct topic_result *r, const struct away *away,
                         uint64_t n_away)
{
    show_part(stdout,
              "topic=%s stream=%s partitions=%u minutes=%" PRIu64 " accepted=%" PRIu64
              " messages=%" PRIu64 " missing=%" PRIu64 " doubled=%" PRIu64
              " foreign=%" PRIu64,
              t->topics != NULL ? t->topics : t->plan->kafka.topic, stream,
              r->partitions, r->all.minutes, r->all.expected, r->all.found,
              r->all.missing, r->all.doubled, r->foreign);
    if (r->unconfirmed > 0) {
        (void)printf(" unconfirmed=%" PRIu64, r->unconfirmed);
    }
    if (n_away > 0) {
        (void)printf(" elsewhere=%" PRIu64, n_away);
    }
    if (r->tombstones > 0) {
        (void)printf(" tombstones=%" PRIu64, r->tombstones);
    }
    if (r->anonymous > 0) {
        (void)printf(" without_id=%" PRIu64, r->anonymous);
    }
    (void)printf("%s\n",
                 r->all.cut ? " and more: there are too many differences to name"
                 : r->all.minutes == 0
                     ? " (no event of the period was accepted: no message was read)"
                     : "");
    if (n_away > 0) {
        print_elsewhere(t, away);
    }
    if (r->from_ms > 0) {
        const time_t s = (time_t)(r->from_ms / 1000);
        char when[24];
        struct tm tm;

        (void)gmtime_r(&s, &tm);
        (void)strftime(when, sizeof when, "%Y-%m-%dT%H:%MZ", &tm);
        (void)printf(
            "  compared from %s on: the brokers have deleted older messages, so "
            "%" PRIu64 " event%s before that %s not compared\n",
            when, r->deleted, show_s((double)r->deleted),
            r->deleted == 1 ? "was" : "were");
    }
    if (r->compacted && r->all.missing > 0) {
        (void)puts("  missing may be no loss: brokers compact the topic, which removes "
                   "all but the last message of a key");
    } else if (r->gaps > 0 && r->all.missing > 0) {
        (void)printf("  missing may be no loss: %" PRIu64
                     " offsets have no message: brokers have compacted the topic "
                     "before, or these are of transactions\n",
                     r->gaps);
    }
}

/* Its place among the sinks of the ledger; n_sinks: it is none of them. */
static uint32_t sink_of(const struct ledger_topic *t, const struct ledger_stream *l)
{
    uint32_t i = 0;

    while (i < l->n_sinks && strcmp(l->sinks[i].sink, t->sink) != 0) {
        i++;
    }
    return i;
}

bool ledger_topic_reads(const struct ledger_topic *t, const struct ledger_stream *l)
{
    return sink_of(t, l) < l->n_sinks;
}

bool ledger_topic_is_timeless(const struct ledger_topic *t)
{
    return t->plan->kafka.timestamp != NULL;
}

bool ledger_topic_check(struct ledger_topic *t, const char *spool,
                        const struct ledger_stream *l, const char *field, bool *differs,
                        struct err *e)
{
    struct away away = {.topics = ""};
    struct topic_check c = {.spool = spool,
                            .field = field,
                            .sink = sink_of(t, l),
                            .plan = t->plan,
                            .topics = t->topics,
                            .away = &away,
                            .since_ms = t->since_ms,
                            .until_ms = t->until_ms / TALLY_MINUTE_MS * TALLY_MINUTE_MS,
                            .timeout_ms = t->timeout_ms,
                            .memory_bytes = t->memory_bytes};
    struct topic_result r;
    uint64_t n_away;
    bool ok = t->topics != NULL || away_read(spool, t->sink, l->tallies.stream,
                                             t->plan->kafka.topic, &away, e);

    ok = ok && topic_check(&c, l, &r, e);
    if (ok) {
        t->n_checked++;
        n_away = away_count(&away, l);
        print_result(t, l->tallies.stream, &r, &away, n_away);
        *differs |= r.all.missing + r.all.doubled > 0 || r.all.cut ||
                    r.unconfirmed + n_away > 0 || r.deleted > 0;
    }
    away_free(&away);
    return ok;
}
