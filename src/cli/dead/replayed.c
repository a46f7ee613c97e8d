#include "cli/dead/replayed.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/siphash.h"
#include "base/write.h"

static const char PART[] = ".part";

struct replayed {
    char path[4096];
    struct mark *table; /* open addressing; {0, 0} is free */
    uint64_t room, n;
    struct mark *added;
    uint64_t n_added, added_room;
};

struct mark mark_of(struct str position, double time_ms, struct str event)
{
    static const struct siphash_key key = {0x736c75696365, 0x6c6574746572};
    char head[512];
    struct mark parts[2], x;
    int n = snprintf(head, sizeof head, "%.*s %.0f", (int)position.n,
                     position.p == NULL ? "" : position.p, time_ms);

    n = n < (int)sizeof head ? n : (int)sizeof head - 1;
    siphash24_128(&key, head, (size_t)n, parts[0].id);
    siphash24_128(&key, event.p, event.n, parts[1].id);
    siphash24_128(&key, parts, sizeof parts, x.id);
    x.id[0] |= 1; /* none is {0, 0} */
    return x;
}

static struct mark *place(const struct replayed *m, struct mark x)
{
    uint64_t at = x.id[1] & (m->room - 1);

    while (m->table[at].id[0] != 0 && memcmp(&m->table[at], &x, sizeof x) != 0) {
        at = (at + 1) & (m->room - 1);
    }
    return &m->table[at];
}

static void put(struct replayed *m, struct mark x)
{
    if (2 * m->n >= m->room) {
        struct mark *old = m->table;
        uint64_t n = m->room;

        m->room = n == 0 ? 1024 : 2 * n;
        m->table = mem_zalloc(m->room * sizeof x);
        for (uint64_t i = 0; i < n; i++) {
            if (old[i].id[0] != 0) {
                *place(m, old[i]) = old[i];
            }
        }
        free(old);
    }
    m->n += place(m, x)->id[0] == 0;
    *place(m, x) = x;
}

static bool load(struct replayed *m, struct err *e)
{
    FILE *f = fopen(m->path, "re");
    char line[128];
    bool ok = true;

    if (f == NULL) {
        return errno == ENOENT || err_errno(e, errno, "%s", m->path);
    }
    while (ok && fgets(line, sizeof line, f) != NULL) {
        struct mark x;
        int end = 0;

        if (strchr(line, '\n') == NULL && feof(f)) {
            break; /* a line that a crash cut off: its letters are sent again */
        }
        ok = sscanf(line, "%16lx%16lx\n%n", &x.id[0], &x.id[1], &end) == 2 &&
             strcspn(line, "\n") == 32;
        if (ok) {
            put(m, x);
        }
    }
    if (!ok) {
        (void)err_set(e,
                      "%s does not say which letters are replayed (an earlier "
                      "version only counted them): delete it to replay all "
                      "letters",
                      m->path);
    } else if (ferror(f)) {
        ok = err_errno(e, EIO, "%s", m->path);
    }
    (void)fclose(f);
    return ok;
}

struct replayed *replayed_open(const char *path, struct err *e)
{
    struct replayed *m = mem_zalloc(sizeof *m);
    size_t n = strlen(path), tail = sizeof PART - 1;

    if (n > tail && strcmp(path + n - tail, PART) == 0) {
        n -= tail;
    }
    put(m, (struct mark){{1, 0}}); /* makes the table */
    (void)snprintf(m->path, sizeof m->path, "%.*s.replayed", (int)n, path);
    if (!load(m, e)) {
        replayed_close(m);
        return NULL;
    }
    return m;
}

void replayed_close(struct replayed *m)
{
    if (m != NULL) {
        free(m->table);
        free(m->added);
        free(m);
    }
}

bool replayed_has(const struct replayed *m, struct mark x)
{
    return place(m, x)->id[0] != 0;
}

void replayed_add(struct replayed *m, struct mark x)
{
    if (m->n_added == m->added_room) {
        m->added_room = m->added_room == 0 ? 1024 : 2 * m->added_room;
        m->added = mem_realloc(m->added, m->added_room * sizeof x);
    }
    m->added[m->n_added++] = x;
    put(m, x);
}

bool replayed_save(struct replayed *m, struct err *e)
{
    FILE *f = write_stream(m->path, "a");
    bool ok;

    if (f == NULL) {
        return err_errno(e, errno, "%s", m->path);
    }
    for (uint64_t i = 0; i < m->n_added; i++) {
        (void)fprintf(f, "%016lx%016lx\n", m->added[i].id[0], m->added[i].id[1]);
    }
    ok = (fflush(f) == 0 && fdatasync(fileno(f)) == 0) ||
         err_errno(e, errno, "%s", m->path);
    (void)fclose(f);
    m->n_added = 0;
    return ok;
}

const char *replayed_path(const struct replayed *m)
{
    return m->path;
}
