/*
 * hooks - what a hook costs an event, from the end of the checks to the last
 * verdict: the median of many batches of 200.
 *
 *   hooks            exits 1 when a bar is missed
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/tools/hooked.h"

enum { WARM = 200, ROUNDS = 2000 };

#define DESIGNS                                                                        \
    "function(ev, req)\n"                                                              \
    "  if ev.event_type == \"purchase\" and not ev.value then\n"                       \
    "    return reject(\"missing_value\", \"a purchase needs a value\")\n"             \
    "  end\n"                                                                          \
    "  ev.received_at = req.time_ms\n"                                                 \
    "end"
/* Comparing keeps the compiler from leaving a read out. */
#define STRINGS                                                                        \
    "function(ev)\n"                                                                   \
    "  if ev.event_id == \"\" or ev.user_id == \"\" or ev.campaign == \"\" or\n"       \
    "      ev.page == \"\" or ev.session == \"\" then return drop() end\n"             \
    "end"
#define LOOPY                                                                          \
    "function(ev)\n  local n = 0\n  for i = 1, 3 do n = n + i end\n"                   \
    "  if n ~= 6 then return drop() end\nend"

struct subject {
    const char *name, *hook;
    bool distinct;
    double bar;       /* ns an event; 0: none */
    unsigned singles; /* requests of one event that come first */
};

static const struct subject subjects[] = {
    {"no hook", NULL, true, 0, 0},
    {"an empty hook", "function(ev, req) end", true, 0, 0},
    {"the design's hook", DESIGNS, true, 30, 0},
    {"the design's hook, after 50,000 requests of one event", DESIGNS, true, 30, 50000},
    {"five strings, the same", STRINGS, false, 0, 0},
    {"five strings, distinct", STRINGS, true, 600, 0},
    {"a loop of three turns, interpreted", LOOPY, true, 0, 0}};

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* True: within its bar. */
static bool measure(const struct subject *x)
{
    static uint64_t ns[ROUNDS];
    struct policy_traces traces;
    struct hooked h;
    uint64_t single = 0;
    double cost;

    hooked_open(&h, x->hook, x->distinct);
    (void)policy_traces_watch(h.state);
    for (unsigned i = 0; i < x->singles; i++) {
        single += hooked_one(&h);
    }
    for (unsigned i = 0; i < WARM; i++) {
        (void)hooked_run(&h, i);
    }
    for (unsigned i = 0; i < ROUNDS; i++) {
        ns[i] = hooked_run(&h, i);
    }
    policy_traces_get(h.state, &traces);
    qsort(ns, ROUNDS, sizeof *ns, by_value);
    cost = (double)ns[ROUNDS / 2] / HOOKED_EVENTS;
    (void)printf("# hooks: %s: %.1f ns an event", x->name, cost);
    if (x->bar > 0) {
        (void)printf(" (bar %.0f%s)", x->bar, cost > x->bar ? ", MISSED" : "");
    }
    if (x->singles > 0) {
        (void)printf("; those: %.0f ns each", (double)single / x->singles);
    }
    (void)printf("; %u traces, %u of the loop; %u aborted, %u of the loop%s%s\n",
                 traces.made, traces.loops, traces.aborted, traces.loops_aborted,
                 traces.aborted > 0 ? ": " : "", traces.why);
    hooked_close(&h);
    return x->bar <= 0 || cost <= x->bar;
}

/* Every event's hook of a batch would run for ever. The bound is of the thread's
 * time: what others take of the machine is no mistake of the hook. */
static bool stop_endless(void)
{
    uint64_t wall, own;
    struct hooked h;

    hooked_open(&h, "function(ev) while true do end end", true);
    own = clock_thread_ns();
    wall = hooked_run(&h, 0);
    own = clock_thread_ns() - own;
    (void)printf("# hooks: one without an end: its batch of %d is over after "
                 "%.1f ms of its thread, %.1f ms on the wall (bar 50%s)\n",
                 HOOKED_EVENTS, (double)own / 1e6, (double)wall / 1e6,
                 own > 50000000 ? ", MISSED" : "");
    hooked_close(&h);
    return own <= 50000000;
}

int main(void)
{
    bool good = true;

    for (size_t i = 0; i < N_ELEMS(subjects); i++) {
        good = measure(&subjects[i]) && good;
    }
    good = stop_endless() && good;
    return good ? 0 : 1;
}
