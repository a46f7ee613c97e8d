#include "sink/position.h"

#include <stdio.h>
#include <string.h>

size_t position_write(const struct position *p, char out[POSITION_MAX])
{
    int n = snprintf(out, POSITION_MAX, "%.*s/%.*s/%u.%u/%lu", (int)p->uuid.n,
                     p->uuid.p, (int)p->stream.n, p->stream.p, p->epoch, p->worker,
                     (unsigned long)p->seq);

    return (size_t)n < POSITION_MAX ? (size_t)n : POSITION_MAX - 1;
}

/* The text before the next slash, which is taken, too. */
static bool cut(struct str *rest, struct str *out)
{
    const char *slash = memchr(rest->p, '/', rest->n);

    if (slash == NULL) {
        return false;
    }
    *out = (struct str){rest->p, (size_t)(slash - rest->p)};
    rest->n -= out->n + 1;
    rest->p = slash + 1;
    return out->n > 0;
}

/* A number and the sign after it, '\0': the end of the text. */
static bool number(struct str *rest, char end, uint64_t most, uint64_t *out)
{
    uint64_t n = 0;
    size_t i = 0;

    for (; i < rest->n && rest->p[i] >= '0' && rest->p[i] <= '9'; i++) {
        uint64_t digit = (uint64_t)(rest->p[i] - '0');

        if (n > (most - digit) / 10) {
            return false;
        }
        n = n * 10 + digit;
    }
    *out = n;
    if (i == 0 || (end == '\0' ? i != rest->n : i == rest->n || rest->p[i] != end)) {
        return false;
    }
    i += end != '\0';
    rest->p += i;
    rest->n -= i;
    return true;
}

bool position_read(struct str text, struct position *out)
{
    struct str rest = text, second;
    uint64_t epoch, worker;

    if (text.p == NULL || !cut(&rest, &out->uuid) || !cut(&rest, &second)) {
        return false;
    }
    out->stream = (struct str){NULL, 0};
    if (memchr(rest.p, '/', rest.n) != NULL) {
        out->stream = second;
        if (!cut(&rest, &second)) {
            return false;
        }
    }
    second.n++; /* with its slash */
    if (!number(&second, '.', UINT32_MAX, &epoch) ||
        !number(&second, '/', UINT32_MAX, &worker) ||
        !number(&rest, '\0', UINT64_MAX, &out->seq)) {
        return false;
    }
    out->epoch = (uint32_t)epoch;
    out->worker = (uint32_t)worker;
    return true;
}
