#include "base/err.h"

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
