/* Random policies over random events, compiled and interpreted: they decide the same,
 * soon, and nothing ends. SLUICE_HOOK_FUZZ=N runs N of them, SLUICE_SEED=N begins
 * elsewhere. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "decode/edit.h"
#include "tools/hook_program.h"
#include "tools/hooked.h"

enum { ROUNDS = 3, EVENTS = 60, HANGS_S = 20, ATTEMPTS = 5, SPLICED = 4 << 20 };
#ifdef __SANITIZE_ADDRESS__
/* Other programs than without the sanitizer, under which each takes three times as long. */
enum { PROGRAMS = 100, SEED = 2, MS_MAX = 250 };
#else
/* 50, and the time of collecting when a program has filled the memory. */
enum { PROGRAMS = 300, SEED = 1, MS_MAX = 90 };
#endif

static const char frame[] =
    "null \"n\" {}\nstream \"s\" { sinks = { \"n\" } }\n"
    "local event = schema { user_id = str {}, value = any {},\n"
    "  event_type = enum { \"click\", \"view\" }, a = any {} }\n"
    "%s"
    "route \"POST /e\" { body = \"batch\", schema = event, stream = \"s\",\n"
    "  on_event = function(ev, req) local x, y, a, b %s\n"
    "now, its, count = ev, req, 0\n%s end }\n";

static struct text functions, hook;
static char policy_text[2 * PROGRAM_TEXT + 1024];
static double slowest_ms;
static bool slow; /* a call of this program took too long */
static unsigned n_events, n_raised, n_stopped;

/* A program that can't be stopped is shown. */
static void on_hang(int signal_number)
{
    (void)signal_number;
    (void)!write(2, "hangs:\n", 7);
    (void)!write(2, policy_text, strlen(policy_text));
    abort();
}

struct side {
    struct policy *policy;
    struct policy_state *state;
    struct event_batch batch;
    struct arena arena;
};

/* False: the policy is refused, which a random one may be. */
static bool open_side(struct side *s, const char *first)
{
    struct policy_report report;
    struct err e;

    (void)snprintf(policy_text, sizeof policy_text, frame, functions.p, first, hook.p);
    s->policy = policy_load_text("fuzz.lua", str_of(policy_text), &report);
    if (report.text != NULL && strstr(report.text, "looked through") != NULL) {
        (void)fprintf(stderr, "%s\n%s\n", report.text, policy_text);
        fail();
    }
    if (s->policy == NULL && getenv("SLUICE_REFUSED") != NULL) {
        (void)fprintf(stderr, "%s\n", report.text);
    }
    policy_report_fini(&report);
    if (s->policy == NULL) {
        return false;
    }
    s->state = policy_state_new(s->policy, &e);
    assert_non_null(s->state);
    arena_init(&s->arena, 16 << 20);
    event_batch_init(&s->batch, &s->arena);
    return true;
}

static void close_side(struct side *s)
{
    event_batch_fini(&s->batch);
    arena_fini(&s->arena);
    policy_state_free(s->state);
    policy_unref(s->policy);
}

/* False: the body is refused as a whole. */
static bool run_side(struct side *s, struct str body)
{
    const struct policy_request req = {.time_ms = 1763900000000.,
                                       .method = STR("POST"),
                                       .path = STR("/e"),
                                       .query = STR("q=1"),
                                       .peer = STR("127.0.0.1")};
    struct refused no;
    uint32_t raised;
    uint64_t ns = clock_thread_ns();
    double ms;
    bool taken;

    (void)alarm(HANGS_S);
    taken = decide_body(s->state, &policy_plan(s->policy)->routes[0], SCAN_BATCH, &req,
                        body, &s->batch, NULL, &raised, &no);
    (void)alarm(0);
    ms = (double)(clock_thread_ns() - ns) / 1e6;
    slowest_ms = ms > slowest_ms ? ms : slowest_ms;
    slow = slow || ms > MS_MAX;
    return taken;
}

/* An event's result depends on the clock or on room: it and later events are not
 * compared. */
static bool by_chance(const struct event *ev)
{
    return ev->message != NULL && (strstr(ev->message, "ran too long") != NULL ||
                                   strstr(ev->message, "memory") != NULL ||
                                   strstr(ev->message, "overflow") != NULL);
}

static bool alike(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* False: one of them was stopped, so that both go on with other memories. */
static bool compare(const struct side *a, const struct side *b)
{
    static char one[SPLICED], two[SPLICED];

    assert_int_equal(a->batch.n, b->batch.n);
    for (uint32_t i = 0; i < a->batch.n; i++) {
        const struct event *x = &a->batch.events[i], *y = &b->batch.events[i];
        size_t n, k;

        n_raised += x->fate == EVENT_DEAD;
        n_events++;
        if (by_chance(x) || by_chance(y)) {
            n_stopped++;
            return false;
        }
        if (edit_bound(&a->batch, x) > SPLICED || edit_bound(&b->batch, y) > SPLICED) {
            continue;
        }
        n = edit_splice(&a->batch, x, one);
        k = edit_splice(&b->batch, y, two);
        if (x->fate != y->fate || x->to != y->to || !alike(x->code, y->code) ||
            !alike(x->message, y->message) || n != k || memcmp(one, two, n) != 0) {
            (void)fprintf(stderr,
                          "event %u: fate %u and %u, %s and %s\n%.*s\n%.*s\n%s\n", i,
                          x->fate, y->fate, x->message, y->message, (int)n, one, (int)k,
                          two, policy_text);
            fail();
        }
    }
    return true;
}

static void run_both(struct side *a, struct side *b, char *events)
{
    bool go_on = true;

    for (int k = 0; k < ROUNDS && go_on; k++) {
        struct str body = {events, program_events(events, EVENTS)};
        bool taken;

        assert_true(body.n + SCAN_PAD < PROGRAM_BODY);
        memset(events + body.n, 0, SCAN_PAD);
        taken = run_side(a, body);
        assert_int_equal(taken, run_side(b, body));
        go_on = !taken || compare(a, b);
    }
}

/* 1: it was loaded and run. A busy machine makes a thread's time longer, but not each
 * time: a slow one is run again. */
static unsigned run_program(uint64_t seed, char *events, unsigned *compiled)
{
    struct side a, b;

    program_make(seed, &functions, &hook);
    if (!open_side(&a, "")) {
        return 0;
    }
    assert_true(open_side(&b, "for _ = 1, 1 do end"));
    *compiled += !policy_is_bounded(a.state, &policy_plan(a.policy)->routes[0]);
    run_both(&a, &b, events);
    close_side(&a);
    close_side(&b);
    return 1;
}

static void random_hooks_decide_the_same_compiled_and_interpreted(void **state)
{
    const char *count = getenv("SLUICE_HOOK_FUZZ"), *seed = getenv("SLUICE_SEED"),
               *only = getenv("SLUICE_PROGRAM");
    const uint64_t first = (seed == NULL ? SEED : (uint64_t)atoi(seed)) * 1000003u;
    unsigned n = count == NULL ? PROGRAMS : (unsigned)atoi(count);
    unsigned taken = 0, compiled = 0;
    char *events = mem_alloc(PROGRAM_BODY);

    (void)state;
    (void)signal(SIGALRM, on_hang);
    for (unsigned i = only == NULL ? 0 : (unsigned)atoi(only); i < n; i++) {
        const uint64_t begin = (first + i + 1) * 0x9E3779B97F4A7C15u;
        unsigned attempts = 0;

        do {
            slow = false;
            taken += run_program(begin, events, &compiled);
        } while (slow && ++attempts < ATTEMPTS);
        if (slow) {
            (void)fprintf(stderr, "program %u, up to %.1f ms:\n%s\n", i, slowest_ms,
                          policy_text);
        }
        assert_false(slow);
    }
    free(events);
    (void)printf("# fuzz: %u policies, %u of them loaded and run, %u compiled, %u "
                 "stopped; of %u events %u raised; at most %.1f ms\n",
                 n, taken, compiled, n_stopped, n_events, n_raised, slowest_ms);
    assert_true(taken > n / 2);
    assert_true(compiled > n / 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_hooks_decide_the_same_compiled_and_interpreted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
