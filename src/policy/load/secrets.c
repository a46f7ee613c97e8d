#include "policy/load/secrets.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/read.h"
#include "policy/load/internal.h"
#include "policy/run/state.h"

enum { SECRET_BYTES_MAX = 64 << 10 };

static const char CREDENTIAL[] = "credential:";

const char *secrets_file(const struct policy *p, size_t i)
{
    return i < p->n_secrets ? p->secrets[i].path : NULL;
}

void secrets_free(struct policy *p)
{
    for (size_t i = 0; i < p->n_secrets; i++) {
        explicit_bzero(p->secrets[i].text, p->secrets[i].n);
        free(p->secrets[i].text);
        free(p->secrets[i].path);
    }
    free(p->secrets);
}

/* The file's text without the end of its last line. False and *e, with errno of the open,
 * or 0. */
static bool read_text(const char *path, struct secret_text *out, struct err *e)
{
    /* A FIFO without a writer must not keep the loader. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat st;
    ssize_t n = -1;
    int opened = errno;

    if (fd < 0) {
        (void)err_errno(e, errno, "%s", path);
        errno = opened;
        return false;
    }
    out->text = mem_alloc(SECRET_BYTES_MAX + 1);
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
        n = read_at(fd, out->text, SECRET_BYTES_MAX + 1, 0);
    }
    (void)close(fd);
    out->open_to_all = n >= 0 && (st.st_mode & S_IROTH) != 0;
    if (n > 0 && out->text[n - 1] == '\n') {
        n -= n > 1 && out->text[n - 2] == '\r' ? 2 : 1;
    }
    if (n <= 0 || n > SECRET_BYTES_MAX || memchr(out->text, '\0', (size_t)n) != NULL) {
        (void)err_set(e,
                      "%s: expected a regular file of 1 byte to 64 KiB of text without "
                      "NUL",
                      path);
        explicit_bzero(out->text, SECRET_BYTES_MAX + 1);
        free(out->text);
        errno = 0;
        return false;
    }
    out->text[n] = '\0';
    out->n = (size_t)n;
    return true;
}

/* "credential:NAME" is a file that the service manager made for this service. */
static bool find_path(const char *name, const char *beside, char path[PATH_MAX],
                      struct err *e)
{
    const char *dir = getenv("CREDENTIALS_DIRECTORY");
    size_t n = sizeof CREDENTIAL - 1;

    if (strncmp(name, CREDENTIAL, n) != 0) {
        (void)snprintf(path, PATH_MAX, "%s", beside);
        return true;
    }
    if (name[n] == '\0' || strchr(name + n, '/') != NULL || name[n] == '.') {
        errno = 0;
        return err_set(e, "expected a name such as \"credential:kafka\"");
    }
    if (dir == NULL || dir[0] != '/') {
        errno = ENOENT;
        return err_set(e, "the service manager gave no credentials: the variable "
                          "CREDENTIALS_DIRECTORY is not set (LoadCredential= of the "
                          "unit)");
    }
    (void)snprintf(path, PATH_MAX, "%s/%s", dir, name + n);
    return true;
}

static const struct secret_text *find(const struct policy *p, const char *path)
{
    for (size_t i = 0; i < p->n_secrets; i++) {
        if (strcmp(p->secrets[i].path, path) == 0) {
            return &p->secrets[i];
        }
    }
    return NULL;
}

/* What is given in a test: a pair "secret:NAME". */
static int push_given(lua_State *L, const struct policy_env *env, const char *name)
{
    for (uint32_t i = 0; i < env->n; i++) {
        const char *key = env->pairs[i].name;

        if (strncmp(key, "secret:", 7) == 0 && strcmp(key + 7, name) == 0) {
            lua_pushstring(L, env->pairs[i].value);
            return 1;
        }
    }
    lua_pushnil(L);
    lua_pushliteral(L, "the options of testing.load have no such secret");
    lua_pushboolean(L, 1);
    return 3;
}

static int push_error(lua_State *L, const struct err *e, bool absent)
{
    lua_pushnil(L);
    lua_pushstring(L, e->text);
    lua_pushboolean(L, absent);
    return 3;
}

/* Only the first load adds to the policy; later states may run on other threads. */
static const struct secret_text *keep(struct policy *p, const struct secret_text *fresh,
                                      const char *path)
{
    struct secret_text *t;

    p->secrets = mem_realloc(p->secrets, (p->n_secrets + 1) * sizeof *p->secrets);
    t = &p->secrets[p->n_secrets++];
    *t = *fresh;
    t->path = mem_strdup(path);
    return t;
}

int secrets_read(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1), *beside = luaL_checkstring(L, 2);
    struct policy *p = state_here(L)->policy;
    struct secret_text fresh = {.n = 0};
    const struct secret_text *found;
    char path[PATH_MAX];
    struct err e;

    if (p->env != NULL) {
        return push_given(L, p->env, name);
    }
    if (!find_path(name, beside, path, &e)) {
        return push_error(L, &e, errno == ENOENT);
    }
    found = find(p, path);
    if (found == NULL && (p->plan != NULL || !read_text(path, &fresh, &e))) {
        if (p->plan != NULL) {
            (void)err_set(&e, "%s: the first load of the policy did not read it", path);
            errno = ENOENT;
        }
        return push_error(L, &e, errno == ENOENT);
    }
    found = found != NULL ? found : keep(p, &fresh, path);
    lua_pushlstring(L, found->text, found->n);
    lua_pushboolean(L, found->open_to_all);
    return 2;
}
