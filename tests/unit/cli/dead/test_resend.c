/* Letters to a server that takes some of them, by a libcurl of our own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <curl/curl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "cli/dead/resend.h"
#include "delivery/dead.h"
#include "unit/tools/folder.h"

enum { LETTERS = 8 };

/* ---- the server ---- */

static uint32_t lines_max; /* a body of more is too large */
static bool mended;        /* it refuses no event any more */
static unsigned n_sent[LETTERS], n_taken;
static const char *body;
static size_t body_bytes;
static long status;
static curl_write_callback on_answer;
static void *on_answer_arg;

#undef curl_easy_setopt
#undef curl_easy_getinfo

CURL *curl_easy_init(void)
{
    return &status;
}

void curl_easy_cleanup(CURL *c)
{
    (void)c;
}

CURLcode curl_easy_setopt(CURL *c, CURLoption option, ...)
{
    va_list args;

    (void)c;
    va_start(args, option);
    if (option == CURLOPT_POSTFIELDS) {
        body = va_arg(args, const char *);
    } else if (option == CURLOPT_POSTFIELDSIZE_LARGE) {
        body_bytes = (size_t)va_arg(args, curl_off_t);
    } else if (option == CURLOPT_WRITEFUNCTION) {
        on_answer = va_arg(args, curl_write_callback);
    } else if (option == CURLOPT_WRITEDATA) {
        on_answer_arg = va_arg(args, void *);
    }
    va_end(args);
    return CURLE_OK;
}

CURLcode curl_easy_getinfo(CURL *c, CURLINFO info, ...)
{
    va_list args;

    (void)c;
    va_start(args, info);
    *va_arg(args, long *) = status;
    va_end(args);
    return CURLE_OK;
}

static bool is_bad(unsigned letter)
{
    return letter % 3 == 2 && !mended;
}

/* Counts the letters of the body, and lists the bad ones as refused. */
CURLcode curl_easy_perform(CURL *c)
{
    char answer[1024] = "{\"status\":\"accepted\",\"errors\":[";
    size_t at = strlen(answer);
    unsigned n = 0, refused = 0, letter;

    (void)c;
    for (size_t i = 0; i < body_bytes; i++) {
        n += body[i] == '\n';
    }
    status = n > lines_max ? 413 : 202;
    for (unsigned i = 0; status == 202 && i < n; i++) {
        assert_int_equal(1, sscanf(body, "{\"a\":%u}\n", &letter));
        body = strchr(body, '\n') + 1;
        assert_true(letter < LETTERS);
        n_sent[letter]++;
        n_taken += !is_bad(letter);
        if (is_bad(letter)) {
            at += (size_t)snprintf(answer + at, sizeof answer - at, "%s{\"index\":%u}",
                                   refused++ > 0 ? "," : "", i);
        }
    }
    at += (size_t)snprintf(answer + at, sizeof answer - at,
                           "],\"accepted\":%u,\"rejected\":%u}", n - refused, refused);
    (void)on_answer(answer, 1, at, on_answer_arg);
    return CURLE_OK;
}

/* ---- the letters ---- */

static char path[256];

static int set_up(void **state)
{
    struct err e = {""};
    struct dead d;
    bool tell;

    if (folder_set_up(state) != 0) {
        return 1;
    }
    memset(n_sent, 0, sizeof n_sent);
    n_taken = 0;
    mended = false;
    lines_max = 100;
    dead_init(&d, dir, "bus");
    if (!dead_open(&d, 0, "", &e) || !dead_begin(&d, &tell, &e)) {
        return 1;
    }
    for (unsigned i = 0; i < LETTERS; i++) {
        char event[32];
        const struct dead_letter l = {
            .event = {event, (size_t)snprintf(event, sizeof event, "{\"a\":%u}", i)},
            .sink = STR("bus"),
            .why = STR("no number"),
            .at = {STR("u"), STR("events"), 1, 0, i + 1}};

        if (!dead_put(&d, &l, &e)) {
            return 1;
        }
    }
    (void)snprintf(path, sizeof path, "%s", d.path);
    if (!dead_sync(&d, &e)) {
        return 1;
    }
    dead_keep(&d);
    dead_close(&d);
    return 0;
}

static void each_was_sent(unsigned good, unsigned bad)
{
    for (unsigned i = 0; i < LETTERS; i++) {
        assert_int_equal(i % 3 == 2 ? bad : good, n_sent[i]);
    }
}

static void a_letter_that_is_refused_again_is_sent_once_more(void **state)
{
    (void)state;
    assert_int_equal(1, resend(path, "http://127.0.0.1/e"));
    each_was_sent(1, 1);
    assert_int_equal(1, resend(path, "http://127.0.0.1/e"));
    each_was_sent(1, 2);
    mended = true;
    assert_int_equal(0, resend(path, "http://127.0.0.1/e"));
    each_was_sent(1, 3);
    assert_int_equal(0, resend(path, "http://127.0.0.1/e"));
    each_was_sent(1, 3);
    assert_int_equal(LETTERS, n_taken);
}

/* The answer counts from the first letter of its own body. */
static void letters_in_halves_are_known_by_their_own_answer(void **state)
{
    (void)state;
    lines_max = 3;
    assert_int_equal(1, resend(path, "http://127.0.0.1/e"));
    each_was_sent(1, 1);
    assert_int_equal(1, resend(path, "http://127.0.0.1/e"));
    each_was_sent(1, 2);
    mended = true;
    assert_int_equal(0, resend(path, "http://127.0.0.1/e"));
    each_was_sent(1, 3);
}

static void a_purge_deletes_no_letter_that_was_not_taken(void **state)
{
    (void)state;
    lines_max = 3;
    assert_int_equal(1, resend(path, "http://127.0.0.1/e"));
    assert_int_equal(1, resend_purge(path, false));
    mended = true;
    assert_int_equal(0, resend(path, "http://127.0.0.1/e"));
    each_was_sent(1, 2);
    assert_int_equal(0, resend_purge(path, false));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, folder_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_letter_that_is_refused_again_is_sent_once_more),
        TEST(letters_in_halves_are_known_by_their_own_answer),
        TEST(a_purge_deletes_no_letter_that_was_not_taken)};

    return cmocka_run_group_tests_name("resend", tests, NULL, NULL);
}
