#include "index/fields.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/read.h"
#include "base/write.h"

enum {
    CRC_LINE_BYTES = 13,                 /* "crc 0a1b2c3d\n" */
    LINE_BYTES = INDEX_ESCAPED_MAX + 32, /* "policy 0123456789abcdef PATH\n" */
    FILE_BYTES = INDEX_FIELDS_MAX * LINE_BYTES + INDEX_FIELD_MAX + CRC_LINE_BYTES + 1
};

/* ---- the list ---- */

void index_fields_note(struct index_fields *f, uint64_t policy8, const char *path)
{
    uint32_t i = 0;

    while (i < f->n && f->list[i].policy8 != policy8) {
        i++;
    }
    if (i == f->n && f->n == INDEX_FIELDS_MAX) {
        i = 0;
    }
    if (i < f->n) {
        memmove(&f->list[i], &f->list[i + 1], (--f->n - i) * sizeof f->list[0]);
    }
    f->list[f->n].policy8 = policy8;
    (void)snprintf(f->list[f->n++].path, sizeof f->list[0].path, "%s", path);
}

const char *index_fields_of(const struct index_fields *f, uint64_t policy8)
{
    for (uint32_t i = f->n; i-- > 0 && policy8 != 0;) {
        if (f->list[i].policy8 == policy8) {
            return f->list[i].path;
        }
    }
    return NULL;
}

/* ---- paths ---- */

void index_field_escape(char out[INDEX_ESCAPED_MAX], const char *path)
{
    size_t n = 0;

    for (const char *c = path; *c != '\0' && n + 4 < INDEX_ESCAPED_MAX; c++) {
        if ((unsigned char)*c < ' ' || *c == '%' || *c == 0x7f) {
            n += (size_t)snprintf(out + n, 4, "%%%02x", (unsigned)(unsigned char)*c);
        } else {
            out[n++] = *c;
        }
    }
    out[n] = '\0';
}

static int hex(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool index_field_unescape(char out[INDEX_FIELD_MAX], const char *text)
{
    size_t n = 0;

    for (; *text != '\0' && n < INDEX_FIELD_MAX - 1; text++) {
        if (*text == '%') {
            const int high = hex(text[1]), low = high < 0 ? -1 : hex(text[2]);

            if (low < 0 || high + low == 0) {
                return false;
            }
            out[n++] = (char)(high * 16 + low);
            text += 2;
        } else {
            out[n++] = *text;
        }
    }
    out[n] = '\0';
    return *text == '\0' && n > 0;
}

/* ---- in ---- */

static bool take_line(struct index_fields *f, const char *line)
{
    char path[INDEX_FIELD_MAX];
    uint64_t policy8;
    int n = 0;

    if (sscanf(line, "policy %16" SCNx64 "%n", &policy8, &n) != 1 || line[n] != ' ' ||
        !index_field_unescape(path, line + n + 1)) {
        return false;
    }
    index_fields_note(f, policy8, path);
    return true;
}

/* Of the lines after the first. False: they are damaged. */
static bool take_lines(struct index_fields *f, char *text, size_t n)
{
    char last[CRC_LINE_BYTES + 1], *rest, *line = strchr(text, '\n');
    bool ok;

    if (line == NULL || n < CRC_LINE_BYTES || strlen(text) != n) {
        return false;
    }
    n -= CRC_LINE_BYTES;
    (void)snprintf(last, sizeof last, "crc %08" PRIx32 "\n", crc32c(0, text, n));
    ok = memcmp(text + n, last, CRC_LINE_BYTES) == 0 && line < text + n;
    text[n] = '\0';
    for (line = ok ? strtok_r(line, "\n", &rest) : NULL; ok && line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        ok = take_line(f, line);
    }
    return ok;
}

static void parse(struct index_fields *f, char *text, size_t n)
{
    char now[INDEX_FIELD_MAX];

    (void)snprintf(now, sizeof now, "%.*s", (int)strcspn(text, "\n"), text);
    if (!take_lines(f, text, n)) {
        f->n = 0;
        if (now[0] != '\0') {
            index_fields_note(f, 0, now);
        }
    }
}

void index_fields_read(struct index_fields *f, const char *file)
{
    const int fd = open(file, O_RDONLY | O_CLOEXEC);
    char *text;
    ssize_t n;

    f->n = 0;
    if (fd < 0) {
        return;
    }
    text = mem_alloc(FILE_BYTES);
    n = read_at(fd, text, FILE_BYTES - 1, 0);
    text[n < 0 ? 0 : n] = '\0';
    parse(f, text, n < 0 ? 0 : (size_t)n);
    free(text);
    (void)close(fd);
}

/* ---- out ---- */

static size_t text_of(const struct index_fields *f, char *out)
{
    char path[INDEX_ESCAPED_MAX];
    const char *now = f->n == 0 ? "" : f->list[f->n - 1].path;
    size_t n =
        (size_t)snprintf(out, FILE_BYTES, "%.*s\n", (int)strcspn(now, "\n"), now);

    for (uint32_t i = 0; i < f->n; i++) {
        index_field_escape(path, f->list[i].path);
        n += (size_t)snprintf(out + n, FILE_BYTES - n, "policy %016" PRIx64 " %s\n",
                              f->list[i].policy8, path);
    }
    return n + (size_t)snprintf(out + n, FILE_BYTES - n, "crc %08" PRIx32 "\n",
                                crc32c(0, out, n));
}

bool index_fields_write(const struct index_fields *f, const char *file, struct err *e)
{
    char *text = mem_alloc(FILE_BYTES);
    const size_t n = text_of(f, text);
    const bool ok = write_replace(file, text, n, e);

    free(text);
    return ok;
}
