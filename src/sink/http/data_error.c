#include "sink/http/data_error.h"

#include <stdlib.h>
#include <string.h>

#include "base/attr.h"

/* The names are ClickHouse's, of src/Common/ErrorCodes.cpp. */
static const int maybe_codes[] = {
    159, /* TIMEOUT_EXCEEDED */
    209, /* SOCKET_TIMEOUT */
    210, /* NETWORK_ERROR */
    319  /* UNKNOWN_STATUS_OF_INSERT */
};
/* Of rows, as a rule; whether it is the rows is found out. */
static const int data_codes[] = {6,   20,  22,  25,  26,  27,  32,  33,  36,  38,
                                 41,  43,  44,  48,  53,  69,  70,  72,  117, 128,
                                 130, 131, 153, 190, 321, 349, 376, 395, 407, 441,
                                 467, 469, 475, 508, 561, 632, 636, 675, 676, 691};
static const int setup_codes[] = {16,  47,  60,  62,  73,  81,  89, 115,
                                  164, 192, 193, 194, 291, 497, 516};
/* Of those: the server does not know who asks. */
static const int login_codes[] = {192, 193, 194, 516};
/* Time heals these. */
static const int retry_codes[] = {
    3,   107, 173, 198, 201, 202, 203, 204, 205, 206, 207, 225, 236, 242, 243,
    252, 265, 279, 285, 286, 290, 297, 305, 306, 308, 310, 354, 364, 369, 373,
    374, 394, 412, 415, 425, 439, 452, 479, 499, 500, 574, 579, 623, 652, 659,
    668, 677, 689, 700, 705, 717, 719, 734, 745, 748, 749, 999, 1000};

static bool among(int code, const int *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (list[i] == code) {
            return true;
        }
    }
    return false;
}

static const char *find(struct str s, const char *what)
{
    return memmem(s.p, s.n, what, strlen(what));
}

static const char *find_last(struct str s, const char *what)
{
    const char *last = NULL, *p;

    while ((p = find(s, what)) != NULL) {
        last = p;
        s.n -= (size_t)(p + 1 - s.p);
        s.p = p + 1;
    }
    return last;
}

/* p: the place of `what` in s, or NULL. */
static int64_t number_behind(struct str s, const char *p, const char *what)
{
    const char *end = s.p + s.n;
    int64_t v = 0;

    if (p == NULL) {
        return -1;
    }
    p += strlen(what);
    if (p == end || (unsigned)(*p - '0') > 9) {
        return -1;
    }
    for (; p < end && (unsigned)(*p - '0') <= 9 && v < INT32_MAX; p++) {
        v = v * 10 + (*p - '0');
    }
    return v;
}

static enum sink_verdict_kind kind_of(int code, struct str body)
{
    /* One code stands for an error that passes with time and for one that does not. */
    if (code == 252 && find(body, "Too many partitions") != NULL) {
        return SINK_SPLIT;
    }
    /* LOGICAL_ERROR, which an old server says of a word that an Enum lacks. */
    if (code == 49 && find(body, "Unknown element") != NULL) {
        return SINK_DATA;
    }
    if (code == 241) { /* MEMORY_LIMIT_EXCEEDED */
        return SINK_SPLIT;
    }
    if (among(code, maybe_codes, N_ELEMS(maybe_codes))) {
        return SINK_MAYBE;
    }
    if (among(code, data_codes, N_ELEMS(data_codes))) {
        return SINK_DATA;
    }
    if (among(code, setup_codes, N_ELEMS(setup_codes))) {
        return SINK_SETUP;
    }
    return SINK_RETRY;
}

/* The server's words begin with it, or with the name of an exception; a proxy's page may
 * say "Error Code: 503" somewhere, also beside an exception of its own. */
static int code_in(struct str body)
{
    const char *at = find(body, "Code: ");
    bool page = body.n > 0 && body.p[0] == '<';
    bool own = at == body.p || (!page && find(body, "xception") != NULL);
    int64_t code = own ? number_behind(body, at, "Code: ") : -1;

    return code < 0 ? 0 : (int)code;
}

struct data_error data_error_of(int status, bool sent, int header, struct str body)
{
    struct data_error r = {.code = header != 0 ? header : code_in(body), .row = -1};

    if (status == 0) {
        r.kind = sent ? SINK_MAYBE : SINK_RETRY;
        return r;
    }
    /* With wait_end_of_query an exception may follow a 200. */
    if (status == 200 && r.code == 0) {
        r.kind = SINK_OK;
        return r;
    }
    if (r.code == 0 && status == 413) {
        r = (struct data_error){.kind = SINK_SPLIT,
                                .code = 413,
                                .row = -1,
                                .too_large = true,
                                .alone = SINK_DATA};
        return r;
    }
    if (r.code == 0) {
        /* A proxy's words: whether the server took the body is not known. */
        r.kind = SINK_MAYBE;
        return r;
    }
    r.kind = kind_of(r.code, body);
    r.login = among(r.code, login_codes, N_ELEMS(login_codes));
    r.too_many_parts = r.code == 252 && r.kind == SINK_RETRY;
    r.unknown =
        r.kind == SINK_RETRY && !among(r.code, retry_codes, N_ELEMS(retry_codes));
    r.view = find(body, "pushing to view") != NULL;
    if (r.code == 241) {
        r.too_large = true;
        r.alone = SINK_RETRY;
    }
    if (r.kind == SINK_DATA) {
        int64_t row = number_behind(body, find_last(body, "(at row "), "(at row ");

        r.row = row > 0 ? row - 1 : -1;
    }
    return r;
}
