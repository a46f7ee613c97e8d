#include "process/command.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/mem.h"

enum { COMMAND_BYTES = 1 << 20 };

static bool read_words(struct command *c, struct err *e)
{
    int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    size_t n = 0, at = 0;
    ssize_t got = 0;
    int k = 0;

    if (fd < 0) {
        return err_errno(e, errno, "can't read this process's own command");
    }
    while (
        n < COMMAND_BYTES - 1 &&
        ((got = read(fd, c->text + n, COMMAND_BYTES - 1 - n)) > 0 || errno == EINTR)) {
        n += got > 0 ? (size_t)got : 0;
        if (got == 0) {
            break;
        }
    }
    (void)close(fd);
    if (n == 0 || n == COMMAND_BYTES - 1) {
        return err_set(e, "can't read this process's own command");
    }
    c->text[n] = '\0';
    for (; at < n && k < COMMAND_WORDS_MAX; at += strlen(c->text + at) + 1) {
        c->words[k++] = c->text + at;
    }
    c->words[k] = NULL;
    return at >= n || err_set(e, "this process's command has too many words");
}

/* Words about this process alone. One that came to have its number would believe them: it
 * would take the channel for a socket to listen on. */
static bool is_own(const char *word)
{
    static const char *const own[] = {"WATCHDOG_PID=", "LISTEN_PID="};
    bool is = false;

    for (size_t i = 0; i < N_ELEMS(own); i++) {
        is |= strncmp(word, own[i], strlen(own[i])) == 0;
    }
    return is;
}

static char **environment(const char *note)
{
    size_t n = 0, k = 0;
    char **all;

    while (environ[n] != NULL) {
        n++;
    }
    all = mem_alloc((n + 2) * sizeof *all);
    for (size_t i = 0; i < n; i++) {
        if (!is_own(environ[i])) {
            all[k++] = mem_strdup(environ[i]);
        }
    }
    all[k++] = mem_strdup(note);
    all[k] = NULL;
    return all;
}

bool command_own(struct command *c, const char *note, struct err *e)
{
    *c = (struct command){.text = mem_alloc(COMMAND_BYTES)};
    if (!read_words(c, e)) {
        command_free(c);
        return false;
    }
    c->with = environment(note);
    return true;
}

void command_free(struct command *c)
{
    for (size_t i = 0; c->with != NULL && c->with[i] != NULL; i++) {
        free(c->with[i]);
    }
    free(c->with);
    free(c->text);
    *c = (struct command){.text = NULL};
}

int command_spawn(const struct command *c, int fd, pid_t *pid)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t how;
    sigset_t none, all;
    int rc;

    (void)sigemptyset(&none);
    (void)sigfillset(&all);
    (void)posix_spawnattr_init(&how);
    (void)posix_spawn_file_actions_init(&files);
    (void)posix_spawnattr_setsigmask(&how, &none);
    (void)posix_spawnattr_setsigdefault(&how, &all);
    (void)posix_spawnattr_setflags(&how,
                                   POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    /* Onto itself: it stays open. */
    rc = posix_spawn_file_actions_adddup2(&files, fd, fd);
    if (rc == 0) {
        rc = posix_spawnp(pid, c->words[0], &files, &how, c->words, c->with);
    }
    (void)posix_spawn_file_actions_destroy(&files);
    (void)posix_spawnattr_destroy(&how);
    return rc;
}

/* As execvpe, but for what that gives to a shell: a binary that is garbage is a fault,
 * not a script. */
static void exec_by_name(const struct command *c)
{
    const char *dir = getenv("PATH"), *name = c->words[0];
    char path[PATH_MAX];

    if (strchr(name, '/') != NULL) {
        (void)execve(name, c->words, c->with);
        return;
    }
    errno = ENOENT;
    for (dir = dir == NULL ? "/usr/bin:/bin" : dir; dir[0] != '\0';
         dir += dir[0] == ':') {
        int n = (int)strcspn(dir, ":");

        if (snprintf(path, sizeof path, "%.*s%s%s", n, dir, n == 0 ? "" : "/", name) <
            (int)sizeof path) {
            (void)execve(path, c->words, c->with);
            if (errno != ENOENT && errno != ENOTDIR && errno != EACCES) {
                return;
            }
        }
        dir += n;
    }
}

int command_exec(const struct command *c)
{
    sigset_t none;

    for (int i = 1; i < NSIG; i++) {
        (void)signal(i, SIG_DFL);
    }
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    exec_by_name(c);
    return errno;
}
