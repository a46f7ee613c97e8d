#include "cli/token.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"

static bool put(char out[TOKEN_HEADER], const char *token, size_t n, const char *from,
                struct err *e)
{
    while (n > 0 && (token[n - 1] == '\n' || token[n - 1] == '\r')) {
        n--;
    }
    for (size_t i = 0; i < n; i++) {
        if ((unsigned char)token[i] <= ' ' || token[i] == 127) {
            n = 0;
        }
    }
    if (n == 0 || n > TOKEN_MAX) {
        return err_set(e, "%s has no token: expected one line without spaces", from);
    }
    (void)snprintf(out, TOKEN_HEADER, "Authorization: Bearer %.*s", (int)n, token);
    return true;
}

bool token_read(char out[TOKEN_HEADER], const char *file, struct err *e)
{
    const char *named = getenv("SLUICE_ADMIN_TOKEN");
    char text[TOKEN_MAX + 4];
    size_t n = 0;
    ssize_t k;
    int fd;

    out[0] = '\0';
    if (file == NULL) {
        return named == NULL || named[0] == '\0' ||
               put(out, named, strlen(named), "SLUICE_ADMIN_TOKEN", e);
    }
    fd = open(file, O_RDONLY | O_CLOEXEC);
    do { /* a pipe may give it in parts */
        k = fd < 0 ? -1 : read(fd, text + n, sizeof text - n);
        n += k > 0 ? (size_t)k : 0;
    } while (k > 0);
    if (k < 0) {
        (void)err_errno(e, errno, "%s", file);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return k == 0 && put(out, text, n, file, e);
}
