/* The memory of all connections of a server together: bytes that were read and not yet
 * parsed, and answers that were not yet sent. When there is too much, the connection
 * that does not read its answers goes first. */
#include <stdlib.h>

#include "base/mem.h"
#include "http/internal.h"
#include "net/tls_session.h"

enum {
    READ_LEAST = 4 << 10,
    READ_PIPELINED = 16 << 10, /* PIPELINE_MAX requests of 256 bytes */
    READ_SHARE = 16,           /* of the free bytes: one connection's turn */
    OUT_KEPT = 16 << 10,
    OUT_KEPT_IDLE = 1 << 10,
    TRIM_BYTES = 16 << 20,
    FALL_BYTES = 1 << 20,
    FALL_LOOKS = 100
};

/* A client that had pipelined 64 requests more than once is read from in small steps:
 * further requests would only have to be buffered. */
size_t buffer_read_bytes(const struct conn *c)
{
    const struct http_server *s = c->server;
    uint64_t max = s->limits.max_buffered;
    uint64_t room = s->buffered < max ? (max - s->buffered) / READ_SHARE : 0;

    if (room > READ_PIPELINED && c->current == NULL && c->n_open > 0) {
        room = READ_PIPELINED;
    }
    return room > SCRATCH_BYTES ? SCRATCH_BYTES
           : room < READ_LEAST  ? READ_LEAST
                                : (size_t)room;
}

void buffer_grow(struct http_server *s, char **p, size_t *room, size_t n)
{
    size_t grown = n > 2 * *room ? n : 2 * *room;

    if (n > *room) {
        s->buffered += grown - *room;
        *room = grown;
        *p = mem_realloc(*p, grown);
    }
}

void buffer_free(struct http_server *s, char **p, size_t *room)
{
    if (*p != NULL) {
        s->buffered -= *room;
        free(*p);
        *p = NULL;
        *room = 0;
    }
}

bool buffer_is_tight(const struct http_server *s)
{
    return s->buffered >= s->limits.max_buffered / 4;
}

void buffer_sent(struct conn *c)
{
    struct http_server *s = c->server;

    if (c->out_room > (buffer_is_tight(s) ? OUT_KEPT_IDLE : OUT_KEPT)) {
        buffer_free(s, &c->out, &c->out_room);
    }
}

void buffer_rest(struct conn *c)
{
    if (c->unparsed_n == 0) {
        buffer_free(c->server, &c->unparsed, &c->unparsed_room);
    }
    if (c->out_n == 0 && c->out_room > OUT_KEPT_IDLE) {
        buffer_free(c->server, &c->out, &c->out_room);
    }
    if (c->tls != NULL) {
        tls_session_rest(c->tls);
    }
    parse_rest(c->parse);
}

static size_t buffered_of(const struct conn *c)
{
    return c->unparsed_room + c->out_room + c->stashed;
}

static bool is_stalled(const struct conn *c)
{
    return ev_is_active(&c->writable);
}

/* The mean of those that do not read; 0: there is none. */
static size_t mean_of_stalled(const struct http_server *s, const struct conn *spared)
{
    size_t sum = 0, n = 0;

    for (const struct conn *c = s->open; c != NULL; c = c->next) {
        if (c != spared && is_stalled(c)) {
            sum += buffered_of(c);
            n++;
        }
    }
    return n == 0 ? 0 : sum / n;
}

void buffer_evict(struct http_server *s, const struct conn *spared)
{
    uint64_t goal = s->limits.max_buffered - s->limits.max_buffered / 8;
    size_t mean;

    while (s->buffered > goal && (mean = mean_of_stalled(s, spared)) > 0) {
        struct conn *next;

        for (struct conn *c = s->open; c != NULL && s->buffered > goal; c = next) {
            next = c->next;
            if (c != spared && is_stalled(c) && buffered_of(c) >= mean) {
                stats_add(s->evicted, 1);
                conn_close(c);
            }
        }
    }
}

/* Memory is given back when most of it was freed, and for some looks after it whenever the
 * fall pauses: connections close over several looks, and what the last of them free is no
 * new peak. */
void buffer_look(struct http_server *s)
{
    uint64_t now = s->buffered + s->body_bytes;
    bool pauses = now >= s->looked_bytes;

    stats_set(s->buffer_gauge, s->buffered);
    stats_set(s->body_gauge, s->body_bytes);
    s->looked_bytes = now;
    if (s->falling > 0) {
        s->falling--;
    }
    if (now > s->peak_bytes) {
        s->peak_bytes = now;
    } else if (s->peak_bytes > TRIM_BYTES && now < s->peak_bytes / 4) {
        mem_trim();
        s->peak_bytes = now;
        s->falling = FALL_LOOKS;
    } else if (s->falling > 0 && pauses && now + FALL_BYTES <= s->peak_bytes) {
        mem_trim();
        s->peak_bytes = now;
    }
}
