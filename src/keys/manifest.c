#include "keys/manifest.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/err.h"
#include "base/folder.h"
#include "base/write.h"

static void path_of(const char *dir, const char *tail, char out[PATH_MAX])
{
    (void)snprintf(out, PATH_MAX, "%s/MANIFEST%s", dir, tail);
}

/* ---- read ---- */

/* One line without its newline. False: it is none of ours. */
static bool take_line(struct manifest *m, const char *line)
{
    struct keys_place place;
    uint64_t id;
    int end = 0;

    if (strcmp(line, "sluice-keys 1") == 0) {
        return true;
    }
    if (sscanf(line, "key %16" SCNx64 "%16" SCNx64 "%n", &m->key.k0, &m->key.k1,
               &end) == 2 &&
        line[end] == '\0') {
        return true;
    }
    if (sscanf(line, "clock %" SCNu32 "%n", &m->clock_s, &end) == 1 &&
        line[end] == '\0') {
        return true;
    }
    if (sscanf(line, "run %" SCNu64 "%n", &id, &end) == 1 && line[end] == '\0' &&
        m->n_runs < MANIFEST_RUNS_MAX) {
        m->runs[m->n_runs++] = id;
        return true;
    }
    if (sscanf(line, "at %" SCNu32 " %" SCNu32 " %" SCNu64 "%n", &place.epoch,
               &place.worker, &place.seq, &end) == 3 &&
        line[end] == '\0' && m->n_places < MANIFEST_PLACES_MAX) {
        m->places[m->n_places++] = place;
        return true;
    }
    return false;
}

static enum manifest_read take(struct manifest *m, FILE *f, const char *path,
                               struct err *e)
{
    char line[128];
    uint32_t crc = 0, said;
    unsigned n = 0;

    while (fgets(line, sizeof line, f) != NULL) {
        size_t len = strlen(line);

        n++;
        if (len == 0 || line[len - 1] != '\n') {
            break;
        }
        if (sscanf(line, "crc %8" SCNx32, &said) == 1) {
            if (said == crc && n > 2 && fgetc(f) == EOF && !ferror(f)) {
                return MANIFEST_READ;
            }
            break;
        }
        crc = crc32c(crc, line, len);
        line[len - 1] = '\0';
        if (!take_line(m, line)) {
            break;
        }
    }
    if (ferror(f)) {
        (void)err_errno(e, errno, "%s", path);
        return MANIFEST_UNREAD;
    }
    (void)err_set(e, "%s: line %u is damaged, or its end is missing", path, n);
    return MANIFEST_DAMAGED;
}

enum manifest_read manifest_read(struct manifest *m, const char *dir, struct err *e)
{
    enum manifest_read r;
    char path[PATH_MAX];
    FILE *f;

    m->n_runs = m->n_places = m->clock_s = 0;
    path_of(dir, "", path);
    f = fopen(path, "re");
    if (f == NULL) {
        if (errno == ENOENT) {
            return MANIFEST_NONE;
        }
        (void)err_errno(e, errno, "%s", path);
        return MANIFEST_UNREAD;
    }
    r = take(m, f, path, e);
    (void)fclose(f);
    return r;
}

/* ---- write ---- */

static char *text_of(const struct manifest *m, size_t *n)
{
    char *text = NULL;
    FILE *f = open_memstream(&text, n);

    if (f == NULL) {
        return NULL;
    }
    (void)fprintf(f, "sluice-keys 1\nkey %016" PRIx64 "%016" PRIx64 "\n", m->key.k0,
                  m->key.k1);
    if (m->clock_s != 0) {
        (void)fprintf(f, "clock %" PRIu32 "\n", m->clock_s);
    }
    for (uint32_t i = 0; i < m->n_runs; i++) {
        (void)fprintf(f, "run %" PRIu64 "\n", m->runs[i]);
    }
    for (uint32_t i = 0; i < m->n_places; i++) {
        (void)fprintf(f, "at %" PRIu32 " %" PRIu32 " %" PRIu64 "\n", m->places[i].epoch,
                      m->places[i].worker, m->places[i].seq);
    }
    (void)fflush(f);
    (void)fprintf(f, "crc %08" PRIx32 "\n", crc32c(0, text, *n));
    if (fclose(f) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

static bool write_next(const char *next, const char *text, size_t n, struct err *e)
{
    FILE *f = write_stream(next, "w");
    bool ok;

    if (f == NULL) {
        return err_errno(e, errno, "%s", next);
    }
    ok = (fwrite(text, 1, n, f) == n && fflush(f) == 0 && fsync(fileno(f)) == 0) ||
         err_errno(e, errno, "%s", next);
    (void)fclose(f);
    return ok;
}

enum manifest_written manifest_write(const struct manifest *m, const char *dir,
                                     struct err *e)
{
    char path[PATH_MAX], next[PATH_MAX];
    size_t n = 0;
    char *text = text_of(m, &n);
    bool ok;

    path_of(dir, "", path);
    path_of(dir, ".new", next);
    if (text == NULL) {
        (void)err_set(e, "%s: out of memory", next);
        return MANIFEST_KEPT;
    }
    ok = write_next(next, text, n, e);
    free(text);
    if (ok && rename(next, path) != 0) {
        ok = err_errno(e, errno, "%s", path);
    }
    return !ok                   ? MANIFEST_KEPT
           : folder_sync(dir, e) ? MANIFEST_WRITTEN
                                 : MANIFEST_UNSURE;
}
