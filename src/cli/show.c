#include "cli/show.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "base/utf8.h"

static const char *scaled(char out[SHOW_BYTES], double n, double step,
                          const char *const units[5])
{
    size_t i = 0;

    /* What would round up to a step is 1 of the next. */
    while (n >= step - .5 && i < 4) {
        n /= step;
        i++;
    }
    (void)snprintf(out, SHOW_BYTES, i > 0 && n < 99.95 ? "%.1f%s" : "%.0f%s", n,
                   units[i]);
    return out;
}

const char *show_count(char out[SHOW_BYTES], double n)
{
    static const char *const units[5] = {"", " k", " M", " G", " T"};

    return scaled(out, n, 1000, units);
}

const char *show_s(double n)
{
    return n == 1 ? "" : "s";
}

const char *show_rate(char out[SHOW_BYTES], double n)
{
    if (n > 0 && n < .005) {
        (void)snprintf(out, SHOW_BYTES, "<0.01"); /* it is not nothing */
        return out;
    }
    if (n > 0 && n < 9.95) {
        (void)snprintf(out, SHOW_BYTES, n < .095 ? "%.2f" : "%.1f", n);
        return out;
    }
    return show_count(out, n);
}

const char *show_bytes(char out[SHOW_BYTES], double n)
{
    static const char *const units[5] = {" B", " KiB", " MiB", " GiB", " TiB"};

    return scaled(out, n, 1024, units);
}

const char *show_seconds(char out[SHOW_BYTES], double s)
{
    static const struct {
        double seconds;
        const char *name;
    } units[] = {{86400, "d"}, {3600, "h"}, {60, "min"}};

    if (s < 1) {
        (void)snprintf(out, SHOW_BYTES, "%.0f ms", s * 1000);
        return out;
    }
    for (size_t i = 0; i < N_ELEMS(units); i++) {
        long whole = (long)(s / units[i].seconds);
        long rest =
            i + 1 < N_ELEMS(units)
                ? (long)((s - (double)whole * units[i].seconds) / units[i + 1].seconds)
                : 0;

        if (whole > 0 && rest > 0) {
            (void)snprintf(out, SHOW_BYTES, "%ld %s %ld %s", whole, units[i].name, rest,
                           units[i + 1].name);
            return out;
        }
        if (whole > 0) {
            (void)snprintf(out, SHOW_BYTES, "%ld %s", whole, units[i].name);
            return out;
        }
    }
    (void)snprintf(out, SHOW_BYTES, "%.0f s", s);
    return out;
}

size_t show_fit(const char *text, size_t columns)
{
    size_t n = 0, used = 0;

    while (text[n] != '\0') {
        size_t next = n + 1;

        while (((unsigned char)text[next] & 0xC0) == 0x80) {
            next++;
        }
        used += next - n >= 3 ? 2 : 1;
        if (used > columns) {
            break;
        }
        n = next;
    }
    return n;
}

/* ---- texts of others ---- */

static void put(FILE *to, const char *fmt, va_list ap)
{
    char *text, *line;

    if (to == stderr) {
        (void)fflush(stdout); /* in one order where both go to one place */
    }
    if (vasprintf(&text, fmt, ap) < 0) {
        abort(); /* as mem_alloc would */
    }
    line = text_new(TEXT_LINE, str_of(text));
    (void)fputs(line, to);
    free(line);
    free(text);
}

void show_part(FILE *to, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    put(to, fmt, ap);
    va_end(ap);
}

void show_line(FILE *to, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    put(to, fmt, ap);
    va_end(ap);
    (void)fputc('\n', to);
}

void show_words(FILE *to, const char *text)
{
    if (to == stderr) {
        (void)fflush(stdout);
    }
    do {
        size_t n = strcspn(text, "\n");
        char *line = text_new(TEXT_LINE, (struct str){text, n});

        (void)fprintf(to, "%s\n", line);
        free(line);
        text += n + (text[n] == '\n');
    } while (*text != '\0');
}

void show_error(const char *text)
{
    show_line(stderr, "sluice: %s", text);
}

/* The first character of p .. end - 1, of which *n bytes are read, as JSON may have it. */
static const char *escaped(const char *p, const char *end, size_t *n, char out[8])
{
    unsigned char c = (unsigned char)*p;

    *n = 1;
    if (c >= 0x80) {
        *n = utf8_char(p, end);
        if (*n == 0) {
            *n = 1;
            return "\xEF\xBF\xBD"; /* part of no character */
        }
        c = *n == 2 && c == 0xC2 ? (unsigned char)p[1] : 0xFF;
    }
    if ((c >= ' ' && c < 0x7F) || c >= 0xA0 || c == '\n' || c == '\t') {
        (void)snprintf(out, 8, "%.*s", (int)*n, p);
    } else {
        (void)snprintf(out, 8, "\\u%04x", c); /* also U+0080 to U+009F: commands */
    }
    return out;
}

static bool is_plain(char c)
{
    return (c >= ' ' && c < 0x7F) || c == '\n' || c == '\t';
}

void show_json(FILE *to, struct str json)
{
    const char *p = json.p, *end = json.p + json.n;
    char out[8];
    size_t n;

    while (p < end) {
        for (n = 0; p + n < end && is_plain(p[n]); n++) {
        }
        (void)fwrite(p, 1, n, to);
        p += n;
        if (p < end) {
            (void)fputs(escaped(p, end, &n, out), to);
            p += n;
        }
    }
    if (json.n == 0 || end[-1] != '\n') {
        (void)fputc('\n', to);
    }
}

bool show_colours(int fd)
{
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

    return isatty(fd) == 1 && (no == NULL || no[0] == '\0') && term != NULL &&
           term[0] != '\0' && strcmp(term, "dumb") != 0;
}
