#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log_json.h"
#include "base/text.h"

enum { LINE_MAX_BYTES = 4096, OUT_MAX_BYTES = 6 * LINE_MAX_BYTES + 17 };

/* How long the first line waits for a reader that does not read, and the rest of one that
 * a pipe does not take at once: of a start, whose lines say why it fails, and later. */
enum { START_MS = 1000, WAIT_MS = 10, REST_MS = 5 };

#define TELL_NS 10000000000ull

static const char *const names[] = {"debug", "info", "warn", "error"};
static _Atomic int least_level = LOG_INFO;
static _Atomic bool as_json;
static _Atomic int longest_ms; /* that a line waits; 0: for as long as it takes */

/* Of a log that does not wait for ever; under the lock. */
static struct {
    pthread_mutex_t lock;
    int fd;       /* standard error, of which no write waits if that can be had */
    bool socket;  /* it is one */
    bool stalled; /* the last line was not taken */
    bool torn;    /* or not all of it */
    uint64_t untold, told_ns;
} out = {.lock = PTHREAD_MUTEX_INITIALIZER, .fd = STDERR_FILENO};

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

/* A line with its newline. */
static size_t make_line(char text[OUT_MAX_BYTES], enum log_level level,
                        const char *event, const char *fmt, va_list ap)
{
    char raw[LINE_MAX_BYTES], line[LINE_MAX_BYTES];
    struct timespec t;
    struct tm tm;
    size_t n;
    int k;

    (void)clock_gettime(CLOCK_REALTIME, &t);
    (void)gmtime_r(&t.tv_sec, &tm);
    n = strftime(raw, sizeof raw, "ts=%Y-%m-%dT%H:%M:%S", &tm);
    k = snprintf(raw + n, sizeof raw - n, ".%03ldZ level=%s event=%s ",
                 t.tv_nsec / 1000000, names[level], event);
    n += (size_t)k;
    k = vsnprintf(raw + n, sizeof raw - n, fmt, ap);
    if (k > 0) {
        n += (size_t)k < sizeof raw - n ? (size_t)k : sizeof raw - n - 1;
    }
    /* A word that no caller has quoted may hold anything all the same. */
    n = text_write(TEXT_LINE, (struct str){raw, n}, line, sizeof line - 2);
    n = close_quote(line, n);
    if (atomic_load(&as_json)) {
        n = log_json((struct str){line, n}, text);
    } else {
        memcpy(text, line, n);
    }
    text[n++] = '\n';
    return n;
}

/* ---- standard error ---- */

static bool takes(int wait_ms)
{
    struct pollfd p = {out.fd, POLLOUT, 0};
    int n;

    do {
        n = poll(&p, 1, wait_ms);
    } while (n < 0 && errno == EINTR);
    return n > 0;
}

static ssize_t write_part(const char *p, size_t n)
{
    ssize_t k;

    do {
        k = out.socket ? send(out.fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL)
                       : write(out.fd, p, n);
    } while (k < 0 && errno == EINTR);
    return k;
}

/* In parts that a pipe with room takes without a wait. */
static bool put(const char *p, size_t n)
{
    const int longest = atomic_load(&longest_ms);
    int wait_ms = out.stalled ? 0 : longest;
    size_t from = 0;

    while (from < n && takes(wait_ms)) {
        ssize_t k = write_part(p + from, n - from < PIPE_BUF ? n - from : PIPE_BUF);

        if (k < 0) {
            break;
        }
        from += (size_t)k;
        wait_ms = longest == START_MS ? START_MS : REST_MS;
    }
    out.stalled = from < n;
    out.torn |= from > 0 && from < n;
    return from == n;
}

/* The end of a line that was cut. */
static bool mend(void)
{
    if (out.torn && put("\n", 1)) {
        out.torn = false;
    }
    return !out.torn;
}

static size_t tell_line(char text[OUT_MAX_BYTES], const char *fmt, ...)
{
    size_t n;
    va_list ap;

    va_start(ap, fmt);
    n = make_line(text, LOG_WARN, "log", fmt, ap);
    va_end(ap);
    return n;
}

static void tell(uint64_t now)
{
    char text[OUT_MAX_BYTES];
    size_t n = tell_line(
        text, "status=dropped lines=%lu why=\"standard error did not take them\"",
        (unsigned long)out.untold);

    if (mend() && put(text, n)) {
        out.untold = 0;
        out.told_ns = now;
    }
}

static uint64_t n_lines(const char *p, size_t n)
{
    uint64_t lines = 0;

    for (size_t i = 0; i < n; i++) {
        lines += p[i] == '\n';
    }
    return lines;
}

/* One line, or a report. A log that waits and can't be written has nowhere to say so. */
static void write_lines(const char *text, size_t n)
{
    uint64_t now;

    if (atomic_load(&longest_ms) == 0) {
        (void)!write(STDERR_FILENO, text, n);
        return;
    }
    now = clock_mono_ns();
    (void)pthread_mutex_lock(&out.lock);
    if (out.untold > 0 && (out.told_ns == 0 || now - out.told_ns >= TELL_NS)) {
        tell(now);
    }
    if (!mend() || !put(text, n)) {
        out.untold += n_lines(text, n);
    }
    (void)pthread_mutex_unlock(&out.lock);
}

/* A terminal with room for one byte says that it can be written, and then waits for room
 * for all. O_NONBLOCK on standard error itself would be the shell's, too. A file is not
 * opened again: its place is shared. */
void log_prepare(void)
{
    struct stat st = {.st_mode = 0};
    int fd;

    (void)fstat(STDERR_FILENO, &st);
    out.socket = S_ISSOCK(st.st_mode);
    if (S_ISCHR(st.st_mode) || S_ISFIFO(st.st_mode)) {
        fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        out.fd = fd < 0 ? STDERR_FILENO : fd;
    }
    atomic_store(&longest_ms, START_MS);
}

void log_never_wait(void)
{
    atomic_store(&longest_ms, WAIT_MS);
}

void log_end(void)
{
    (void)pthread_mutex_lock(&out.lock);
    if (out.untold > 0) {
        out.stalled = false; /* the last chance is worth another 10 ms */
        tell(clock_mono_ns());
    }
    (void)pthread_mutex_unlock(&out.lock);
}

void log_write(enum log_level level, const char *event, const char *fmt, ...)
{
    char text[OUT_MAX_BYTES];
    size_t n;
    va_list ap;

    if ((int)level < atomic_load(&least_level)) {
        return;
    }
    va_start(ap, fmt);
    n = make_line(text, level, event, fmt, ap);
    va_end(ap);
    write_lines(text, n);
}

void log_text(enum log_level level, const char *event, const char *text)
{
    if (!atomic_load(&as_json)) {
        char *plain = text_new(TEXT_PLAIN, str_of(text));

        write_lines(plain, strlen(plain));
        free(plain);
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

const char *log_quote(char *quoted, unsigned long bytes, const char *text)
{
    size_t n = text_write(TEXT_LOG, str_of(text), quoted + 1, bytes - 3);

    quoted[0] = quoted[n + 1] = '"';
    quoted[n + 2] = '\0';
    return quoted;
}

const char *log_word(char *quoted, unsigned long bytes, const char *text)
{
    bool word =
        text[0] != '\0' && strchr(text, ' ') == NULL && text_is_plain(str_of(text));

    return word ? text : log_quote(quoted, bytes, text);
}
