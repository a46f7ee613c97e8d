/*
 * Why messages stay with librdkafka though a broker is connected. librdkafka does not
 * report a broker's answer to a request that may be sent again, such as
 * NOT_ENOUGH_REPLICAS, as long as it lasts: only a line for debugging names it. A
 * partition without a leader is in its statistics.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "sink/kafka/producer.h"

enum { FRESH_MS = 5000 }; /* librdkafka sends again within this */

static const char *name_of(const char *words, size_t n)
{
    const struct rd_kafka_err_desc *list;
    size_t n_list;

    rd_kafka_get_err_descs(&list, &n_list);
    for (size_t i = 0; i < n_list; i++) {
        if (list[i].desc != NULL && strlen(list[i].desc) == n &&
            memcmp(list[i].desc, words, n) == 0) {
            return list[i].name;
        }
    }
    return "unknown";
}

/* "...events [0]: MessageSet with 1 message(s) (...) encountered error: Broker: Not
 * enough in-sync replicas (actions Retry,MsgNotPersisted)" */
void refusal_take(struct producer *p, const char *facility, const char *text)
{
    static const char mark[] = "encountered error: ";
    const char *words = strstr(text, mark), *end, *set, *from;

    if (strcmp(facility, "MSGSET") != 0 || words == NULL) {
        return;
    }
    words += sizeof mark - 1;
    end = strstr(words, " (actions");
    set = strstr(text, ": MessageSet");
    if (end == NULL || set == NULL) {
        return;
    }
    for (from = set; from - text > 1 && !(from[-1] == ' ' && from[-2] == ':'); from--) {
    }
    (void)pthread_mutex_lock(&p->refused_lock);
    (void)snprintf(p->refused, sizeof p->refused, "%s: %.*s (topic %.*s)",
                   name_of(words, (size_t)(end - words)), (int)(end - words), words,
                   (int)(set - from), from);
    p->refused_ns = clock_mono_ns();
    (void)pthread_mutex_unlock(&p->refused_lock);
}

/* Of the partitions that have messages: that of the first without a leader; -1: none. */
static int leaderless(const char *stats)
{
    static const char key[] = "\"partition\":", leader[] = "\"leader\":",
                      queued[] = "\"msgq_cnt\":";

    for (const char *at = strstr(stats, key); at != NULL; at = strstr(at, key)) {
        const char *l, *q;
        int number = 0;

        at += sizeof key - 1;
        l = strstr(at, leader);
        q = strstr(at, queued);
        if (sscanf(at, "%d", &number) == 1 && number >= 0 && l != NULL && q != NULL &&
            strncmp(l + sizeof leader - 1, "-1,", 3) == 0 &&
            q[sizeof queued - 1] != '0') {
            return number;
        }
    }
    return -1;
}

const char *producer_refusal(struct producer *p, const char *stats, char *out,
                             size_t max)
{
    int partition = leaderless(stats);
    bool fresh;

    out[0] = '\0';
    (void)pthread_mutex_lock(&p->refused_lock);
    fresh =
        p->refused_ns != 0 && clock_mono_ns() - p->refused_ns < FRESH_MS * 1000000ull;
    if (fresh) {
        (void)snprintf(out, max, "%s", p->refused);
    }
    (void)pthread_mutex_unlock(&p->refused_lock);
    if (!fresh && partition >= 0) {
        (void)snprintf(out, max, "LEADER_NOT_AVAILABLE: partition %d has no leader",
                       partition);
    }
    return out;
}
