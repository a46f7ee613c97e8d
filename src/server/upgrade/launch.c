#include "server/upgrade/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"

enum { COMMAND_BYTES = 1 << 20, WORDS_MAX = 64 };

/* The words that this process was started with; the last is NULL, all lie in text. */
static bool words_of(char *text, char *words[WORDS_MAX + 1], struct err *e)
{
    int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    size_t n = 0, at = 0;
    ssize_t got = 0;
    int k = 0;

    if (fd < 0) {
        return err_errno(e, errno, "can't read this process's own command");
    }
    while (n < COMMAND_BYTES - 1 &&
           ((got = read(fd, text + n, COMMAND_BYTES - 1 - n)) > 0 || errno == EINTR)) {
        n += got > 0 ? (size_t)got : 0;
        if (got == 0) {
            break;
        }
    }
    (void)close(fd);
    if (n == 0 || n == COMMAND_BYTES - 1) {
        return err_set(e, "can't read this process's own command");
    }
    text[n] = '\0';
    for (; at < n && k < WORDS_MAX; at += strlen(text + at) + 1) {
        words[k++] = text + at;
    }
    words[k] = NULL;
    return at >= n || err_set(e, "this process's command has too many words");
}

/* All but a word that is about this process alone: it would not ping the service
 * manager. */
static char **environment(const char *note)
{
    static const char own[] = "WATCHDOG_PID=";
    size_t n = 0, k = 0;
    char **all;

    while (environ[n] != NULL) {
        n++;
    }
    all = mem_alloc((n + 2) * sizeof *all);
    for (size_t i = 0; i < n; i++) {
        if (strncmp(environ[i], own, sizeof own - 1) != 0) {
            all[k++] = environ[i];
        }
    }
    all[k++] = (char *)(uintptr_t)note;
    all[k] = NULL;
    return all;
}

static int spawn(char *const words[], char *const *with, int fd, pid_t *pid)
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
        rc = posix_spawnp(pid, words[0], &files, &how, words, with);
    }
    (void)posix_spawn_file_actions_destroy(&files);
    (void)posix_spawnattr_destroy(&how);
    return rc;
}

bool launch(const char *note, int fd, pid_t *pid, struct err *e)
{
    char *text = mem_alloc(COMMAND_BYTES), *words[WORDS_MAX + 1];
    char **with = environment(note);
    bool ok = words_of(text, words, e);

    if (ok) {
        int rc = spawn(words, with, fd, pid);

        ok = rc == 0 || err_errno(e, rc, "can't start \"%.100s\"", words[0]);
    }
    free(with);
    free(text);
    return ok;
}
