#include "cli/watch/sight.h"

#include <cjson/cJSON.h>

#include "base/clock.h"
#include "base/err.h"
#include "cli/ask.h"
#include "cli/watch/facts.h"

enum { TIMEOUT_MS = 10000 };

static bool get(const struct sight *s, struct ask *a, const char *path,
                struct ask_answer *answer, struct err *e)
{
    long ms = s->wait_ms > 0 ? s->wait_ms : TIMEOUT_MS;

    return ask_send(a, "GET", path, ms, answer, e) &&
           (answer->status == 200 || ask_refused(answer, e));
}

bool sight_look(struct sight *s, struct ask *a, struct err *e)
{
    struct ask_answer answer;
    cJSON *status;
    double pid, epoch;

    if (!get(s, a, "/status", &answer, e)) {
        return false;
    }
    status = cJSON_ParseWithLength(answer.text, answer.n);
    if (!cJSON_IsArray(cJSON_GetObjectItem(status, "sinks"))) {
        cJSON_Delete(status);
        return ask_stranger(a, e);
    }
    if (!get(s, a, "/metrics", &answer, e)) {
        cJSON_Delete(status);
        return false;
    }
    cJSON_Delete(s->status);
    series_free(&s->before);
    s->status = status;
    s->before = s->now;
    s->before_ns = s->now_ns;
    s->now_ns = clock_mono_ns();
    series_read(&s->now, answer.text);
    pid = facts_number(status, "pid");
    epoch = facts_number(cJSON_GetObjectItem(status, "spool"), "epoch");
    if ((pid != s->pid || epoch != s->epoch) && s->before_ns != 0) {
        series_free(&s->before); /* another process counts from 0; in a container it may
                                  * have the same number */
        s->before_ns = 0;
    }
    s->pid = pid;
    s->epoch = epoch;
    return true;
}

cJSON *sight_facts(const struct sight *s)
{
    double seconds = s->before_ns == 0 ? facts_number(s->status, "uptime_ms") / 1000
                                       : (double)(s->now_ns - s->before_ns) / 1e9;

    return facts_new(s->status, &s->before, &s->now, seconds);
}

void sight_free(struct sight *s)
{
    cJSON_Delete(s->status);
    series_free(&s->before);
    series_free(&s->now);
}
