/*
 * sluice test [DIR|FILE]... [-- BUSTED_OPTION...]
 *
 *   DIR (default: .)   its policies are checked, all its *_spec.lua run
 *   X.lua              it is checked, and X_spec.lua runs
 *   X_spec.lua         it runs
 *
 * busted runs them under LuaJIT; it finds the testing kit of this very binary.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/policies.h"
#include "cli/show.h"
#include "policy/load/embed.h"
#include "server/supervisor.h"

struct run {
    char **specs; /* owned */
    uint32_t n;
    char *path; /* LUA_PATH so far */
    bool bad;   /* a policy is */
    char kit[PATH_MAX];
    char tmp[PATH_MAX - 64];
};

static bool ends(const char *z, const char *tail)
{
    size_t n = strlen(z), k = strlen(tail);

    return n >= k && strcmp(z + n - k, tail) == 0;
}

static void add_spec(struct run *r, const char *path)
{
    r->specs = mem_realloc(r->specs, (r->n + 1) * sizeof *r->specs);
    r->specs[r->n++] = mem_strdup(path);
}

/* The modules that specs of this folder may require. */
static void add_path(struct run *r, const char *dir)
{
    char *longer;

    if (asprintf(&longer, "%s%s/?.lua;", r->path == NULL ? "" : r->path, dir) < 0) {
        abort(); /* as mem_alloc would */
    }
    free(r->path);
    r->path = longer;
}

static bool add_dir(struct run *r, const char *dir, struct err *e)
{
    struct dirent **list;
    int n = scandir(dir, &list, NULL, alphasort);
    uint32_t before = r->n;

    if (n < 0) {
        return err_errno(e, errno, "%s", dir);
    }
    for (int i = 0; i < n; i++) {
        char path[PATH_MAX];

        if (ends(list[i]->d_name, "_spec.lua")) {
            (void)snprintf(path, sizeof path, "%s/%s", dir, list[i]->d_name);
            add_spec(r, path);
        }
        free(list[i]);
    }
    free(list);
    add_path(r, dir);
    r->bad |= !policies_check(dir);
    return r->n > before || err_set(e, "%s has no file *_spec.lua", dir);
}

static bool add_file(struct run *r, const char *path, struct err *e)
{
    const char *slash = strrchr(path, '/');
    char dir[PATH_MAX], spec[PATH_MAX];

    (void)snprintf(dir, sizeof dir, "%.*s", slash == NULL ? 1 : (int)(slash - path),
                   slash == NULL ? "." : path);
    add_path(r, dir);
    if (ends(path, "_spec.lua")) {
        add_spec(r, path);
        return true;
    }
    if (!ends(path, ".lua")) {
        return err_set(e, "%s is neither a directory nor a .lua file", path);
    }
    r->bad |= !policies_check_file(path);
    (void)snprintf(spec, sizeof spec, "%.*s_spec.lua", (int)strlen(path) - 4, path);
    if (access(spec, R_OK) != 0) {
        return err_set(e, "%s has no spec: expected %s", path, spec);
    }
    add_spec(r, spec);
    return true;
}

static bool add(struct run *r, const char *path, struct err *e)
{
    struct stat st;

    if (stat(path, &st) != 0) {
        return err_errno(e, errno, "%s", path);
    }
    return S_ISDIR(st.st_mode) ? add_dir(r, path, e) : add_file(r, path, e);
}

/* The library lies beside the binary, or in lib/sluice beside its bin/. */
static bool find_kit(struct run *r, struct err *e)
{
    static const char *const places[] = {"libsluice.so", "../lib/sluice/libsluice.so"};
    char exe[PATH_MAX - 32];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    char *slash;

    exe[n < 0 ? 0 : n] = '\0';
    slash = strrchr(exe, '/');
    if (slash != NULL) {
        *slash = '\0';
        for (size_t i = 0; i < N_ELEMS(places); i++) {
            (void)snprintf(r->kit, sizeof r->kit, "%s/%s", exe, places[i]);
            if (access(r->kit, R_OK) == 0) {
                return true;
            }
        }
    }
    return err_set(e,
                   "libsluice.so is not beside the binary (%s), nor in "
                   "../lib/sluice",
                   exe);
}

static bool in_path(const char *program)
{
    char *list = mem_strdup(getenv("PATH") == NULL ? "" : getenv("PATH"));
    bool found = false;

    for (char *save, *dir = strtok_r(list, ":", &save); dir != NULL && !found;
         dir = strtok_r(NULL, ":", &save)) {
        char path[PATH_MAX];

        (void)snprintf(path, sizeof path, "%s/%s", dir, program);
        found = access(path, X_OK) == 0;
    }
    free(list);
    return found;
}

/* The kit's Lua side, of this version, where require finds it. */
static bool unpack_kit(struct run *r, struct err *e)
{
    const char *tmp = getenv("TMPDIR");
    struct str text = embed_find("lua/sluice/testing.lua");
    char path[PATH_MAX];
    FILE *f;

    (void)snprintf(r->tmp, sizeof r->tmp, "%s/sluice-kit-XXXXXX",
                   tmp == NULL ? "/tmp" : tmp);
    if (mkdtemp(r->tmp) == NULL) {
        return err_errno(e, errno, "%s", r->tmp);
    }
    (void)snprintf(path, sizeof path, "%s/sluice", r->tmp);
    (void)mkdir(path, 0700);
    (void)snprintf(path, sizeof path, "%s/sluice/testing.lua", r->tmp);
    f = fopen(path, "we");
    if (f == NULL || fwrite(text.p, 1, text.n, f) != text.n || fclose(f) != 0) {
        return err_errno(e, errno, "%s", path);
    }
    return true;
}

static void remove_kit(const struct run *r)
{
    char path[PATH_MAX];

    if (r->tmp[0] != '\0') {
        (void)snprintf(path, sizeof path, "%s/sluice/testing.lua", r->tmp);
        (void)unlink(path);
        (void)snprintf(path, sizeof path, "%s/sluice", r->tmp);
        (void)rmdir(path);
        (void)rmdir(r->tmp);
    }
}

static void set_environment(const struct run *r)
{
    const char *old = getenv("LUA_PATH");
    char *path;

    if (asprintf(&path, "%s/?.lua;%s%s", r->tmp, r->path, old == NULL ? ";" : old) <
        0) {
        abort();
    }
    (void)setenv("LUA_PATH", path, 1);
    (void)setenv("SLUICE_KIT", r->kit, 1);
    free(path);
}

/* busted's exit code; its output is ours. */
static int run_busted(const struct run *r, char **options, int n_options)
{
    char **argv = mem_zalloc((r->n + (uint32_t)n_options + 3) * sizeof *argv);
    uint32_t n = 0;
    int status = 0;
    pid_t pid;

    argv[n++] = mem_strdup("busted");
    argv[n++] = mem_strdup("--lua=luajit");
    for (int i = 0; i < n_options; i++) {
        argv[n++] = mem_strdup(options[i]);
    }
    for (uint32_t i = 0; i < r->n; i++) {
        argv[n++] = mem_strdup(r->specs[i]);
    }
    (void)fflush(stdout);
    pid = fork();
    if (pid == 0) {
        set_environment(r);
        (void)execvp(argv[0], argv);
        _exit(127);
    }
    /* A terminal's ^C reaches busted too, and the folder is still to remove. */
    (void)signal(SIGINT, SIG_IGN);
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    (void)signal(SIGINT, SIG_DFL);
    for (uint32_t i = 0; i < n; i++) {
        free(argv[i]);
    }
    free(argv);
    return pid < 0             ? EXIT_SETUP
           : WIFEXITED(status) ? WEXITSTATUS(status)
                               : 128 + WTERMSIG(status);
}

static int prepare(struct run *r, char **paths, int n, struct err *e)
{
    char here[] = ".";
    char *whole[] = {here};

    for (int i = 0; i < (n > 0 ? n : 1); i++) {
        if (!add(r, n > 0 ? paths[i] : whole[0], e)) {
            return EXIT_USAGE;
        }
    }
    if (!in_path("busted") || !in_path("luajit")) {
        (void)err_set(e,
                      "specs run with busted and luajit, and %s is not "
                      "installed: apt-get install lua-busted luajit",
                      in_path("busted") ? "luajit" : "busted");
        return EXIT_SETUP;
    }
    return find_kit(r, e) && unpack_kit(r, e) ? EXIT_OK : EXIT_SETUP;
}

int cli_test(int argc, char **argv)
{
    struct run r = {0};
    int n = 0, n_options = 0, code;
    struct err e;

    argv++;
    argc--;
    while (n < argc && strcmp(argv[n], "--") != 0) {
        if (argv[n][0] == '-') {
            return usage_wrong("test");
        }
        n++;
    }
    n_options = n < argc ? argc - n - 1 : 0;
    code = prepare(&r, argv, n, &e);
    if (code != EXIT_OK) {
        show_error(e.text);
    } else {
        code = run_busted(&r, argv + n + 1, n_options);
        code = code == 0 && r.bad ? EXIT_POLICY : code;
    }
    remove_kit(&r);
    for (uint32_t i = 0; i < r.n; i++) {
        free(r.specs[i]);
    }
    free(r.specs);
    free(r.path);
    return code;
}
