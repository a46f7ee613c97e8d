/* Any bytes as values one behind the other, and as events in lists of lists: each event
 * is an event when it stands alone, all of them joined by anything are the same events,
 * and cJSON finds as many, with the same values beside them. */
#include <cjson/cJSON.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "decode/envelope.h"
#include "decode/scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct arena arena, again_arena;
static struct event_batch batch, again;
static struct scan_keys *keys;
static struct envelope *nested;
static const struct scan_limits limits = {1000, 64};

static void start(void)
{
    const struct str path = STR("v");
    const struct str fields[] = {STR("t"), STR("b[].y.x"), STR("b[].c[].z")};
    struct err e;

    arena_init(&arena, 16 << 20);
    arena_init(&again_arena, 16 << 20);
    event_batch_init(&batch, &arena);
    event_batch_init(&again, &again_arena);
    keys = scan_keys_new(&path, 1, &e);
    nested = envelope_new(STR("b[].c[].d[]"), fields, 3, &e);
    if (keys == NULL || nested == NULL) {
        abort();
    }
}

/* All events with space or nothing between them, or as lists. */
static void join(const char *between, const char *begin, const char *end)
{
    size_t room = batch.body_len + SCAN_PAD + 1;
    struct scan_error se;
    uint32_t whole = 0;
    char *text, *p;

    for (uint32_t i = 0; i < batch.n; i++) {
        room += strlen(between) + strlen(begin) + strlen(end);
        whole += batch.events[i].fate == EVENT_ACCEPT;
    }
    text = calloc(1, room);
    p = text;
    for (uint32_t i = 0; i < batch.n; i++) {
        const struct event *ev = &batch.events[i];

        if (ev->fate == EVENT_ACCEPT) {
            p = stpcpy(p, begin);
            memcpy(p, batch.body + ev->off, ev->len);
            p = stpcpy(p + ev->len, end);
            p = stpcpy(p, between);
        }
    }
    if (whole > 0 && (scan_body(&again, keys, SCAN_VALUES, &limits, text,
                                (size_t)(p - text), &se) != SCAN_OK ||
                      again.n != whole)) {
        abort();
    }
    free(text);
}

static void values(const char *body, size_t n)
{
    struct scan_error se;

    if (scan_body(&batch, keys, SCAN_VALUES, &limits, body, n, &se) != SCAN_OK) {
        if (se.at > n) {
            abort();
        }
        return;
    }
    join("", "", "");
    join("\n", "", "");
    join(" ", "[", "]");
}

static bool beside(uint32_t place, uint32_t k)
{
    bool found = (batch.envelope[place].tag & 15) != SLOT_ABSENT;

    for (uint32_t i = 0; i < batch.n_runs; i++) {
        const struct envelope_run *x = &batch.runs[i];

        if (x->first >= x->end || x->end > batch.n || x->place > 2 ||
            x->value.off + (x->value.tag >> 4) > batch.body_len) {
            abort();
        }
        found |= x->place == place && k >= x->first && k < x->end;
    }
    return found;
}

static const cJSON *get(const cJSON *o, const char *key)
{
    return cJSON_IsObject(o) ? cJSON_GetObjectItemCaseSensitive(o, key) : NULL;
}

/* As cJSON sees it; keys that stand twice were refused. */
static void count(const cJSON *root)
{
    const cJSON *b, *c, *d;
    uint32_t k = 0;

    cJSON_ArrayForEach(b, get(root, "b"))
    {
        cJSON_ArrayForEach(c, get(b, "c"))
        {
            cJSON_ArrayForEach(d, get(c, "d"))
            {
                if (beside(0, k) != (get(root, "t") != NULL) ||
                    beside(1, k) != (get(get(b, "y"), "x") != NULL) ||
                    beside(2, k) != (get(c, "z") != NULL)) {
                    abort();
                }
                k++;
            }
        }
    }
    if (k != batch.n) {
        abort();
    }
}

static void lists(const char *body, size_t n)
{
    struct scan_error se;
    cJSON *root;

    if (scan_enveloped(&batch, keys, nested, &limits, body, n, &se) != SCAN_OK) {
        if (se.at > n) {
            abort();
        }
        return;
    }
    root = cJSON_ParseWithLength(body, n);
    /* A faulty event is passed over by us alone; cJSON ends a key at a zero. */
    if (root != NULL && memmem(body, n, "\\u0000", 6) == NULL) {
        count(root);
    }
    cJSON_Delete(root);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char *body;

    if (keys == NULL) {
        start();
    }
    if (n == 0) {
        return 0;
    }
    body = calloc(1, n + SCAN_PAD);
    memcpy(body, data + 1, n - 1);
    if (data[0] % 2 == 0) {
        values(body, n - 1);
    } else {
        lists(body, n - 1);
    }
    free(body);
    return 0;
}
