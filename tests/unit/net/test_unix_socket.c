/* A Unix socket's file: made with its rights, removed only when nobody listens. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "net/unix_socket.h"

static char dir[] = "/tmp/sluice-unix-XXXXXX";
static char path[64];
static const struct unix_rights plain = {.mode = 0600};

static int setup(void **state)
{
    (void)state;
    if (mkdtemp(dir) == NULL) {
        return 1;
    }
    (void)snprintf(path, sizeof path, "%s/in.sock", dir);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    (void)unlink(path);
    return rmdir(dir);
}

static bool connects(void)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    bool ok;

    memcpy(sa.sun_path, path, strlen(path) + 1);
    ok = connect(fd, (struct sockaddr *)&sa, sizeof sa) == 0;
    (void)close(fd);
    return ok;
}

static void a_file_has_the_mode_of_the_policy(void **state)
{
    const mode_t before = umask(077);
    struct unix_socket s;
    struct stat st;
    struct err e;

    (void)state;
    assert_true(unix_socket_open(path, &(struct unix_rights){.mode = 0666}, &s, &e));
    (void)umask(before);
    assert_int_equal(0, stat(path, &st));
    assert_int_equal(0666, st.st_mode & 0777);
    assert_true(connects());
    /* A program that sluice starts would keep it. */
    assert_int_equal(FD_CLOEXEC, fcntl(s.fd, F_GETFD));
    unix_socket_close(&s);
    assert_int_equal(-1, s.fd);
    assert_int_equal(-1, access(path, F_OK));
    unix_socket_close(&s); /* harmless */
}

static void an_owner_may_be_a_number_and_must_be_known(void **state)
{
    char user[16], group[16];
    struct unix_socket s;
    struct stat st;
    struct err e;

    (void)state;
    (void)snprintf(user, sizeof user, "%u", geteuid());
    (void)snprintf(group, sizeof group, "%u", getegid());
    assert_true(unix_socket_open(
        path, &(struct unix_rights){.mode = 0600, .user = user, .group = group}, &s,
        &e));
    assert_int_equal(0, stat(path, &st));
    assert_int_equal(geteuid(), st.st_uid);
    unix_socket_close(&s);
    assert_false(unix_socket_open(
        path, &(struct unix_rights){.mode = 0600, .user = "no-such-user"}, &s, &e));
    assert_string_equal("there is no user \"no-such-user\"", e.text);
    assert_false(unix_socket_open(
        path, &(struct unix_rights){.mode = 0600, .group = "no-such-group"}, &s, &e));
    assert_string_equal("there is no group \"no-such-group\"", e.text);
    assert_int_equal(-1, access(path, F_OK)); /* nothing is left of it */
}

static void a_reload_changes_the_mode_of_its_own_file_alone(void **state)
{
    char other[80];
    struct unix_socket s;
    struct stat st;
    struct err e;
    FILE *f;

    (void)state;
    assert_true(unix_socket_open(path, &plain, &s, &e));
    assert_true(unix_socket_rights(&s, &(struct unix_rights){.mode = 0660}, &e));
    assert_int_equal(0, stat(path, &st));
    assert_int_equal(0660, st.st_mode & 07777);
    assert_false(unix_socket_rights(
        &s, &(struct unix_rights){.mode = 0600, .user = "no-such-user"}, &e));
    assert_string_equal("there is no user \"no-such-user\"", e.text);
    /* Whoever may write the folder must not lead it to another file. */
    (void)snprintf(other, sizeof other, "%s-other", path);
    f = fopen(other, "w");
    assert_non_null(f);
    (void)fclose(f);
    assert_int_equal(0, chmod(other, 0600));
    assert_int_equal(0, unlink(path));
    assert_int_equal(0, symlink(other, path));
    assert_true(unix_socket_rights(&s, &(struct unix_rights){.mode = 0666}, &e));
    assert_int_equal(0, stat(other, &st));
    assert_int_equal(0600, st.st_mode & 07777);
    unix_socket_close(&s);
    (void)unlink(path);
    (void)unlink(other);
}

/* As kill -9 leaves it. */
static void leave_a_file(void)
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        struct unix_socket s;
        struct err e;

        _exit(!unix_socket_open(path, &plain, &s, &e));
    }
    assert_int_equal(pid, waitpid(pid, &status, 0));
    assert_int_equal(0, status);
    assert_int_equal(0, access(path, F_OK));
}

static void a_file_that_a_dead_process_left_is_replaced(void **state)
{
    struct unix_socket s;
    struct err e;

    (void)state;
    leave_a_file();
    assert_false(connects());
    assert_true(unix_socket_open(path, &plain, &s, &e));
    assert_true(connects());
    unix_socket_close(&s);
}

static void a_second_instance_leaves_the_first_alone(void **state)
{
    struct unix_socket first, second;
    struct err e;
    char text[160];

    (void)state;
    assert_true(unix_socket_open(path, &plain, &first, &e));
    assert_false(unix_socket_open(path, &plain, &second, &e));
    (void)snprintf(text, sizeof text,
                   "can't listen on unix:%s: another process listens on it", path);
    assert_string_equal(text, e.text);
    unix_socket_close(&second);
    assert_true(connects());
    unix_socket_close(&first);
}

/* One that accepts nothing, and whose queue is full, listens too. */
static void a_busy_instance_is_left_alone(void **state)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    int clients[3], fd = socket(AF_UNIX, SOCK_STREAM, 0);
    struct unix_socket s;
    struct err e;

    (void)state;
    memcpy(sa.sun_path, path, strlen(path) + 1);
    assert_int_equal(0, bind(fd, (struct sockaddr *)&sa, sizeof sa));
    assert_int_equal(0, listen(fd, 0));
    for (size_t i = 0; i < 3; i++) {
        clients[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)connect(clients[i], (struct sockaddr *)&sa, sizeof sa);
    }
    assert_false(unix_socket_open(path, &plain, &s, &e));
    assert_non_null(strstr(e.text, "another process listens on it"));
    for (size_t i = 0; i < 3; i++) {
        (void)close(clients[i]);
    }
    (void)close(fd);
    assert_int_equal(0, unlink(path));
}

static void another_kind_of_file_is_never_removed(void **state)
{
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    struct unix_socket s;
    struct err e;

    (void)state;
    assert_int_equal(3, write(fd, "own", 3));
    (void)close(fd);
    assert_false(unix_socket_open(path, &plain, &s, &e));
    assert_non_null(strstr(e.text, "the path is taken by a file that is no socket"));
    assert_int_equal(0, access(path, F_OK));
    assert_int_equal(0, unlink(path));
    assert_int_equal(0, symlink("/tmp/sluice-nowhere", path));
    assert_false(unix_socket_open(path, &plain, &s, &e));
    assert_int_equal(0, unlink(path));
}

/* Two starts at once: while another one looks at the folder, this one waits. */
static void the_folder_is_locked_meanwhile(void **state)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY);
    struct unix_socket s;
    struct err e;

    (void)state;
    assert_int_equal(0, flock(fd, LOCK_EX));
    assert_false(unix_socket_open(path, &plain, &s, &e));
    assert_non_null(strstr(e.text, "can't lock its folder"));
    (void)close(fd);
    assert_true(unix_socket_open(path, &plain, &s, &e));
    unix_socket_close(&s);
}

static void a_file_of_another_is_left_at_the_end(void **state)
{
    struct unix_socket s, other;
    struct err e;

    (void)state;
    assert_true(unix_socket_open(path, &plain, &s, &e));
    assert_int_equal(0, unlink(path)); /* by hand */
    assert_true(unix_socket_open(path, &plain, &other, &e));
    unix_socket_close(&s);
    assert_true(connects());
    unix_socket_close(&other);
}

static void a_path_must_fit_and_be_absolute(void **state)
{
    char text[160];
    struct unix_socket s;
    struct err e;

    (void)state;
    memset(text, 'a', sizeof text);
    text[0] = '/';
    text[UNIX_PATH_BYTES] = '\0';
    assert_false(unix_socket_open(text, &plain, &s, &e));
    assert_non_null(strstr(e.text, "the path has 108 bytes, and a Unix socket's has at "
                                   "most 107"));
    assert_false(unix_socket_open("in.sock", &plain, &s, &e));
    assert_non_null(strstr(e.text, "expected an absolute path"));
    assert_false(unix_socket_open("/tmp/sluice-no-folder/in.sock", &plain, &s, &e));
    assert_string_equal(
        "can't listen on unix:/tmp/sluice-no-folder/in.sock: can't open "
        "its folder: No such file or directory",
        e.text);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_has_the_mode_of_the_policy),
        cmocka_unit_test(an_owner_may_be_a_number_and_must_be_known),
        cmocka_unit_test(a_reload_changes_the_mode_of_its_own_file_alone),
        cmocka_unit_test(a_file_that_a_dead_process_left_is_replaced),
        cmocka_unit_test(a_second_instance_leaves_the_first_alone),
        cmocka_unit_test(a_busy_instance_is_left_alone),
        cmocka_unit_test(another_kind_of_file_is_never_removed),
        cmocka_unit_test(the_folder_is_locked_meanwhile),
        cmocka_unit_test(a_file_of_another_is_left_at_the_end),
        cmocka_unit_test(a_path_must_fit_and_be_absolute)};

    return cmocka_run_group_tests_name("unix_socket", tests, setup, teardown);
}
