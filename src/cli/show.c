#include "cli/show.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/text.h"

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

const char *show_rate(char out[SHOW_BYTES], double n)
{
    if (n > 0 && n < 9.95) {
        (void)snprintf(out, SHOW_BYTES, "%.1f", n);
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

void show_tame(char *out, const char *p, size_t n, unsigned char *last)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)p[i];

        if ((c < 0x20 && c != '\n') || c == 0x7F) {
            out[i] = ' ';
        } else if (*last == 0xC2 && c >= 0x80 && c < 0xA0) {
            out[i] = (char)0xA0; /* U+0080 to U+009F: a space that has two bytes too */
        } else {
            out[i] = p[i];
        }
        *last = c;
    }
}

void show_words(FILE *to, const char *text)
{
    char *plain = text_new(TEXT_PLAIN, str_of(text));
    size_t n = strlen(plain);
    unsigned char last = 0;

    if (isatty(fileno(to)) == 1) {
        show_tame(plain, plain, n, &last);
    }
    (void)fputs(plain, to);
    if (n == 0 || plain[n - 1] != '\n') {
        (void)fputc('\n', to);
    }
    free(plain);
}

void show_error(const char *text)
{
    (void)fputs("sluice: ", stderr);
    show_words(stderr, text);
}

bool show_colours(int fd)
{
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

    return isatty(fd) == 1 && (no == NULL || no[0] == '\0') && term != NULL &&
           term[0] != '\0' && strcmp(term, "dumb") != 0;
}
