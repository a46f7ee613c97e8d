#include "sink/meter.h"

#include <stdio.h>

#include "base/log.h"

void meter_init(struct meter *m, const char *sink, const char *endpoint)
{
    char label[760], s[160], p[560];
    struct stats_owner *before;

    *m = (struct meter){.endpoint = endpoint};
    before = stats_own(&m->series);
    (void)snprintf(m->sink, sizeof m->sink, "%s", sink);
    (void)stats_label_pair(s, sizeof s, "sink", sink);
    (void)stats_label_pair(p, sizeof p, "endpoint", endpoint);
    (void)snprintf(label, sizeof label, "%s,%s", s, p);
    m->state = stats_gauge("sluice_breaker_state",
                           "State of the breaker: 0 closed, 1 half-open, 2 "
                           "open.",
                           label);
    for (int i = 0; i < 3; i++) {
        (void)snprintf(label, sizeof label, "%s,%s,to=\"%s\"", s, p,
                       breaker_state_name((enum breaker_state)i));
        m->to[i] = stats_counter("sluice_breaker_transitions_total",
                                 "Changes of the breaker's state, by new "
                                 "state.",
                                 label);
    }
    for (int i = 0; i < 2; i++) {
        (void)snprintf(label, sizeof label, "%s,%s,result=\"%s\"", s, p,
                       i == 0 ? "ok" : "failed");
        m->requests[i] = stats_counter("sluice_endpoint_requests_total",
                                       "Requests to an endpoint, by result.", label);
    }
    (void)snprintf(label, sizeof label, "%s,%s", s, p);
    m->failing =
        stats_gauge("sluice_endpoint_failing",
                    "1: the last request to an endpoint that has ended failed.", label);
    (void)stats_own(before);
}

void meter_show(struct meter *m, struct breaker *b, int64_t now_ms)
{
    enum breaker_state now = breaker_state(b, now_ms);

    if (now == m->shown || m->state == NULL) { /* or it has ended */
        return;
    }
    m->shown = now;
    stats_set(m->state, now);
    stats_add(m->to[now], 1);
    log_write(now == BREAKER_OPEN ? LOG_WARN : LOG_INFO, "breaker",
              "sink=%s endpoint=%s state=%s", m->sink, m->endpoint,
              breaker_state_name(now));
}

void meter_count(struct meter *m, bool ok)
{
    if (m->state != NULL) {
        stats_add(m->requests[!ok], 1);
        stats_set(m->failing, !ok);
    }
}

void meter_passes(struct meter *m)
{
    if (m->state != NULL) {
        stats_set(m->failing, 0);
    }
}

void meter_end(struct meter *m)
{
    stats_disown(&m->series);
    *m = (struct meter){.endpoint = NULL};
}
