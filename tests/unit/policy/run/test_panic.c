/* An error of Lua that no call catches ends the process by a code of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <lauxlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "policy/internal.h"
#include "tools/hooked.h"

static void ends_with_71_and_says_why(void **state)
{
    char text[512];
    ssize_t n;
    int fds[2], status;
    struct hooked h;
    pid_t pid;

    (void)state;
    hooked_open(&h, NULL, false);
    assert_int_equal(0, pipe(fds));
    pid = fork();
    if (pid == 0) {
        (void)dup2(fds[1], STDERR_FILENO);
        (void)luaL_error(h.state->L, "not enough memory");
        _exit(0);
    }
    (void)close(fds[1]);
    n = read(fds[0], text, sizeof text - 1);
    assert_true(n > 0);
    text[n] = '\0';
    assert_int_equal(pid, waitpid(pid, &status, 0));
    assert_true(WIFEXITED(status));
    assert_int_equal(71, WEXITSTATUS(status));
    assert_non_null(strstr(text, "event=panic why=\"not enough memory\" exit=71"));
    (void)close(fds[0]);
    hooked_close(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ends_with_71_and_says_why),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
