#include "cli/watch/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "base/attr.h"

/* The other screen, no cursor; and back. */
static const char enter[] = "\033[?1049h\033[?25l\033[2J",
                  leave[] = "\033[?25h\033[?1049l";

static struct termios before;
static bool begun;    /* it is this program's */
static bool entering; /* the next frame begins with enter */
static bool gone;     /* it is not to be had again */
static sigset_t held; /* the signals that are let in while one waits */
static int out = STDOUT_FILENO;
static char keys[64]; /* that were read, and not asked for yet */
static size_t n_keys;
static volatile sig_atomic_t ended, resized, stopped, continued;

bool terminal_fits(void)
{
    const char *term = getenv("TERM");

    return isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1 && term != NULL &&
           term[0] != '\0' && strcmp(term, "dumb") != 0;
}

/* Keys as they come. Signals' keys stay: Ctrl-C, Ctrl-Z. */
static bool take(void)
{
    struct termios raw = before;

    raw.c_lflag &= (tcflag_t) ~(ICANON | ECHO);
    raw.c_cc[VMIN] = 0;
    raw.c_cc[VTIME] = 0;
    entering = true;
    return tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
}

/* Safe in a signal's handler. Neither waits: a terminal that takes nothing gets its settings
 * back, and not its screen. One that another job has in front is left alone. */
static void give_back(void)
{
    pid_t front = tcgetpgrp(STDIN_FILENO);
    ssize_t n;

    if (front >= 0 && front != getpgrp()) {
        return;
    }
    n = write(out, leave, sizeof leave - 1);
    (void)n;
    (void)tcsetattr(STDIN_FILENO, TCSANOW, &before);
}

/* A job in the background stops here until it is in front, as a shell's jobs do: before it
 * reads settings that are the shell's own, and not those of its jobs. TCOON changes nothing,
 * and is refused there. False: a signal to end, or the terminal has gone. */
static bool await_front(void)
{
    while (tcflow(STDIN_FILENO, TCOON) != 0) {
        if (errno != EINTR || ended != 0) {
            return false;
        }
    }
    return true;
}

/* Signals come while it is stopped, so that "kill %1" of a shell ends it there. */
static void stop_until_front(bool raised)
{
    sigset_t blocked;

    (void)sigprocmask(SIG_SETMASK, &held, &blocked);
    if (raised) {
        (void)raise(SIGSTOP);
    }
    stopped = continued = 0; /* a second Ctrl-Z meant the same */
    gone = ended != 0 || !await_front();
    (void)sigprocmask(SIG_SETMASK, &blocked, NULL);
}

/* Ctrl-Z: it stops as a shell's job, with the terminal as it was, and goes on with the
 * settings that jobs have then. */
static void stop(void)
{
    begun = false;
    give_back();
    stop_until_front(true);
    if (!gone) {
        gone = tcgetattr(STDIN_FILENO, &before) != 0 || !take();
        begun = !gone;
        resized = 1;
    }
}

/* SIGSTOP came, of which no program hears, and the shell has used the terminal since. */
static void go_on(void)
{
    stop_until_front(false);
    begun = begun && !(gone && ended == 0);
    if (!gone) {
        gone = !take();
        resized = 1;
    }
}

/* True: it was stopped, and what was drawn before is no more there. */
static bool was_stopped(void)
{
    if (stopped) {
        stop();
        return true;
    }
    if (continued) {
        go_on();
        return true;
    }
    return false;
}

/* A terminal takes nothing while Ctrl-S stops it, or when who shows it hangs. Then this
 * waits, as long as no signal comes. */
static bool await_room(void)
{
    struct pollfd fd = {out, POLLOUT, 0};

    (void)ppoll(&fd, 1, NULL, &held);
    return !was_stopped() && ended == 0;
}

static bool put(const char *p, size_t n)
{
    while (n > 0) {
        ssize_t k = write(out, p, n);

        if (k < 0 && errno != EINTR && !(errno == EAGAIN && await_room())) {
            return false;
        }
        p += k > 0 ? k : 0;
        n -= k > 0 ? (size_t)k : 0;
    }
    return true;
}

bool terminal_draw(const char *p, size_t n)
{
    bool first = entering;

    entering = false;
    /* Entering again, the rest of the frame is dropped: the next one is whole. */
    return ((!first || put(enter, sizeof enter - 1)) && put(p, n)) || entering;
}

static void on_end(int n)
{
    ended = n;
}

static void on_resize(int n)
{
    (void)n;
    resized = 1;
}

static void on_stop(int n)
{
    (void)n;
    stopped = 1;
}

static void on_continue(int n)
{
    (void)n;
    continued = 1;
}

/* A fault of this program: the terminal first, then as it would have ended. */
static void on_fault(int n)
{
    if (begun) {
        begun = false;
        give_back();
    }
    (void)signal(n, SIG_DFL);
    (void)raise(n);
}

static void on(int n, void (*fn)(int))
{
    struct sigaction a = {.sa_handler = fn};

    (void)sigemptyset(&a.sa_mask);
    (void)sigaction(n, &a, NULL);
}

/* Of its own: O_NONBLOCK on standard output would be the shell's, too. */
static int open_output(void)
{
    int fd = open("/proc/self/fd/1", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

    return fd < 0 ? STDOUT_FILENO : fd;
}

bool terminal_begin(void)
{
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE};
    static const int faults[] = {SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL};
    sigset_t all;

    if (!await_front() || tcgetattr(STDIN_FILENO, &before) != 0) {
        return false;
    }
    (void)sigemptyset(&all);
    for (size_t i = 0; i < N_ELEMS(ends); i++) {
        on(ends[i], on_end);
        (void)sigaddset(&all, ends[i]);
    }
    for (size_t i = 0; i < N_ELEMS(faults); i++) {
        on(faults[i], on_fault);
    }
    on(SIGWINCH, on_resize);
    on(SIGTSTP, on_stop);
    on(SIGCONT, on_continue);
    (void)sigaddset(&all, SIGWINCH);
    (void)sigaddset(&all, SIGTSTP);
    (void)sigaddset(&all, SIGCONT);
    (void)sigprocmask(SIG_BLOCK, &all, &held);
    out = open_output();
    begun = true;
    if (!take() || !terminal_draw("", 0)) {
        terminal_end();
        return false;
    }
    return true;
}

void terminal_end(void)
{
    if (begun) {
        begun = false;
        give_back();
        if (out != STDOUT_FILENO) {
            (void)close(out);
            out = STDOUT_FILENO;
        }
    }
}

int terminal_signal(void)
{
    return ended;
}

struct terminal_size terminal_size(void)
{
    struct winsize w;

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) != 0 || w.ws_col == 0 || w.ws_row == 0) {
        return (struct terminal_size){80, 24};
    }
    return (struct terminal_size){w.ws_col, w.ws_row};
}

/* Bytes of the first key. Those of "\033[3~" and "\033OQ" are not keys by themselves. */
static size_t key_bytes(void)
{
    size_t n = 2;

    if (keys[0] != '\033' || n_keys < 2 || (keys[1] != '[' && keys[1] != 'O')) {
        return 1;
    }
    while (n < n_keys && (keys[n] < '@' || keys[n] > '~')) {
        n++;
    }
    return n < n_keys ? n + 1 : n_keys;
}

/* "\033[A" and its kind; a lone ESC is none of them. */
static int take_key(void)
{
    static const struct {
        const char *sequence;
        int key;
    } known[] = {{"\033[A", KEY_UP},       {"\033[B", KEY_DOWN},
                 {"\033OA", KEY_UP},       {"\033OB", KEY_DOWN},
                 {"\033[5~", KEY_PAGE_UP}, {"\033[6~", KEY_PAGE_DOWN}};

    const size_t n = key_bytes();
    int key = (unsigned char)keys[0];

    for (size_t i = 0; i < N_ELEMS(known); i++) {
        if (strlen(known[i].sequence) == n && memcmp(keys, known[i].sequence, n) == 0) {
            key = known[i].key;
        }
    }
    n_keys -= n;
    memmove(keys, keys + n, n_keys);
    return key;
}

int terminal_key(long ms)
{
    const struct timespec limit = {ms / 1000, ms % 1000 * 1000000};
    static const struct timespec at_once = {0, 0};
    struct pollfd fd = {STDIN_FILENO, POLLIN, 0};
    ssize_t n;

    (void)ppoll(&fd, 1, n_keys > 0 ? &at_once : &limit, &held);
    (void)was_stopped();
    if (ended || gone) {
        return KEY_GONE;
    }
    if (resized) {
        resized = 0;
        return KEY_RESIZE;
    }
    if (n_keys > 0) {
        return take_key();
    }
    if (fd.revents == 0) {
        return KEY_NONE;
    }
    n = read(STDIN_FILENO, keys, sizeof keys);
    n_keys = n > 0 ? (size_t)n : 0;
    return n > 0                                               ? take_key()
           : n < 0 && errno == EINTR                           ? KEY_NONE
           : n == 0 && (fd.revents & (POLLHUP | POLLERR)) == 0 ? KEY_NONE
                                                               : KEY_GONE;
}
