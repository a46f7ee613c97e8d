#include "cli/watch/findings.h"

#include <cjson/cJSON.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cli/advice.h"
#include "cli/show.h"

/* A longer look is named. */
static const double NOW_S = 60;

void findings_put(cJSON *o, const char *name, double value)
{
    (void)cJSON_AddNumberToObject(o, name, value);
}

void findings_copy(cJSON *to, const cJSON *from, const char *name)
{
    const cJSON *x = cJSON_GetObjectItem(from, name);

    if (x != NULL) {
        (void)cJSON_AddItemToObject(to, name, cJSON_Duplicate(x, true));
    }
}

const char *findings_when(const struct findings *m, char out[FINDINGS_WHEN])
{
    char time[SHOW_BYTES];

    if (m->seconds <= NOW_S) {
        (void)snprintf(out, FINDINGS_WHEN, "just now");
    } else {
        (void)snprintf(out, FINDINGS_WHEN, "in the last %s",
                       show_seconds(time, m->seconds));
    }
    return out;
}

cJSON *findings_tell(cJSON *list, const char *what, const char *subject,
                     const char *fmt, ...)
{
    cJSON *o = cJSON_CreateObject();
    const char *next = advice_for(what);
    char text[800];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    (void)cJSON_AddStringToObject(o, "what", what);
    (void)cJSON_AddStringToObject(o, "subject", subject);
    (void)cJSON_AddStringToObject(o, "text", text);
    if (next != NULL) {
        (void)cJSON_AddStringToObject(o, "next", next);
    }
    (void)cJSON_AddItemToArray(list, o);
    return o;
}

/* ---- numbers of the metrics ---- */

double findings_total(const struct findings *m, const char *name, const char *pair)
{
    return series_sum(m->now, name, pair);
}

/* A counter that a restart has reset counts from 0. */
double findings_during(const struct findings *m, const char *name, const char *pair)
{
    double now = series_sum(m->now, name, pair);
    double before = series_sum(m->before, name, pair);

    return now >= before ? now - before : now;
}

double findings_rate(const struct findings *m, const char *name, const char *pair)
{
    return m->seconds > 0 ? findings_during(m, name, pair) / m->seconds : 0;
}

double findings_grown(const struct findings *m, const struct series *x)
{
    const struct series *old =
        series_find(m->before, x->name, x->labels, strlen(x->labels));

    return old == NULL || old->value > x->value ? x->value : x->value - old->value;
}
