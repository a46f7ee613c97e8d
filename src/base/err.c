#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool err_set(struct err *e, const char *fmt, ...)
{
    va_list ap;

    if (e == NULL) {
        return false;
    }
    va_start(ap, fmt);
    (void)vsnprintf(e->text, sizeof e->text, fmt, ap);
    va_end(ap);
    return false;
}

bool err_errno(struct err *e, int errnum, const char *fmt, ...)
{
    va_list ap;
    size_t n;
    char why[128];

    if (e == NULL) {
        return false;
    }
    va_start(ap, fmt);
    (void)vsnprintf(e->text, sizeof e->text, fmt, ap);
    va_end(ap);
    n = strlen(e->text);
    (void)snprintf(e->text + n, sizeof e->text - n, ": %s",
                   strerror_r(errnum, why, sizeof why));
    return false;
}

bool err_no_room(const struct err *e)
{
    static const int list[] = {ENOSPC, EDQUOT};
    char why[128];

    for (size_t i = 0; i < N_ELEMS(list); i++) {
        if (strstr(e->text, strerror_r(list[i], why, sizeof why)) != NULL) {
            return true;
        }
    }
    return false;
}
