/* sluice top: a running server's facts, drawn again and again. */
#include <cjson/cJSON.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/units.h"
#include "cli/ask.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/show.h"
#include "cli/watch/screen.h"
#include "cli/watch/sight.h"
#include "cli/watch/status.h"
#include "cli/watch/terminal.h"
#include "server/supervisor.h"

enum { EVERY_MS = 1000, EVERY_LEAST_MS = 50, EVERY_MOST_MS = 3600000, WAIT_MS = 3000 };
enum { FIRST_MS = 250 }; /* between the first two looks: one alone has no rates */

struct top {
    struct ask *ask;
    struct sight sight;
    struct screen_options options;
    struct err e;   /* of the last look */
    unsigned looks; /* that succeeded */
    bool answers;   /* the last one did */
    bool paused;    /* the picture stands */
    bool quit;      /* its user wants the end */
    bool colours;
    bool at_part; /* the part that was asked for is in sight, whatever is wrong */
    bool above;   /* what is wrong stands above the first line that is drawn */
    size_t from;  /* that line */
    char *frame;
    size_t n, room;
};

static void put(struct top *t, const char *p, size_t n)
{
    if (n > t->room - t->n) {
        t->room = 2 * t->room + n;
        t->frame = mem_realloc(t->frame, t->room);
    }
    memcpy(t->frame + t->n, p, n);
    t->n += n;
}

static void put_z(struct top *t, const char *z)
{
    put(t, z, strlen(z));
}

/* As much of a line as has room. */
static void put_cut(struct top *t, const char *text, int columns)
{
    put(t, text, show_fit(text, (size_t)columns));
}

static void put_line(struct top *t, enum screen_tone tone, const char *text,
                     int columns)
{
    /* First: after a line that fills its row the last character would go, too. */
    put_z(t, "\033[K");
    put_z(t, screen_begin(tone, t->colours));
    put_cut(t, text, columns);
    put_z(t, screen_end(tone, t->colours));
    put_z(t, "\r\n");
}

/* The last line, in which nothing scrolls; all below goes. */
static void put_help(struct top *t, int columns)
{
    static const char *const views[N_VIEWS] = {"all", "clients", "refusals", "sinks",
                                               "policy"};
    static const char *const orders[N_ORDERS] = {"name", "backlog", "rate"};
    char text[256];

    (void)snprintf(
        text, sizeof text,
        "%s%s%s[%s, by %s] q quit a all c clients r refusals k sinks p policy s "
        "sort space pause",
        t->answers ? "" : "NO ANSWER ", t->paused ? "PAUSED " : "",
        t->above ? "WRONG above " : "", views[t->options.view],
        orders[t->options.order]);
    put_z(t, "\033[J");
    put_z(t, screen_begin(TONE_FAINT, t->colours));
    put_cut(t, text, columns);
    put_z(t, screen_end(TONE_FAINT, t->colours));
}

/* What is wrong, and that all below was true at another time. */
static size_t put_no_answer(struct top *t, size_t rows, int columns)
{
    char *text = text_new(TEXT_LINE, str_of(t->e.text));
    char age[SHOW_BYTES], old[64];

    put_line(t, TONE_BAD, text, columns);
    free(text);
    if (rows > 1 && t->looks > 1) {
        (void)snprintf(
            old, sizeof old, "this is of %s ago:",
            show_seconds(age, (double)(clock_mono_ns() - t->sight.now_ns) / 1e9));
        put_line(t, TONE_BAD, old, columns);
        return rows - 2;
    }
    return rows - 1;
}

static bool draw(struct top *t)
{
    struct terminal_size size = terminal_size();
    size_t rows = (size_t)size.rows - 1; /* the last one is the help's */
    struct screen s = {0};

    t->n = 0;
    t->options.columns = (size_t)size.columns;
    put_z(t, "\033[H");
    if (!t->answers && rows > 0) {
        rows = put_no_answer(t, rows, size.columns);
    }
    if (t->looks > 1) { /* of one alone all since the start would be of now */
        cJSON *facts = sight_facts(&t->sight);

        screen_facts(&s, facts, &t->options);
        cJSON_Delete(facts);
    }
    if (t->at_part) {
        t->from = s.part + 1;
    }
    if (t->from + rows > s.n) {
        t->from = s.n > rows ? s.n - rows : 0;
    }
    t->above = false;
    for (size_t i = 0; i < s.n && i < t->from; i++) {
        t->above |= s.list[i].tone == TONE_BAD;
    }
    for (size_t i = t->from; i < s.n && i < t->from + rows; i++) {
        put_line(t, s.list[i].tone, s.list[i].text, size.columns);
    }
    screen_free(&s);
    put_help(t, size.columns);
    return terminal_draw(t->frame, t->n);
}

static void look(struct top *t)
{
    t->answers = sight_look(&t->sight, t->ask, &t->e);
    t->looks += t->answers;
}

static void scroll(struct top *t, int lines)
{
    size_t back = lines < 0 ? (size_t)-lines : 0;

    t->at_part = false;
    t->from = lines < 0 ? (t->from > back ? t->from - back : 0)
                        : t->from + (size_t)lines; /* draw has the bound */
}

static void view(struct top *t, enum screen_view v)
{
    t->options.view = v;
    t->at_part = v != VIEW_ALL;
    t->from = 0;
}

/* False: the end. */
static bool on_key(struct top *t, int key)
{
    int rows = terminal_size().rows, page = rows > 3 ? rows - 2 : 1;

    switch (key) {
    case 'q':
    case 'Q':
        t->quit = true;
        return false;
    case KEY_GONE:
        return false;
    case 'a':
        view(t, VIEW_ALL);
        break;
    case 'c':
        view(t, VIEW_CLIENTS);
        break;
    case 'r':
        view(t, VIEW_REFUSALS);
        break;
    case 'k':
        view(t, VIEW_SINKS);
        break;
    case 'p':
        view(t, VIEW_POLICY);
        break;
    case 's':
        t->options.order = (enum screen_order)((t->options.order + 1) % N_ORDERS);
        break;
    case ' ':
        t->paused = !t->paused;
        break;
    case KEY_UP:
    case KEY_DOWN:
        scroll(t, key == KEY_UP ? -1 : 1);
        break;
    case KEY_PAGE_UP:
    case KEY_PAGE_DOWN:
        scroll(t, key == KEY_PAGE_UP ? -page : page);
        break;
    default:
        break;
    }
    return true;
}

/* Keys until the next look is due; false: the end. */
static bool wait_keys(struct top *t, int64_t every_ms)
{
    uint64_t until = clock_mono_ns() + (uint64_t)every_ms * 1000000u;
    uint64_t now;

    while ((now = clock_mono_ns()) < until) {
        int key = terminal_key((long)((until - now) / 1000000u) + 1);

        if (!on_key(t, key) || (key != KEY_NONE && !draw(t))) {
            return false;
        }
    }
    return true;
}

static int run(struct top *t, int64_t every_ms)
{
    if (!terminal_begin()) {
        if (terminal_signal() != 0) {
            return 128 + terminal_signal(); /* it may take no text either */
        }
        (void)fprintf(stderr, "sluice: the terminal can't be used\n");
        return EXIT_SETUP;
    }
    look(t);
    if (draw(t) && wait_keys(t, every_ms < FIRST_MS ? every_ms : FIRST_MS)) {
        do {
            if (!t->paused) {
                look(t);
            }
        } while (draw(t) && wait_keys(t, every_ms));
    }
    terminal_end();
    if (terminal_signal() != 0 && terminal_signal() != SIGINT) {
        return 128 + terminal_signal();
    }
    /* Otherwise the terminal is gone, whose signal may come later. */
    return t->quit || terminal_signal() == SIGINT ? EXIT_OK : 128 + SIGHUP;
}

int cli_top(int argc, char **argv)
{
    static const struct option options[] = {
        ASK_GETOPT, {"every", required_argument, NULL, 'e'}, {NULL, 0, NULL, 0}};
    struct top t = {.options = {.order = ORDER_BEHIND}};
    struct ask_options ask = {0};
    int64_t ms = EVERY_MS;
    bool ok = true;
    int o = 0, i = 0, code = EXIT_SETUP;

    optind = 1;
    while (ok && (o = getopt_long(argc, argv, "", options, &i)) != -1) {
        ok = o == 'e' ? units_ms(str_of(optarg), &ms) && ms >= EVERY_LEAST_MS &&
                            ms <= EVERY_MOST_MS
                      : ask_option(&ask, o, optarg);
    }
    if (!ok && o != '?') {
        return usage_value("top", options[i].name, optarg);
    }
    if (!ok || optind != argc) {
        return usage_wrong("top");
    }
    if (!terminal_fits()) {
        return status_show(&ask, ms, false);
    }
    t.ask = ask_open(&ask, &t.e);
    if (t.ask == NULL) {
        show_error(t.e.text);
        return code;
    }
    t.options.where = ask_where(t.ask);
    t.colours = show_colours(STDOUT_FILENO);
    t.sight.wait_ms = WAIT_MS;
    code = run(&t, ms);
    sight_free(&t.sight);
    ask_close(t.ask);
    free(t.frame);
    return code;
}
