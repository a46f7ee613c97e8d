/* The account as lines of text, and back. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/err.h"
#include "base/mem.h"
#include "index/account.h"
#include "index/fields.h"

#define TITLE "sluice index account 1"

enum {
    CRC_LINE_BYTES = 13, /* "crc 0a1b2c3d\n" */
    /* That are ever written; each costs the time of a look at those before it. */
    LINES_MAX = 3 * ACCOUNT_LINES_MAX + ACCOUNT_GAPS_MAX + 3
};

static const char *const WHYS[ACCOUNT_WHYS] = {[ACCOUNT_OFF] = "off",
                                               [ACCOUNT_UNREAD] = "unread",
                                               [ACCOUNT_DISK] = "disk",
                                               [ACCOUNT_GONE] = "gone"};

/* ---- out ---- */

struct out {
    char *p;
    size_t n, room;
};

PRINTF(2, 3) static void put(struct out *o, const char *fmt, ...)
{
    va_list ap;
    int n;

    if (o->room - o->n < 2048) {
        o->room = 2 * o->room + 2048;
        o->p = mem_realloc(o->p, o->room);
    }
    va_start(ap, fmt);
    n = vsnprintf(o->p + o->n, o->room - o->n, fmt, ap);
    va_end(ap);
    o->n += n > 0 ? (size_t)n : 0;
}

static void put_field(struct out *o, const char *field)
{
    char escaped[INDEX_ESCAPED_MAX];

    index_field_escape(escaped, field);
    put(o, "%s\n", escaped);
}

char *index_account_text(const struct index_account *a, size_t *n)
{
    struct out o = {.p = NULL};

    put(&o, TITLE "\nuuid %s\n", a->uuid);
    put(&o, "begin %" PRIu32 " %" PRId64 "\n", a->begin, a->begin_ms);
    put(&o, "until %" PRIu32 " %" PRId64 "\n", a->until, a->until_ms);
    for (uint32_t i = 0; i < a->n_epochs; i++) {
        const struct index_account_epoch *p = &a->epochs[i];

        put(&o, "epoch %" PRIu32 " %" PRId64 " %s", p->epoch, p->since_ms,
            p->on ? "on " : "off\n");
        if (p->on) {
            put_field(&o, p->field);
        }
    }
    for (uint32_t i = 0; i < a->n_shards; i++) {
        const struct index_account_shard *s = &a->shards[i];

        put(&o, "shard %" PRIu32 ".%" PRIu32 " %" PRIu64 " %" PRIu64 "\n", s->epoch,
            s->worker, s->from, s->end);
    }
    for (uint32_t i = 0; i < a->n_holes; i++) {
        const struct index_account_hole *h = &a->holes[i];

        put(&o,
            "hole %" PRIu32 ".%" PRIu32 " %" PRIu64 " %" PRIu64 " %" PRId64 " %" PRId64
            " %s\n",
            h->at.epoch, h->at.worker, h->at.first, h->at.end, h->since_ms, h->until_ms,
            WHYS[h->why]);
    }
    for (uint32_t i = 0; i < a->n_gaps; i++) {
        const struct index_account_gap *g = &a->gaps[i];

        put(&o, "gap %" PRIu32 " %" PRIu32 " %" PRId64 " %" PRId64 "\n", g->first,
            g->last, g->since_ms, g->until_ms);
    }
    put(&o, "crc %08" PRIx32 "\n", crc32c(0, o.p, o.n));
    *n = o.n;
    return o.p;
}

/* ---- in ---- */

/* The rest of a line after its first `at` characters is all that was to come. */
static bool ends(const char *line, int at)
{
    return at > 0 && line[at] == '\0';
}

static bool take_epoch(struct index_account *a, const char *line)
{
    struct index_account_epoch p = {.on = false};
    char field[INDEX_FIELD_MAX];
    int off = 0, on = 0;

    if (sscanf(line, "epoch %" SCNu32 " %" SCNd64 " %noff%n", &p.epoch, &p.since_ms,
               &on, &off) != 2 ||
        on == 0) {
        return false;
    }
    if (ends(line, off)) {
        index_account_note_epoch(a, p.epoch, NULL, p.since_ms);
        return true;
    }
    if (strncmp(line + on, "on ", 3) != 0 ||
        !index_field_unescape(field, line + on + 3)) {
        return false;
    }
    index_account_note_epoch(a, p.epoch, field, p.since_ms);
    return true;
}

static bool take_shard(struct index_account *a, const char *line)
{
    struct index_account_shard s;
    int n = 0;

    if (sscanf(line, "shard %" SCNu32 ".%" SCNu32 " %" SCNu64 " %" SCNu64 "%n",
               &s.epoch, &s.worker, &s.from, &s.end, &n) != 4 ||
        !ends(line, n) || s.from == 0) {
        return false;
    }
    index_account_note_shard(a, s.epoch, s.worker, s.from)->end = s.end;
    return true;
}

static bool take_hole(struct index_account *a, const char *line)
{
    struct index_account_hole h;
    int n = 0;

    if (sscanf(line,
               "hole %" SCNu32 ".%" SCNu32 " %" SCNu64 " %" SCNu64 " %" SCNd64
               " %" SCNd64 " %n",
               &h.at.epoch, &h.at.worker, &h.at.first, &h.at.end, &h.since_ms,
               &h.until_ms, &n) != 6 ||
        n == 0 || h.at.first == 0 || h.at.end <= h.at.first) {
        return false;
    }
    for (int why = 0; why < ACCOUNT_WHYS; why++) {
        if (strcmp(line + n, WHYS[why]) == 0) {
            h.why = (enum index_account_why)why;
            index_account_add_hole(a, &h);
            return true;
        }
    }
    return false;
}

static bool take_gap(struct index_account *a, const char *line)
{
    struct index_account_gap g;
    int n = 0;

    if (sscanf(line, "gap %" SCNu32 " %" SCNu32 " %" SCNd64 " %" SCNd64 "%n", &g.first,
               &g.last, &g.since_ms, &g.until_ms, &n) != 4 ||
        !ends(line, n) || g.last < g.first) {
        return false;
    }
    index_account_add_gap(a, &g);
    return true;
}

static bool take_line(struct index_account *a, const char *line)
{
    int n = 0;

    switch (line[0]) {
    case 'u':
        return (sscanf(line, "until %" SCNu32 " %" SCNd64 "%n", &a->until, &a->until_ms,
                       &n) == 2 &&
                ends(line, n)) ||
               (sscanf(line, "uuid %39s%n", a->uuid, &n) == 1 && ends(line, n));
    case 'b':
        return sscanf(line, "begin %" SCNu32 " %" SCNd64 "%n", &a->begin, &a->begin_ms,
                      &n) == 2 &&
               ends(line, n);
    case 'e':
        return take_epoch(a, line);
    case 's':
        return take_shard(a, line);
    case 'h':
        return take_hole(a, line);
    case 'g':
        return take_gap(a, line);
    default:
        return false;
    }
}

/* The lines between the first and the last. */
static bool take_lines(struct index_account *a, char *text, struct err *e)
{
    char *rest, *line = strtok_r(text, "\n", &rest); /* the title */
    uint32_t n = 0;

    while (line != NULL && (line = strtok_r(NULL, "\n", &rest)) != NULL) {
        if (n++ == LINES_MAX) {
            return err_set(e, "it has more than %d lines", LINES_MAX);
        }
        if (!take_line(a, line)) {
            return err_set(e, "\"%.60s\" is no line of an index's account", line);
        }
    }
    return (a->begin > 0 && a->until >= a->begin) ||
           err_set(e, "it says neither where it begins nor where it ends");
}

/* The stream may have had events before its index, in epochs of which no line tells. */
static void doubt_earlier(struct index_account *a)
{
    for (uint32_t i = 0; i < a->n_gaps; i++) {
        if (a->gaps[i].first == 1) {
            return;
        }
    }
    if (a->begin > 1) {
        index_account_add_gap(
            a, &(struct index_account_gap){1, a->begin - 1, 0, a->begin_ms});
    }
}

bool index_account_parse(struct index_account *a, const char *text, size_t n,
                         struct err *e)
{
    const size_t n_title = strlen(TITLE "\n");
    char last[CRC_LINE_BYTES + 1], *lines;
    bool ok;

    memset(a, 0, sizeof *a);
    if (n < n_title + CRC_LINE_BYTES || n > ACCOUNT_BYTES_MAX ||
        memcmp(text, TITLE "\n", n_title) != 0) {
        return err_set(e, "it is no index account of this version, or is cut");
    }
    n -= CRC_LINE_BYTES;
    (void)snprintf(last, sizeof last, "crc %08" PRIx32 "\n", crc32c(0, text, n));
    if (memcmp(text + n, last, CRC_LINE_BYTES) != 0 || memchr(text, '\0', n) != NULL) {
        return err_set(e, "its checksum is wrong");
    }
    lines = mem_strndup(text, n);
    ok = take_lines(a, lines, e);
    free(lines);
    if (ok) {
        doubt_earlier(a);
    } else {
        index_account_free(a);
    }
    return ok;
}
