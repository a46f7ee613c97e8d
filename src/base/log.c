#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log_json.h"
#include "base/text.h"

enum { LINE_MAX_BYTES = 4096 };

static const char *const names[] = {"debug", "info", "warn", "error"};
static _Atomic int least_level = LOG_INFO;
static _Atomic bool as_json;

void log_set_level(enum log_level least)
{
    atomic_store(&least_level, (int)least);
}

bool log_level_of(const char *word, enum log_level *level)
{
    for (int i = LOG_DEBUG; i <= LOG_ERROR; i++) {
        if (strcmp(word, names[i]) == 0) {
            *level = (enum log_level)i;
            return true;
        }
    }
    return false;
}

void log_set_json(bool json)
{
    atomic_store(&as_json, json);
}

/* A line that was cut inside a quoted value ends with its quote, so that it reads as a
 * quoted value. n bytes of max; one is free after them. */
static size_t close_quote(char *line, size_t n)
{
    bool quoted = false;

    for (size_t i = 0; i < n; i++) {
        if (quoted && line[i] == '\\') {
            if (i + 1 == n) {
                n--; /* half of an escape */
            }
            i++;
        } else {
            quoted ^= line[i] == '"';
        }
    }
    if (quoted) {
        line[n++] = '"';
    }
    return n;
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
    char raw[LINE_MAX_BYTES], line[LINE_MAX_BYTES];
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
    n = strftime(raw, sizeof raw, "ts=%Y-%m-%dT%H:%M:%S", &tm);
    k = snprintf(raw + n, sizeof raw - n, ".%03ldZ level=%s event=%s ",
                 t.tv_nsec / 1000000, names[level], event);
    n += (size_t)k;
    va_start(ap, fmt);
    k = vsnprintf(raw + n, sizeof raw - n, fmt, ap);
    va_end(ap);
    if (k > 0) {
        n += (size_t)k < sizeof raw - n ? (size_t)k : sizeof raw - n - 1;
    }
    /* A word that no caller has quoted may hold anything all the same. */
    n = text_write(TEXT_LINE, (struct str){raw, n}, line, sizeof line - 2);
    n = close_quote(line, n);
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
        char *out = text_new(TEXT_PLAIN, str_of(text));

        write_line(out, strlen(out));
        free(out);
        return;
    }
    while (*text != '\0') {
        size_t n = strcspn(text, "\n");
        char line[LINE_MAX_BYTES], quoted[LINE_MAX_BYTES];

        (void)snprintf(line, sizeof line, "%.*s", (int)n, text);
        log_write(level, event, "text=%s", log_quote(quoted, sizeof quoted, line));
        text += n + (text[n] == '\n');
    }
}

const char *log_quote(char *out, unsigned long out_bytes, const char *text)
{
    size_t n = text_write(TEXT_LOG, str_of(text), out + 1, out_bytes - 3);

    out[0] = out[n + 1] = '"';
    out[n + 2] = '\0';
    return out;
}
