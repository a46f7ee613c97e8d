#include "delivery/places.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/mem.h"
#include "base/text.h"

static const char JOURNAL_TAIL[] = ".journal";

void places_init(struct places *p, const char *journal_path, stats_cell *unrecorded)
{
    const size_t n = strlen(journal_path) - strlen(JOURNAL_TAIL);

    (void)snprintf(p->path, sizeof p->path, "%.*s" PLACES_TAIL, (int)n, journal_path);
    p->fd = -1;
    p->unrecorded = unrecorded;
    p->record = NULL;
}

/* ---- the files of a sink that goes, or has another name ---- */

static const char *const TAILS[] = {PLACES_TAIL, PLACES_OLD_TAIL};

static void beside(const char *journal_path, const char *tail, char out[PATH_MAX])
{
    const size_t n = strlen(journal_path) - strlen(JOURNAL_TAIL);

    (void)snprintf(out, PATH_MAX, "%.*s%s", (int)n, journal_path, tail);
}

void places_move(const char *from_journal, const char *to_journal)
{
    char from[PATH_MAX], to[PATH_MAX];

    for (size_t i = 0; i < N_ELEMS(TAILS); i++) {
        beside(from_journal, TAILS[i], from);
        beside(to_journal, TAILS[i], to);
        (void)rename(from, to);
    }
}

void places_remove(const char *journal_path)
{
    char path[PATH_MAX];

    for (size_t i = 0; i < N_ELEMS(TAILS); i++) {
        beside(journal_path, TAILS[i], path);
        (void)unlink(path);
    }
}

void places_adopt(const char *journal_path, const char *was)
{
    const char *slash = strrchr(journal_path, '/');
    char journal[PATH_MAX], from[PATH_MAX], to[PATH_MAX];

    (void)snprintf(journal, sizeof journal, "%.*s/%s%s", (int)(slash - journal_path),
                   journal_path, was, JOURNAL_TAIL);
    if (access(journal, F_OK) == 0 || errno != ENOENT) {
        return;
    }
    for (size_t i = 0; i < N_ELEMS(TAILS); i++) {
        beside(journal, TAILS[i], from);
        beside(journal_path, TAILS[i], to);
        if (access(to, F_OK) != 0 && errno == ENOENT) {
            (void)rename(from, to);
        }
    }
}

/* ---- notes ---- */

static void shut(struct places *p)
{
    if (p->fd >= 0) {
        (void)close(p->fd);
    }
    p->fd = -1;
}

void places_fini(struct places *p)
{
    shut(p);
    free(p->record);
    p->record = NULL;
}

static bool ready(struct places *p)
{
    struct stat st;

    if (p->fd >= 0) {
        return true;
    }
    p->fd = open(p->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    if (p->fd < 0 || fstat(p->fd, &st) != 0) {
        shut(p);
        return false;
    }
    p->bytes = (uint64_t)st.st_size;
    if (p->record == NULL) {
        p->record = mem_alloc(RECORD_BYTES_MAX);
    }
    return true;
}

static void rotate(struct places *p)
{
    char old[sizeof p->path + 4];

    (void)snprintf(old, sizeof old, "%s.1", p->path);
    /* A name that stays means a larger file, until the disk renames it. */
    if (rename(p->path, old) == 0) {
        shut(p);
    }
}

void places_note(struct places *p, enum record_type type, struct str stream,
                 struct str place, int64_t wall_ms, uint64_t value,
                 const struct batch_range *ranges, uint32_t n)
{
    const struct record r = {.type = type,
                             .time_ms = wall_ms,
                             .value = value,
                             .id = {place.p, text_cut(place, PLACES_TEXT_MAX)},
                             .stream = stream,
                             .ranges = ranges,
                             .n_ranges = n};
    size_t size;
    ssize_t written;

    if (n == 0 || p->path[0] == '\0') {
        return;
    }
    if (!ready(p)) {
        stats_add(p->unrecorded, 1);
        return;
    }
    size = record_encode(&r, p->record);
    written = write(p->fd, p->record, size);
    /* A part of a record is passed over by its readers, by its checksum. */
    p->bytes += written > 0 ? (uint64_t)written : 0;
    if (written != (ssize_t)size) {
        stats_add(p->unrecorded, 1);
        shut(p);
    } else if (p->bytes >= PLACES_BYTES) {
        rotate(p);
    }
}
