#include "signature/jwks_file.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/read.h"
#include "decode/scan.h"

static bool read_open(int fd, const char *path, struct jwks *out, struct err *e)
{
    struct err why;
    struct stat st;
    size_t room;
    ssize_t n;
    char *text;
    bool ok;

    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size > JWKS_BYTES_MAX) {
        return err_set(e, "%s: no regular file of at most 256 KiB", path);
    }
    room = (size_t)st.st_size + SCAN_PAD;
    text = mem_zalloc(room);
    n = read_at(fd, text, (size_t)st.st_size, 0);
    if (n < 0) {
        ok = err_errno(e, errno, "%s", path);
    } else {
        ok = jwks_read((struct str){text, (size_t)n}, out, &why) ||
             err_set(e, "%s: %s", path, why.text);
    }
    OPENSSL_cleanse(text, room);
    free(text);
    return ok;
}

bool jwks_file_read(const char *path, struct jwks *out, struct err *e)
{
    /* A FIFO without a writer must not keep the loader. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    bool ok;

    if (fd < 0) {
        return err_errno(e, errno, "%s", path);
    }
    ok = read_open(fd, path, out, e);
    (void)close(fd);
    return ok;
}
