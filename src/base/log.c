#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log_json.h"

enum { LINE_MAX_BYTES = 4096 };

static _Atomic int least_level = LOG_INFO;
static _Atomic bool as_json;

void log_set_level(enum log_level least)
{
    atomic_store(&least_level, (int)least);
}

void log_set_json(bool json)
{
    atomic_store(&as_json, json);
}

/* A log that can't be written has nowhere to say so. */
static void write_line(const char *line, size_t n)
{
    if (write(STDERR_FILENO, line, n) < 0) {
        return;
    }
}

void log_write(enum log_level level, const char *event, const char *fmt, ...)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    char line[LINE_MAX_BYTES];
    struct timespec t;
    struct tm tm;
    size_t n;
    int k;
    va_list ap;

    if ((int)level < atomic_load(&least_level)) {
        return;
    }
    (void)clock_gettime(CLOCK_REALTIME, &t);
    (void)gmtime_r(&t.tv_sec, &tm);
    n = strftime(line, sizeof line, "ts=%Y-%m-%dT%H:%M:%S", &tm);
    k = snprintf(line + n, sizeof line - n, ".%03ldZ level=%s event=%s ",
                 t.tv_nsec / 1000000, names[level], event);
    n += (size_t)k;
    va_start(ap, fmt);
    k = vsnprintf(line + n, sizeof line - n - 1, fmt, ap);
    va_end(ap);
    if (k > 0) {
        n += (size_t)k < sizeof line - n - 1 ? (size_t)k
                                             : sizeof line - n - 2;
    }
    if (atomic_load(&as_json)) {
        char json[6 * LINE_MAX_BYTES + 17];

        n = log_json((struct str){line, n}, json);
        json[n++] = '\n';
        write_line(json, n);
        return;
    }
    line[n++] = '\n';
    write_line(line, n);
}

void log_text(enum log_level level, const char *event, const char *text)
{
    if (!atomic_load(&as_json)) {
        write_line(text, strlen(text));
        return;
    }
    while (*text != '\0') {
        size_t n = strcspn(text, "\n");
        char line[LINE_MAX_BYTES], quoted[LINE_MAX_BYTES];

        (void)snprintf(line, sizeof line, "%.*s", (int)n, text);
        log_write(level, event, "text=%s",
                  log_quote(quoted, sizeof quoted, line));
        text += n + (text[n] == '\n');
    }
}

const char *log_quote(char *out, unsigned long out_bytes, const char *text)
{
    unsigned long o = 0;

    out[o++] = '"';
    for (; *text != '\0' && o + 4 < out_bytes; text++) {
        if (*text == '"' || *text == '\\') {
            out[o++] = '\\';
            out[o++] = *text;
        } else if (*text == '\n') {
            out[o++] = '\\';
            out[o++] = 'n';
        } else {
            out[o++] = (unsigned char)*text < 0x20 ? ' ' : *text;
        }
    }
    out[o++] = '"';
    out[o] = '\0';
    return out;
}
