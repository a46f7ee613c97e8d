/* sluice tap [--route R] [--stream S] [--refused] [--where FIELD=VALUE] ...: events as they
 * pass a running server. */
#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "cli/ask.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/show.h"
#include "server/supervisor.h"

enum { QUERY_MAX = 4096 };

struct tap {
    struct ask_options ask;
    char query[QUERY_MAX];
    size_t n;
    uint64_t count, seen; /* count 0: no end */
    bool mid_line, dropped, terminal;
    unsigned char last; /* byte of the terminal's text */
};

/* ---- the arguments ---- */

/* "&name=value"; value NULL: "&name". False: it is too long. */
static bool add(struct tap *t, const char *name, const char *value, size_t n)
{
    static const char hex[] = "0123456789ABCDEF";
    char *out = t->query;

    if (t->n + strlen(name) + 3 * n + 4 > sizeof t->query) {
        return false;
    }
    t->n += (size_t)snprintf(out + t->n, sizeof t->query - t->n, "%c%s%s",
                             t->n == 0 ? '?' : '&', name, value == NULL ? "" : "=");
    for (size_t i = 0; value != NULL && i < n; i++) {
        unsigned char c = (unsigned char)value[i];

        if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
            (c >= 'A' && c <= 'Z')) {
            out[t->n++] = (char)c;
        } else {
            out[t->n++] = '%';
            out[t->n++] = hex[c >> 4];
            out[t->n++] = hex[c & 15];
        }
    }
    out[t->n] = '\0';
    return true;
}

static bool add_text(struct tap *t, const char *name, const char *value)
{
    return value[0] != '\0' && add(t, name, value, strlen(value));
}

/* "user.id=7" */
static bool add_where(struct tap *t, const char *text)
{
    const char *eq = strchr(text, '=');

    return eq != NULL && eq != text && eq[1] != '\0' &&
           add(t, "field", text, (size_t)(eq - text)) && add_text(t, "value", eq + 1);
}

/* "1%" or "0.01" */
static bool add_sample(struct tap *t, const char *text)
{
    char *end, share[32];
    double x = strtod(text, &end);

    if (end == text || (strcmp(end, "%") != 0 && *end != '\0')) {
        return false;
    }
    x = *end == '%' ? x / 100 : x;
    (void)snprintf(share, sizeof share, "%.9f", x);
    return x >= 1e-9 && x <= 1 && add_text(t, "sample", share);
}

static bool set_count(struct tap *t, const char *text)
{
    char *end;

    t->count = strtoull(text, &end, 10);
    return text[0] >= '1' && text[0] <= '9' && *end == '\0';
}

static bool set(struct tap *t, int o, const char *value)
{
    switch (o) {
    case 'r':
        return add_text(t, "route", value);
    case 's':
        return add_text(t, "stream", value);
    case 'f':
        return add(t, "refused", NULL, 0);
    case 'w':
        return add_where(t, value);
    case 'p':
        return add_sample(t, value);
    case 'b':
        return add(t, "raw", NULL, 0);
    case 'n':
        return set_count(t, value);
    default:
        return ask_option(&t->ask, o, value);
    }
}

/* ---- the stream ---- */

/* Clients chose these bytes: a terminal gets none that it obeys, a pipe gets them as they
 * are. */
static bool put(struct tap *t, const char *p, size_t n)
{
    char tame[1024];

    if (!t->terminal) {
        return fwrite(p, 1, n, stdout) == n;
    }
    while (n > 0) {
        size_t k = n < sizeof tame ? n : sizeof tame;

        show_tame(tame, p, k, &t->last);
        if (fwrite(tame, 1, k, stdout) != k) {
            return false;
        }
        p += k;
        n -= k;
    }
    return true;
}

/* Writes what came up to the end of its line; false: that was enough. */
static bool on_bytes(void *arg, const char *p, size_t n)
{
    struct tap *t = arg;

    while (n > 0) {
        const char *end = memchr(p, '\n', n);
        size_t k = end == NULL ? n : (size_t)(end - p) + 1;

        if (t->mid_line || k > 1 || *p != '\n') { /* an empty line is a sign of life */
            t->dropped = t->mid_line ? t->dropped : k > 3 && memcmp(p, "{\"d", 3) == 0;
            if (!put(t, p, k)) {
                return false;
            }
            t->seen += end != NULL && !t->dropped;
        }
        t->mid_line = end == NULL;
        if (t->count > 0 && t->seen == t->count) {
            return false;
        }
        p += k;
        n -= k;
    }
    return fflush(stdout) == 0;
}

static int watch(struct tap *t)
{
    struct err e;
    struct ask *a = ask_open(&t->ask, &e);
    char path[QUERY_MAX + 8];
    int code = EXIT_SETUP;

    (void)snprintf(path, sizeof path, "/tap%s", t->query);
    if (a == NULL) {
        (void)fprintf(stderr, "sluice: %s\n", e.text);
        return code;
    }
    switch (ask_stream(a, path, on_bytes, t, &e)) {
    case ASK_ENOUGH:
        code = EXIT_OK;
        break;
    case ASK_REFUSED:
        code = EXIT_POLICY;
        (void)fprintf(stderr, "sluice: %s\n", e.text);
        break;
    case ASK_ENDED:
        (void)fprintf(stderr, "sluice: %s\n", e.text);
        break;
    }
    ask_close(a);
    return code;
}

int cli_tap(int argc, char **argv)
{
    static const struct option options[] = {ASK_GETOPT,
                                            {"route", required_argument, NULL, 'r'},
                                            {"stream", required_argument, NULL, 's'},
                                            {"refused", no_argument, NULL, 'f'},
                                            {"where", required_argument, NULL, 'w'},
                                            {"sample", required_argument, NULL, 'p'},
                                            {"raw", no_argument, NULL, 'b'},
                                            {"count", required_argument, NULL, 'n'},
                                            {NULL, 0, NULL, 0}};
    struct tap t = {.terminal = isatty(STDOUT_FILENO) == 1};
    bool ok = true;
    int o;

    optind = 1;
    while (ok && (o = getopt_long(argc, argv, "", options, NULL)) != -1) {
        ok = set(&t, o, optarg);
    }
    return ok && optind == argc ? watch(&t) : usage_wrong("tap");
}
