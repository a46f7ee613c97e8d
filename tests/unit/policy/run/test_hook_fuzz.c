/* Random hooks over random events, compiled and interpreted: they decide the same,
 * soon, and nothing ends. SLUICE_HOOK_FUZZ=N runs N of them, SLUICE_SEED=N begins
 * elsewhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "decode/edit.h"
#include "tools/hooked.h"

enum { PROGRAMS = 300, ROUNDS = 3, EVENTS = 60, MS_MAX = 150, TEXT = 16384 };

static uint64_t random_state;

static unsigned below(unsigned n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (unsigned)((random_state * 0x2545F4914F6CDD1Du >> 33) % n);
}

struct text {
    char p[TEXT];
    size_t n;
};

static void put(struct text *t, const char *s)
{
    size_t k = strlen(s);

    if (t->n + k < sizeof t->p) {
        memcpy(t->p + t->n, s, k + 1);
        t->n += k;
    }
}

#define PICK(t, list) put(t, list[below(N_ELEMS(list))])

static const char *const names[] = {"ev.a", "ev.b", "ev.user_id", "ev.value",
                                    "ev[\"o.p\"]", "ev.list", "ev.missing",
                                    "ev.event_type", "x", "y", "req.path", "ev[1]",
                                    "ev[ev.value]", "ev.sluice_", "ev[x]"};
static const char *const constants[] = {
    "nil", "true", "false", "0", "1", "-1", "1e8", "2^31", "0/0", "1/0", "1LL", "\"\"",
    "\"a\"", "\"${a}\"", "\"%s*\"", "{}", "{ 1, 2 }", "{ a = 1 }", "\"[1]\"", "null",
    "(\"x\"):rep(3000)", "ev", "req", "reject", "5.5", "\"o.p\"", "\"list[2]\"",
    "string", "req.headers", "select"};
static const char *const operators[] = {" + ", " - ", " * ", " / ", " % ", " .. ",
                                        " == ", " ~= ", " < ", " <= ", " and ",
                                        " or ", " ^ "};
static const char *const calls[] = {
    "lower(", "upper(", "trim(", "contains(", "starts_with(", "split(", "part(",
    "get(ev, ", "has(ev, ", "hash(", "mask(", "sha256(", "url_decode(", "tonumber(",
    "tostring(", "type(", "string.rep(", "string.sub(", "string.find(",
    "string.match(", "string.gsub(", "string.format(", "string.byte(", "string.char(",
    "table.concat(", "table.insert(", "table.remove(", "table.move(", "table.sort(",
    "math.floor(", "bit.bor(", "select(", "unpack(", "next(", "pcall(", "f(",
    "iso8601(", "parse_time(", "mask_ip(", "base64_encode(", "base64_decode(",
    "param(", "equal(", "hmac(", "array(", "items(ev, ", "assert(", "pairs(",
    "ipairs(", "math.max(", "string.reverse("};

static void expression(struct text *t, int depth)
{
    unsigned kind = depth <= 0 ? below(2) : below(6);

    switch (kind) {
    case 0:
        PICK(t, names);
        break;
    case 1:
        PICK(t, constants);
        break;
    case 2:
        put(t, "(");
        expression(t, depth - 1);
        PICK(t, operators);
        expression(t, depth - 1);
        put(t, ")");
        break;
    case 3:
        put(t, below(2) ? "#(" : "not (");
        expression(t, depth - 1);
        put(t, ")");
        break;
    default:
        PICK(t, calls);
        for (unsigned i = 0, n = 1 + below(3); i < n; i++) {
            put(t, i > 0 ? ", " : "");
            expression(t, depth - 1);
        }
        put(t, ")");
    }
}

static void statement(struct text *t, int depth)
{
    static const char *const places[] = {"ev.a", "ev.b", "ev[\"o.p\"]", "ev.value", "x",
                                         "y", "ev.list", "ev[x]", "ev[\"list[1]\"]",
                                         "req.path", "ev[5]"};

    switch (depth <= 0 ? below(2) : below(7)) {
    case 0:
    case 1:
        PICK(t, places);
        put(t, " = ");
        expression(t, 2);
        break;
    case 2:
        put(t, "if ");
        expression(t, 2);
        put(t, " then ");
        statement(t, depth - 1);
        put(t, " end");
        break;
    case 3:
        put(t, "do local ok, v = pcall(f, ");
        expression(t, 2);
        put(t, ") if ok then x = v end end");
        break;
    case 4:
        put(t, "if ");
        expression(t, 1);
        put(t, " then return reject(\"code_1\", tostring(x)) end");
        break;
    case 5:
        put(t, "if ");
        expression(t, 1);
        put(t, below(2) ? " then return drop() end" : " then return to(\"s\") end");
        break;
    default:
        put(t, "y = ");
        expression(t, 3);
    }
    put(t, "\n");
}

static const char frame[] =
    "null \"n\" {}\nstream \"s\" { sinks = { \"n\" } }\n"
    "local event = schema { user_id = str {}, value = any {},\n"
    "  event_type = enum { \"click\", \"view\" }, a = any {} }\n"
    "local function f(v) return v end\n"
    "route \"POST /e\" { body = \"batch\", schema = event, stream = \"s\",\n"
    "  on_event = function(ev, req) local x, y %s\n%s end }\n";

struct side {
    struct policy *policy;
    struct policy_state *state;
    struct event_batch batch;
    struct arena arena;
};

/* False: the policy is refused, which a random one may be. */
static bool open_side(struct side *s, const char *hook, const char *first)
{
    static char text[TEXT + 1024];
    struct policy_report report;
    struct err e;

    (void)snprintf(text, sizeof text, frame, first, hook);
    s->policy = policy_load_text("fuzz.lua", str_of(text), &report);
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

static void run_side(struct side *s, struct str body, const char *hook)
{
    const struct policy_request req = {.time_ms = 1763900000000.,
                                       .method = STR("POST"),
                                       .path = STR("/e"),
                                       .query = STR("q=1"),
                                       .peer = STR("127.0.0.1")};
    struct refused no;
    uint32_t raised;
    uint64_t ns = clock_thread_ns();

    assert_true(decide_body(s->state, &policy_plan(s->policy)->routes[0], SCAN_BATCH,
                            &req, body, &s->batch, NULL, &raised, &no));
    ns = (clock_thread_ns() - ns) / 1000000;
    if (ns > MS_MAX) {
        print_error("%lu ms:\n%s\n", (unsigned long)ns, hook);
    }
    assert_true(ns <= MS_MAX);
}

static struct str make_events(char *p)
{
    static const char *const values[] = {
        "1", "-5", "1e300", "1234567890123456789", "\"a\"", "\"\\u0000\"", "null", "true",
        "[]", "{}", "[1,[2,null],{\"a\":3}]", "{\"p\":\"${a}\"}", "1000000000",
        "\"     x     \"", "5.5", "\"192.168.1.77\"", "2147483648", "\"%5B\""};
    static const char *const keys[] = {"a", "b", "o", "list", "value", "5", "x.y",
                                       "sluice_"};
    size_t n = 0;

    p[n++] = '[';
    for (int i = 0; i < EVENTS; i++) {
        n += (size_t)sprintf(p + n, "%s{\"user_id\":\"u%d\",\"event_type\":\"%s\"",
                             i > 0 ? "," : "", i, below(2) ? "click" : "view");
        for (unsigned k = 0; k < N_ELEMS(keys); k++) {
            if (below(3) > 0) {
                n += (size_t)sprintf(p + n, ",\"%s\":%s", keys[k],
                                     values[below(N_ELEMS(values))]);
            }
        }
        p[n++] = '}';
    }
    p[n++] = ']';
    memset(p + n, 0, SCAN_PAD);
    return (struct str){p, n};
}

static bool timed(const struct event *ev)
{
    return ev->message != NULL && (strstr(ev->message, "ran too long") != NULL ||
                                   strstr(ev->message, "memory") != NULL ||
                                   strstr(ev->message, "cdata") != NULL ||
                                   strstr(ev->message, "0x") != NULL);
}

/* What is shown of an address differs: those are left out. */
static void compare(const struct side *a, const struct side *b, const char *hook)
{
    static char one[4 << 20], two[4 << 20];

    assert_int_equal(a->batch.n, b->batch.n);
    for (uint32_t i = 0; i < a->batch.n; i++) {
        const struct event *x = &a->batch.events[i], *y = &b->batch.events[i];
        size_t n, k;

        if (timed(x) || timed(y) || edit_bound(&a->batch, x) > sizeof one ||
            edit_bound(&b->batch, y) > sizeof two) {
            continue;
        }
        n = edit_splice(&a->batch, x, one);
        k = edit_splice(&b->batch, y, two);
        if (x->fate != y->fate || x->to != y->to ||
            (memmem(one, n, "0x", 2) == NULL &&
             (n != k || memcmp(one, two, n) != 0))) {
            print_error("event %u: fate %u and %u, %s and %s\n%.*s\n%.*s\n%s\n", i,
                        x->fate, y->fate, x->message, y->message, (int)n, one, (int)k,
                        two, hook);
            fail();
        }
    }
}

static void random_hooks_decide_the_same_compiled_and_interpreted(void **state)
{
    const char *count = getenv("SLUICE_HOOK_FUZZ"), *seed = getenv("SLUICE_SEED");
    unsigned n = count == NULL ? PROGRAMS : (unsigned)atoi(count), taken = 0;
    char *events = mem_alloc(64 << 10);

    (void)state;
    for (unsigned i = 0; i < n; i++) {
        static struct text hook;
        struct side a, b;

        random_state = ((seed == NULL ? 1 : (uint64_t)atoi(seed)) * 1000003u + i + 1) *
                       0x9E3779B97F4A7C15u;
        hook.n = 0;
        for (unsigned k = 0, m = 1 + below(8); k < m; k++) {
            statement(&hook, 2);
        }
        if (!open_side(&a, hook.p, "")) {
            continue;
        }
        assert_true(open_side(&b, hook.p, "for _ = 1, 1 do end"));
        for (int k = 0; k < ROUNDS; k++) {
            struct str body = make_events(events);

            run_side(&a, body, hook.p);
            run_side(&b, body, hook.p);
            compare(&a, &b, hook.p);
        }
        taken++;
        close_side(&a);
        close_side(&b);
    }
    free(events);
    (void)printf("# fuzz: %u hooks, %u of them loaded and run\n", n, taken);
    assert_true(taken > n / 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_hooks_decide_the_same_compiled_and_interpreted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
