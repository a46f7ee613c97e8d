/* Whether a stream takes more bytes, and how full it is. Any thread. */
#include "base/attr.h"
#include "spool/internal.h"
#include "spool/spool.h"
#include "spool/writer.h"

/* Bytes that the worker could append to the segments that it has. */
static uint64_t left_of(const struct spool *s, const struct shard *sh)
{
    return atomic_load_explicit(&sh->left, memory_order_relaxed) +
           (atomic_load(&sh->ahead) == NULL ? 0 : s->conf.segment_bytes - PAGE_BYTES);
}

/* Bytes of max_bytes that each worker could append on a disk that takes all: the least over
 * the workers of the room in their segments, and segments that fit beside these. */
static uint64_t unused_of(const struct spool *s, const struct stream *st)
{
    uint64_t used = atomic_load(&st->used), max = atomic_load(&st->max_bytes);
    uint64_t least = UINT64_MAX, growth = 0;

    for (uint32_t i = 0; i < s->conf.n_workers; i++) {
        const struct shard *sh = atomic_load(&st->live[i]);

        if (sh != NULL) {
            const uint64_t room = left_of(s, sh);

            least = room < least ? room : least;
        }
    }
    if (max > used) {
        growth = (max - used) / s->conf.segment_bytes * s->conf.segment_bytes;
    }
    return (least == UINT64_MAX ? 0 : least) + growth;
}

/* On a disk that takes no segment. A worker that is full, or that has none, answers 503 itself,
 * and takes no other's room. */
static uint64_t most_left(const struct spool *s, const struct stream *st)
{
    uint64_t most = 0;

    for (uint32_t i = 0; i < s->conf.n_workers; i++) {
        const struct shard *sh = atomic_load(&st->live[i]);
        const uint64_t room = sh == NULL ? 0 : left_of(s, sh);

        most = room > most ? room : most;
    }
    return most;
}

/* The bytes of the worker's block with a request's. */
static uint64_t size_with(const struct spool_writer *w, uint64_t bytes)
{
    return spool_writer_pending(w) + BLOCK_HEAD_BYTES + bytes;
}

/* Whether the worker may get n segments. Those of its stream may all count on the last one: who
 * must be sure leaves one to each. */
static bool may_get(const struct spool_writer *w, uint64_t n, bool sure)
{
    const struct shard *sh = w->shard;
    const struct stream *st = sh->stream;
    const struct spool *s = st->spool;

    if (atomic_load(&s->unwritable) || w->waited ||
        (sure && atomic_load(&sh->put_off))) {
        return false;
    }
    n += sure ? s->conf.n_workers - 1 : 0;
    return atomic_load(&st->used) + n * s->conf.segment_bytes <=
           atomic_load(&st->max_bytes);
}

bool spool_writer_fits(const struct spool_writer *w, uint64_t bytes, bool sure)
{
    struct shard *sh = w->shard;
    const uint64_t size = size_with(w, bytes);
    uint64_t n;
    bool has;

    if (LIKELY(size <= atomic_load(&sh->left))) {
        return true;
    }
    /* What is too large for a segment is taken back whole, and told so. */
    n = sure && w->n > 0 && size > sh->stream->spool->conf.segment_bytes - PAGE_BYTES
            ? 2
            : 1;
    has = atomic_load(&sh->ahead) != NULL || w->taken != NULL;
    if ((has && n == 1) || may_get(w, n - has, sure)) {
        return true;
    }
    if (!has) {
        atomic_store(&sh->asked, true);
    }
    return false;
}

bool spool_writer_keep(const struct spool_writer *w, uint64_t bytes, bool sure)
{
    if (UNLIKELY(size_with(w, bytes) > atomic_load(&w->shard->left))) {
        atomic_store(&w->shard->kept_ms, mono_ms()); /* before it looks at `ahead` */
    }
    return spool_writer_fits(w, bytes, sure);
}

/* What a worker can append now. */
static uint64_t room_of(const struct spool *s, const struct stream *st)
{
    return atomic_load(&s->away) || !presence_of_stream(st) ? 0
           : atomic_load(&s->unwritable)                    ? most_left(s, st)
                                                            : unused_of(s, st);
}

bool spool_reserve(struct spool *s, int stream, uint64_t bytes)
{
    struct stream *st = s->streams[stream];
    uint64_t before = atomic_fetch_add(&st->reserved, bytes);

    if (before + bytes <= room_of(s, st)) {
        stats_add_shared(st->reserved_gauge, bytes);
        return true;
    }
    (void)atomic_fetch_sub(&st->reserved, bytes);
    stream_ask(st);
    return false;
}

bool spool_has_room(const struct spool *s, int stream, uint64_t bytes)
{
    const struct stream *st = s->streams[stream];

    if (atomic_load(&st->reserved) + bytes <= room_of(s, st)) {
        return true;
    }
    stream_ask(st);
    return false;
}

void spool_release(struct spool *s, int stream, uint64_t bytes)
{
    struct stream *st = s->streams[stream];

    (void)atomic_fetch_sub(&st->reserved, bytes);
    stats_add_shared(st->reserved_gauge, -bytes);
}

unsigned spool_stream_percent(const struct spool *s, int stream)
{
    const struct stream *st = s->streams[stream];
    uint64_t max = atomic_load(&st->max_bytes), room = unused_of(s, st);

    return room >= max ? 0 : (unsigned)(100 - room * 100 / max);
}

unsigned spool_used_percent(struct spool *s, bool *writable)
{
    uint32_t n = atomic_load(&s->n_streams);
    unsigned most = 0;

    for (uint32_t i = 0; i < n; i++) {
        unsigned used = spool_stream_percent(s, (int)i);

        most = used > most ? used : most;
    }
    *writable = spool_writable(s);
    return most;
}
