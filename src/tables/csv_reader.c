#include "tables/csv_reader.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"

/* Of the buffer. A row that begins in it is in it as a whole. */
enum { BUFFER_BYTES = 4 * CSV_ROW_BYTES_MAX };

void csv_reader_tell(struct csv_reader *r, uint32_t line, const char *text)
{
    if (r->n_problems < CSV_PROBLEMS_MAX) {
        r->problem(r->problem_arg, line, text);
    } else if (r->n_problems == CSV_PROBLEMS_MAX) {
        r->problem(r->problem_arg, line, "and there are more mistakes from here on");
    }
    r->n_problems++;
}

void csv_reader_init(struct csv_reader *r, char delimiter, csv_more_fn *more,
                     void *more_arg, csv_problem_fn *problem, void *problem_arg)
{
    *r = (struct csv_reader){.more = more,
                             .more_arg = more_arg,
                             .problem = problem,
                             .problem_arg = problem_arg,
                             .delimiter = delimiter,
                             .line = 1,
                             .buf = mem_alloc(BUFFER_BYTES)};
    r->p = r->end = r->buf;
}

void csv_reader_fini(struct csv_reader *r)
{
    free(r->buf);
    r->buf = NULL;
}

/* Enough for the longest row, unless the source has less. False: error is set. */
static bool fill(struct csv_reader *r)
{
    size_t left = (size_t)(r->end - r->p);

    if (r->ended || left > CSV_ROW_BYTES_MAX) {
        return true;
    }
    memmove(r->buf, r->p, left);
    r->p = r->buf;
    r->end = r->buf + left;
    while (!r->ended && r->end < r->buf + BUFFER_BYTES) {
        ssize_t n =
            r->more(r->more_arg, r->end, (size_t)(r->buf + BUFFER_BYTES - r->end));

        if (n < 0) {
            r->error = errno;
            return false;
        }
        r->ended = n == 0;
        r->end += n;
    }
    return true;
}

/* Also by a CR that is the file's last byte: its LF was cut. */
static bool line_ends(const struct csv_reader *r)
{
    return r->p == r->end || *r->p == '\n' ||
           (*r->p == '\r' && (r->p + 1 < r->end ? r->p[1] == '\n' : r->ended));
}

/* The text of a cell is moved together where quotes are left out; *to is its end. p is
 * behind the opening quote. False: it is never closed. */
static bool read_quoted(struct csv_reader *r, char **to)
{
    for (; r->p < r->end; r->p++) {
        if (*r->p == '"') {
            r->p++;
            if (r->p == r->end || *r->p != '"') {
                return true;
            }
        }
        r->line += *r->p == '\n';
        *(*to)++ = *r->p;
    }
    return false;
}

static struct str read_cell(struct csv_reader *r)
{
    uint32_t line = r->line;
    char *from = r->p, *to;

    if (r->p < r->end && *r->p == '"') {
        to = ++from;
        r->p++;
        if (!read_quoted(r, &to)) {
            csv_reader_tell(r, line, "a quote is not closed");
        } else if (!line_ends(r) && *r->p != r->delimiter) {
            csv_reader_tell(r, r->line, "text behind a closing quote");
            while (!line_ends(r) && *r->p != r->delimiter) {
                r->p++;
            }
        }
    } else {
        while (!line_ends(r) && *r->p != r->delimiter) {
            r->p++;
        }
        to = r->p;
    }
    if (to - from > CSV_CELL_BYTES_MAX) {
        csv_reader_tell(r, line, "a field is longer than 65535 bytes");
    }
    return (struct str){from, (size_t)(to - from)};
}

/* The cells of a line; their number, of which the first are in cells. p is behind the
 * line afterwards. */
static uint32_t read_line(struct csv_reader *r)
{
    uint32_t n = 0;

    r->row_line = r->line;
    for (;;) {
        struct str cell = read_cell(r);

        if (n < CSV_COLUMNS_MAX) {
            r->cells[n] = cell;
        }
        n++;
        if (line_ends(r)) {
            break;
        }
        r->p++; /* the delimiter */
    }
    if (r->p < r->end) {
        r->p += *r->p == '\r' && r->p + 1 < r->end ? 2 : 1;
    }
    r->line++;
    return n;
}

/* False: the line that begins at p does not end in the buffer. */
static bool is_whole(struct csv_reader *r, const char *from)
{
    if ((r->ended || r->p < r->end) && r->p - from <= CSV_ROW_BYTES_MAX) {
        return true;
    }
    csv_reader_tell(r, r->row_line,
                    r->carriage_returns
                        ? "the lines end with CR alone; expected LF or CR LF"
                        : "a line is longer than 1 MiB");
    r->p = r->end;
    r->ended = true;
    return false;
}

static bool is_utf8(struct str s)
{
    const char *end = s.p + s.n;

    for (const char *p = s.p; p < end;) {
        uint64_t word;
        unsigned n;

        if (end - p >= 8) {
            memcpy(&word, p, 8);
            if ((word & 0x8080808080808080u) == 0) {
                p += 8;
                continue;
            }
        }
        n = (unsigned char)*p < 0x80 ? 1 : utf8_char(p, end);
        if (n == 0) {
            return false;
        }
        p += n;
    }
    return true;
}

static void check_utf8(struct csv_reader *r, uint32_t n_cells)
{
    for (uint32_t i = 0; i < n_cells && i < CSV_COLUMNS_MAX; i++) {
        if (!is_utf8(r->cells[i])) {
            csv_reader_tell(r, r->row_line, "not UTF-8");
            return;
        }
    }
}

bool csv_reader_header(struct csv_reader *r)
{
    const char *from;

    if (!fill(r)) {
        return false;
    }
    if (r->end - r->p >= 3 && memcmp(r->p, "\xEF\xBB\xBF", 3) == 0) {
        r->p += 3;
    }
    if (r->p == r->end) {
        csv_reader_tell(r, 1, "the file is empty: its first line names the columns");
        return false;
    }
    from = r->p;
    r->carriage_returns = memchr(from, '\r', (size_t)(r->end - from)) != NULL &&
                          memchr(from, '\n', (size_t)(r->end - from)) == NULL;
    r->n_columns = read_line(r);
    if (!is_whole(r, from)) {
        return false;
    }
    if (r->n_columns < 2 || r->n_columns > CSV_COLUMNS_MAX) {
        csv_reader_tell(r, 1,
                        r->n_columns < 2 ? "one column only: a key and a value at least"
                                         : "more than 64 columns");
        return false;
    }
    check_utf8(r, r->n_columns);
    for (uint32_t i = 0; i < r->n_columns; i++) {
        for (uint32_t k = 0; k < i; k++) {
            if (str_eq(r->cells[i], r->cells[k])) {
                csv_reader_tell(r, 1, "two columns have one name");
                return false;
            }
        }
    }
    return true;
}

/* A row whose number of cells is wrong; when it has told something else before, the
 * number says nothing more. */
static void tell_number(struct csv_reader *r, uint32_t n, uint32_t told_before)
{
    char text[120];

    if (r->n_problems == told_before) {
        (void)snprintf(text, sizeof text, "%u field%s, the first line has %u", n,
                       n == 1 ? "" : "s", r->n_columns);
        csv_reader_tell(r, r->row_line, text);
    }
}

bool csv_reader_row(struct csv_reader *r)
{
    while (fill(r) && r->p < r->end) {
        uint32_t told = r->n_problems, n;
        const char *from = r->p;

        n = read_line(r);
        if (!is_whole(r, from)) {
            return false;
        }
        if (n == 1 && r->cells[0].n == 0) {
            continue; /* an empty line */
        }
        check_utf8(r, n);
        if (n == r->n_columns) {
            return true;
        }
        tell_number(r, n, told);
    }
    return false;
}
