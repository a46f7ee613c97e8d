#include "sink/kafka/place.h"

#include <inttypes.h>
#include <stdio.h>

struct extent {
    int32_t partition;
    int64_t first, last;
};

/* False: there is no room for one more partition. */
static int add(struct extent *list, uint32_t *n, const struct message_place *p)
{
    uint32_t i = 0;

    while (i < *n && list[i].partition != p->partition) {
        i++;
    }
    if (i == PLACE_PARTITIONS) {
        return 0;
    }
    if (i == *n) {
        list[(*n)++] = (struct extent){p->partition, p->offset, p->offset};
    }
    list[i].first = p->offset < list[i].first ? p->offset : list[i].first;
    list[i].last = p->offset > list[i].last ? p->offset : list[i].last;
    return 1;
}

static size_t put(char *out, size_t at, size_t max, const struct extent *x)
{
    int n =
        snprintf(out + at, max - at, " p%" PRId32 "=%" PRId64, x->partition, x->first);

    if (n > 0 && (size_t)n < max - at && x->last > x->first) {
        int m = snprintf(out + at + n, max - at - (size_t)n, "..%" PRId64, x->last);

        n += m > 0 ? m : 0;
    }
    return n > 0 && (size_t)n < max - at ? at + (size_t)n : max - 1;
}

const char *place_text(const char *topic, const struct message_place *places,
                       uint32_t n, char *out, size_t max)
{
    struct extent list[PLACE_PARTITIONS];
    uint32_t n_list = 0;
    int all = 1, k;
    size_t at;

    for (uint32_t i = 0; i < n; i++) {
        if (places[i].partition >= 0) {
            all &= add(list, &n_list, &places[i]);
        }
    }
    k = snprintf(out, max, "topic=%s", topic == NULL ? "by_event" : topic);
    at = k > 0 && (size_t)k < max ? (size_t)k : max - 1;
    for (uint32_t i = 0; i < n_list; i++) {
        at = put(out, at, max, &list[i]);
    }
    if (!all) {
        (void)snprintf(out + at, max - at, " more=1");
    }
    return out;
}
