/*
 * growth - counters whose growth is a fault, or tells why clients are refused: by their
 * names, with a text for people, so that /status, the page, the log and the command line
 * say the same.
 *
 *   growth_new (start) -> growth_look* -> growth_json -> growth_free (stop)
 *
 * The supervisor's thread. Memory is bounded: 0.3 kB a counter that has grown, of at most
 * 256.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cJSON;
struct ev_loop;
struct growth;

/* Looks every 10 s, in loop, and writes to the log what has begun to grow, once, and that
 * it has not grown for 5 minutes. */
struct growth *growth_new(struct ev_loop *loop);
void growth_free(struct growth *g); /* NULL is fine */

/* Takes what the counters have grown by since the last look, if that is a second ago or
 * more; now_ns: monotonic. */
void growth_look(struct growth *g, uint64_t now_ns);

/* [{"what":"dedup_forgets","subject":"events","recent":N,"since_start":N,"mild":false,
 * "text":"...","next":"..."}]: at most 50, those that have grown in the last minute
 * first. */
struct cJSON *growth_json(const struct growth *g);

/* ---- growth_rules.c: what is counted, in words; any thread ---- */

/* pair: only series with it; not: only those without it. label: the one that names what is
 * at fault; NULL: nothing. The text is begin, the number, middle, the name and end; of the
 * number 1 one and one_end, where one_end may be NULL: end. */
struct growth_rule {
    const char *name, *pair, *not, *label, *what, *begin, *middle, *end, *next;
    const char *one, *one_end;
    bool mild;                  /* no fault, also while it grows */
    bool passes;                /* not told once it has not grown for a minute */
    const char *event, *status; /* of the line in the log; NULL: another one tells it */
};

/* The rule i, from 0; NULL: there are no more. */
const struct growth_rule *growth_rule(size_t i);
bool growth_counts(const struct growth_rule *r, const char *name, const char *labels);
/* name: "" of rules without a label. Cut to bytes. */
void growth_text(const struct growth_rule *r, const char *count, const char *name,
                 char *out, size_t bytes);
