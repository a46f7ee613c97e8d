#include "cli/ledger/question.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"

enum { CONNECT_S = 10, TIMEOUT_S = 600, ANSWER_MAX = 256 << 20 };

struct question {
    CURL *curl;
    char *answer;
    size_t n, room, at;
    bool full; /* the answer is larger than ANSWER_MAX */
};

static size_t on_answer(char *p, size_t size, size_t n, void *arg)
{
    struct question *q = arg;
    const size_t more = size * n;

    if (q->n + more + 1 > ANSWER_MAX) {
        q->full = true;
        return 0;
    }
    if (q->n + more + 1 > q->room) {
        q->room = 2 * (q->n + more + 1);
        q->answer = mem_realloc(q->answer, q->room);
    }
    memcpy(q->answer + q->n, p, more);
    q->n += more;
    q->answer[q->n] = '\0';
    return more;
}

struct question *question_new(const char *url, const char *user, const char *password,
                              struct err *e)
{
    struct question *q = mem_zalloc(sizeof *q);
    char whole[2048]; /* the URL by which the server answers when it has all rows */
    const int n = snprintf(whole, sizeof whole, "%s%cwait_end_of_query=1", url,
                           strchr(url, '?') == NULL ? '?' : '&');

    q->curl = curl_easy_init();
    if (n < 0 || (size_t)n >= sizeof whole || q->curl == NULL ||
        curl_easy_setopt(q->curl, CURLOPT_URL, whole) != CURLE_OK ||
        curl_easy_setopt(q->curl, CURLOPT_PROTOCOLS_STR, "http,https") != CURLE_OK ||
        curl_easy_setopt(q->curl, CURLOPT_WRITEFUNCTION, on_answer) != CURLE_OK ||
        curl_easy_setopt(q->curl, CURLOPT_WRITEDATA, q) != CURLE_OK ||
        /* Not one of the environment, as for sinks: the password is for the server. */
        curl_easy_setopt(q->curl, CURLOPT_PROXY, "") != CURLE_OK ||
        curl_easy_setopt(q->curl, CURLOPT_NOSIGNAL, 1L) != CURLE_OK ||
        curl_easy_setopt(q->curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_S) !=
            CURLE_OK ||
        curl_easy_setopt(q->curl, CURLOPT_TIMEOUT, (long)TIMEOUT_S) != CURLE_OK ||
        (user != NULL &&
         (curl_easy_setopt(q->curl, CURLOPT_USERNAME, user) != CURLE_OK ||
          curl_easy_setopt(q->curl, CURLOPT_PASSWORD, password) != CURLE_OK))) {
        question_free(q);
        (void)err_set(e, "curl can't be set up for this URL");
        return NULL;
    }
    return q;
}

void question_free(struct question *q)
{
    if (q != NULL) {
        curl_easy_cleanup(q->curl);
        free(q->answer);
        free(q);
    }
}

/* Else it is the answer of another server, or an error stands behind the rows. */
static bool is_table(const struct question *q, size_t n_columns, struct err *e)
{
    size_t tabs = 0, line = 0;

    for (size_t i = 0; i < q->n; i++) {
        tabs += q->answer[i] == '\t';
        if (q->answer[i] == '\n' && tabs + 1 == n_columns) {
            line = i + 1;
            tabs = 0;
        } else if (q->answer[i] == '\n') {
            break;
        }
    }
    return line == q->n ||
           err_set(e,
                   "ClickHouse: the answer is no table of %zu columns: \"%.60s\": is "
                   "the URL that of a ClickHouse server?",
                   n_columns, q->answer + line);
}

bool question_ask(struct question *q, const char *sql, size_t n_columns, struct err *e)
{
    long status = 0;
    CURLcode rc;

    q->n = q->at = 0;
    (void)curl_easy_setopt(q->curl, CURLOPT_POSTFIELDS, sql);
    (void)curl_easy_setopt(q->curl, CURLOPT_POSTFIELDSIZE_LARGE,
                           (curl_off_t)strlen(sql));
    q->full = false;
    rc = curl_easy_perform(q->curl);
    if (q->full) {
        return err_set(
            e,
            "ClickHouse: the answer is larger than %d MiB: too much differs; "
            "compare a shorter period with --since and --until",
            ANSWER_MAX >> 20);
    }
    if (rc != CURLE_OK) {
        return err_set(e, "ClickHouse: %s", curl_easy_strerror(rc));
    }
    (void)curl_easy_getinfo(q->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status != 200) {
        return err_set(e, "ClickHouse: status %ld: %.400s", status,
                       q->n == 0 ? "" : q->answer);
    }
    return is_table(q, n_columns, e);
}

/* The text as it is in the column, in place. A NUL stays escaped. */
static void unescape(char *text)
{
    static const char escapes[] = "bfnrt", means[] = "\b\f\n\r\t";
    char *to = strchr(text, '\\');

    for (const char *p = to; p != NULL && *p != '\0'; p++) {
        const char *known = *p == '\\' && p[1] != '\0' ? strchr(escapes, p[1]) : NULL;

        if (known != NULL) {
            *to++ = means[known - escapes];
            p++;
        } else if (*p == '\\' && p[1] != '\0' && p[1] != '0') {
            *to++ = *++p;
        } else {
            *to++ = *p;
        }
    }
    if (to != NULL) {
        *to = '\0';
    }
}

bool question_row(struct question *q, char **columns, size_t n)
{
    char *line = q->answer + q->at, *end;

    if (q->at >= q->n) {
        return false;
    }
    end = memchr(line, '\n', q->n - q->at);
    if (end == NULL) {
        return false;
    }
    *end = '\0';
    q->at = (size_t)(end - q->answer) + 1;
    for (size_t i = 0; i < n; i++) {
        char *tab = strchr(line, '\t');

        if (tab != NULL) {
            *tab = '\0';
        }
        columns[i] = line;
        unescape(line);
        if (tab == NULL) {
            return i + 1 == n;
        }
        line = tab + 1;
    }
    return true;
}
