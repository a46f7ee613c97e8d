/*
 * library - what a policy's helpers cost a call: the first decile of many batches of
 * 200 distinct events, less that of a hook that reads the same and calls nothing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/tools/hooked.h"

enum { WARM = 200, ROUNDS = 1000, ROWS = 10000 };

#define ID "local id = ev.event_id if id == \"\" then return drop() end"
#define HOOK(before, call)                                                             \
    "(function() " before " return function(ev, req) " ID " " call " end end)()"
/* Comparing keeps the compiler from leaving a call out. */
#define GIVES(before, call) HOOK(before, "if " call " == 1 then return drop() end")

/* Two addresses by turns, as two events have two. */
#define GEO(call)                                                                      \
    HOOK("local geo = mmdb \"" SLUICE_SOURCE "/conf/examples/geo.mmdb\" "              \
         "local n, ips = 0, { [0] = \"192.0.2.7\", \"198.51.100.7\" }",                \
         "n = 1 - n local ip = ips[n] if " call " == 1 then ev = nil end")
#define COUNTRY "geo:get(ip, \"country.iso_code\")"
#define LATITUDE "geo:get(ip, \"location.latitude\")"

static char csv[64];

static const struct {
    const char *name, *hook;
} subjects[] = {{"reads event_id, no call", HOOK("", "")},
                {"starts_with(id, \"event-\")",
                 HOOK("", "if not starts_with(id, \"event-\") then return drop() end")},
                {"part(id, \"-\", 2)", GIVES("", "part(id, \"-\", 2)")},
                {"get(ev, \"event_id\")", GIVES("", "get(ev, \"event_id\")")},
                {"hash(id)", GIVES("", "hash(id)")},
                {"sample(0.1, id)", HOOK("", "if sample(0.1, id) then ev = nil end")},
                {"sample(0.1)", HOOK("", "if sample(0.1) then ev = nil end")},
                {"sha256(id)", GIVES("", "sha256(id)")},
                {"hmac(\"key\", id)", GIVES("", "hmac(\"key\", id)")},
                {"uuid7()", GIVES("", "uuid7()")},
                {"iso8601(req.time_ms)", GIVES("", "iso8601(req.time_ms)")},
                {"c:inc()", HOOK("local c = counter \"a_total\"", "c:inc()")},
                {"c:inc(1, ev.event_type), a label",
                 HOOK("local c = counter \"a_total\" { labels = { \"type\" } }",
                      "c:inc(1, ev.event_type)")},
                {"g:set(ev.value)", HOOK("local g = gauge \"a\"", "g:set(ev.value)")},
                {"t[id], a lookup of 10,000 rows", NULL},
                {COUNTRY ", an mmdb", GEO(COUNTRY)},
                {"the same and " LATITUDE, GEO(COUNTRY " == 1 or " LATITUDE)},
                {"l:take(id), a limit of 10,000 keys",
                 HOOK("local l = limit { rate = \"1000000/s\", burst = 1000000 }",
                      "if not l:take(id) then return drop() end")},
                {"return l:check(id)",
                 HOOK("local l = limit { rate = \"1000000/s\", burst = 1000000 }",
                      "return l:check(id)")}};

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static double measure(const char *hook, struct policy_traces *traces)
{
    static uint64_t ns[ROUNDS];
    struct hooked h;

    hooked_open(&h, hook, true);
    (void)policy_traces_watch(h.state);
    for (unsigned i = 0; i < WARM; i++) {
        (void)hooked_run(&h, i);
    }
    for (unsigned i = 0; i < ROUNDS; i++) {
        ns[i] = hooked_run(&h, i);
        if (h.raised > 0) {
            (void)fprintf(stderr, "a hook raised: %s\n", hook);
            exit(1);
        }
    }
    policy_traces_get(h.state, traces);
    hooked_close(&h);
    qsort(ns, ROUNDS, sizeof *ns, by_value);
    /* Of the quick ones: what others take of the machine is no cost of a call. */
    return (double)ns[ROUNDS / 10] / HOOKED_EVENTS;
}

static void write_table(void)
{
    FILE *f;

    (void)snprintf(csv, sizeof csv, "/tmp/sluice-bench-%ld.csv", (long)getpid());
    f = fopen(csv, "w");
    if (f == NULL) {
        perror(csv);
        exit(1);
    }
    (void)fputs("id,value\n", f);
    for (unsigned i = 0; i < ROWS; i++) {
        (void)fprintf(f, "event-%08u,value-%u\n", i, i % 100);
    }
    (void)fclose(f);
}

int main(void)
{
    char lookup[512];
    double base = 0;
    int bad = 0;

    write_table();
    (void)snprintf(lookup, sizeof lookup, GIVES("local t = lookup \"%s\"", "t[id]"),
                   csv);
    for (size_t i = 0; i < N_ELEMS(subjects); i++) {
        struct policy_traces traces;
        double cost =
            measure(subjects[i].hook == NULL ? lookup : subjects[i].hook, &traces);

        base = i == 0 ? cost : base;
        (void)printf("# helpers: %s: %.0f ns%s", subjects[i].name,
                     i == 0 ? cost : cost - base, i == 0 ? " an event" : " a call");
        if (traces.loops == 0 || traces.loops_aborted > 0) {
            (void)printf("; loops %u, aborted %u: %s", traces.loops,
                         traces.loops_aborted, traces.why);
            bad += traces.loops == 0;
        }
        (void)printf("\n");
    }
    (void)unlink(csv);
    return bad == 0 ? 0 : 1;
}
