#include "tables/sink_bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/crc32c.h"
#include "base/mem.h"
#include "base/write.h"
#include "tables/guard.h"

enum { BUFFER_BYTES = 2 << 20, SYNC_BYTES = 8 << 20 };

void sink_flush(struct sink_bytes *s)
{
    size_t skip = s->at < s->unsummed ? s->unsummed - s->at : 0;

    if (s->fd < 0) {
        return; /* nobody asks for its checksum: it is not stored */
    }
    if (s->n > skip) {
        s->crc = crc32c(s->crc, s->p + skip, s->n - skip);
    }
    if (s->error == 0 && !write_at(s->fd, s->p, s->n, s->at)) {
        s->error = errno;
    }
    /* Little by little, so that the sync at the end does not hold up the spool's. */
    if (s->at / SYNC_BYTES != (s->at + s->n) / SYNC_BYTES) {
        (void)sync_file_range(s->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
    }
    s->at += s->n;
    s->n = 0;
}

void sink_put_slow(struct sink_bytes *s, const void *p, size_t n)
{
    const char *from = p;

    if (s->fd < 0) {
        s->room = 2 * s->room + n + 4096;
        s->p = mem_realloc(s->p, s->room);
        memcpy(s->p + s->n, from, n);
        s->n += n;
        return;
    }
    if (s->p == NULL) {
        s->p = mem_alloc(BUFFER_BYTES);
        s->room = BUFFER_BYTES;
    }
    while (n > 0) {
        size_t take = s->room - s->n < n ? s->room - s->n : n;

        memcpy(s->p + s->n, from, take);
        s->n += take;
        from += take;
        n -= take;
        if (s->n == s->room) {
            sink_flush(s);
        }
    }
}

void sink_pad(struct sink_bytes *s)
{
    static const char zeros[4];

    sink_put(s, zeros, (size_t)(-sink_at(s) & 3));
}

const char *sink_read(struct sink_bytes *s)
{
    void *p;

    sink_flush(s);
    if (s->fd < 0 || s->error != 0 || s->at == 0) {
        return s->error != 0 ? NULL : s->fd < 0 && s->p != NULL ? s->p : "";
    }
    p = mmap(NULL, (size_t)s->at, PROT_READ, MAP_SHARED, s->fd, 0);
    if (p == MAP_FAILED) {
        s->error = errno;
        return NULL;
    }
    /* An error of the disk is told by a signal, which would end the process. */
    s->guard = guard_add(p, (size_t)s->at);
    if (s->guard < 0) {
        (void)munmap(p, (size_t)s->at);
        s->error = EMFILE;
        return NULL;
    }
    guard_thread();
    s->map = p;
    s->map_bytes = (size_t)s->at;
    return p;
}

bool sink_unread(struct sink_bytes *s)
{
    if (s->map != NULL && guard_damaged(s->guard)) {
        s->error = EIO;
    }
    return s->error != 0;
}

void sink_fini(struct sink_bytes *s)
{
    free(s->p);
    s->p = NULL;
    if (s->map != NULL) {
        guard_remove(s->guard);
        (void)munmap(s->map, s->map_bytes);
        s->map = NULL;
    }
}
