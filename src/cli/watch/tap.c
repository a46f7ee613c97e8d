/* sluice tap [--route R] [--stream S] [--refused] [--where FIELD=VALUE] ...: events as they
 * pass a running server. */
#include <cjson/cJSON.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "cli/ask.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/show.h"
#include "server/supervisor.h"

enum { QUERY_MAX = 4096, LINE_MOST = 4 << 20 };

struct tap {
    struct ask_options ask;
    char query[QUERY_MAX];
    size_t n;
    uint64_t count, seen; /* count 0: no end */
    bool stranger;
    bool route, stream, where; /* given */
    char *line;                /* that has not come whole yet */
    size_t n_line, room;
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

/* Of two the server would take one: events that the other forbids would be shown. */
static bool is_again(struct tap *t, int o)
{
    bool *given = o == 'r'   ? &t->route
                  : o == 's' ? &t->stream
                  : o == 'w' ? &t->where
                             : NULL;
    bool again = given != NULL && *given;

    if (given != NULL) {
        *given = true;
    }
    return again;
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

/* Each line of a sluice is an object. */
static bool is_object(const char *p, size_t n)
{
    return p[0] == '{' && p[n - 1] == '}';
}

/* {"unknown":"route","name":"POST /v1"}: it is not shown as an event, since the tap may be
 * read by a program. */
static void tell_unknown(const char *p, size_t n)
{
    cJSON *x = cJSON_ParseWithLength(p, n);
    const char *what = cJSON_GetStringValue(cJSON_GetObjectItem(x, "unknown"));
    const char *name = cJSON_GetStringValue(cJSON_GetObjectItem(x, "name"));

    if (what != NULL && name != NULL) {
        show_line(stderr,
                  "sluice: the live policy has no %s \"%s\" now%s: waiting, because a "
                  "reload may bring it",
                  what, name,
                  strcmp(what, "route") == 0 && strchr(name, ' ') == NULL
                      ? " (a route is named with its method: \"POST /v1/events\")"
                      : "");
    }
    cJSON_Delete(x);
}

/* A whole line, with its end; false: that was enough, or the output takes no more. Clients
 * chose the bytes of events. */
static bool on_line(struct tap *t, const char *p, size_t n)
{
    static const char event[] = "{\"time\":"; /* and not {"dropped":N} */
    static const char unknown[] = "{\"unknown\":";

    if (n <= 1) {
        return true; /* a sign of life */
    }
    if (!is_object(p, n - 1)) {
        t->stranger = true;
        return false;
    }
    if (n >= sizeof unknown && memcmp(p, unknown, sizeof unknown - 1) == 0) {
        tell_unknown(p, n);
        return true;
    }
    show_json(stdout, (struct str){p, n});
    if (ferror(stdout) != 0) {
        return false;
    }
    t->seen += n >= sizeof event && memcmp(p, event, sizeof event - 1) == 0;
    return t->count == 0 || t->seen < t->count;
}

/* Only whole lines are written: a stream that ends may end inside one. */
static bool on_bytes(void *arg, const char *p, size_t n)
{
    struct tap *t = arg;

    while (n > 0) {
        const char *end = memchr(p, '\n', n);
        size_t k = end == NULL ? n : (size_t)(end - p) + 1;

        if (t->n_line + k > t->room) {
            t->room = 2 * (t->n_line + k);
            t->line = mem_realloc(t->line, t->room);
        }
        memcpy(t->line + t->n_line, p, k);
        t->n_line += k;
        if (t->n_line > LINE_MOST) {
            t->stranger = true; /* no sluice writes that */
            return false;
        }
        if (end != NULL) {
            if (!on_line(t, t->line, t->n_line)) {
                return false;
            }
            t->n_line = 0;
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
        show_error(e.text);
        return code;
    }
    switch (ask_stream(a, path, on_bytes, t, &e)) {
    case ASK_ENOUGH:
        code = t->stranger ? EXIT_SETUP : EXIT_OK;
        if (t->stranger) {
            (void)ask_stranger(a, &e);
            show_error(e.text);
        }
        break;
    case ASK_REFUSED:
        code = EXIT_POLICY;
        show_error(e.text);
        break;
    case ASK_ENDED:
        show_error(e.text);
        break;
    }
    ask_close(a);
    free(t->line);
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
    struct tap t = {.count = 0};
    bool ok = true;
    int o = 0, i = 0;

    optind = 1;
    while (ok && (o = getopt_long(argc, argv, "", options, &i)) != -1) {
        if (is_again(&t, o)) {
            show_line(stderr, "sluice: --%s stands twice: expected it once",
                      options[i].name);
            return usage_wrong("tap");
        }
        ok = set(&t, o, optarg);
    }
    if (!ok && o != '?' && optarg != NULL) {
        return usage_value("tap", options[i].name, optarg);
    }
    return ok && optind == argc ? watch(&t) : usage_wrong("tap");
}
