#include "cli/terminal.h"

#include <errno.h>
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
static bool begun;
static sigset_t held;
static volatile sig_atomic_t ended, resized, stopped;

bool terminal_fits(void)
{
    const char *term = getenv("TERM");

    return isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1 && term != NULL &&
           term[0] != '\0' && strcmp(term, "dumb") != 0;
}

bool terminal_draw(const char *p, size_t n)
{
    while (n > 0) {
        ssize_t k = write(STDOUT_FILENO, p, n);

        if (k < 0 && errno != EINTR) {
            return false;
        }
        p += k > 0 ? k : 0;
        n -= k > 0 ? (size_t)k : 0;
    }
    return true;
}

/* Keys as they come. Signals' keys stay: Ctrl-C, Ctrl-Z. */
static bool take(void)
{
    struct termios raw = before;

    raw.c_lflag &= (tcflag_t) ~(ICANON | ECHO);
    raw.c_cc[VMIN] = 0;
    raw.c_cc[VTIME] = 0;
    return tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) == 0 &&
           terminal_draw(enter, sizeof enter - 1);
}

/* Safe in a signal's handler. */
static void give_back(void)
{
    ssize_t n = write(STDOUT_FILENO, leave, sizeof leave - 1);

    (void)n;
    (void)tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
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

bool terminal_begin(void)
{
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE};
    static const int faults[] = {SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL};
    sigset_t all;

    if (tcgetattr(STDIN_FILENO, &before) != 0) {
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
    (void)sigaddset(&all, SIGWINCH);
    (void)sigaddset(&all, SIGTSTP);
    (void)sigprocmask(SIG_BLOCK, &all, &held);
    begun = true;
    if (!take()) {
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

/* Ctrl-Z: as a shell's job it stops, with the shell's own terminal; and goes on. */
static void stop(void)
{
    stopped = 0;
    give_back();
    (void)raise(SIGSTOP);
    (void)take();
    resized = 1;
}

/* "\033[A" and its kind; a lone ESC is none of them. */
static int key_of(const char *p, ssize_t n)
{
    static const struct {
        const char *sequence;
        int key;
    } keys[] = {{"\033[A", KEY_UP},       {"\033[B", KEY_DOWN},
                {"\033OA", KEY_UP},       {"\033OB", KEY_DOWN},
                {"\033[5~", KEY_PAGE_UP}, {"\033[6~", KEY_PAGE_DOWN}};

    for (size_t i = 0; i < N_ELEMS(keys); i++) {
        size_t k = strlen(keys[i].sequence);

        if ((size_t)n >= k && memcmp(p, keys[i].sequence, k) == 0) {
            return keys[i].key;
        }
    }
    return (unsigned char)p[0];
}

int terminal_key(long ms)
{
    const struct timespec limit = {ms / 1000, ms % 1000 * 1000000};
    struct pollfd fd = {STDIN_FILENO, POLLIN, 0};
    char p[16];
    ssize_t n;

    (void)ppoll(&fd, 1, &limit, &held);
    if (stopped) {
        stop();
    }
    if (ended) {
        return KEY_GONE;
    }
    if (resized) {
        resized = 0;
        return KEY_RESIZE;
    }
    if (fd.revents == 0) {
        return KEY_NONE;
    }
    n = read(STDIN_FILENO, p, sizeof p);
    return n > 0                                               ? key_of(p, n)
           : n < 0 && errno == EINTR                           ? KEY_NONE
           : n == 0 && (fd.revents & (POLLHUP | POLLERR)) == 0 ? KEY_NONE
                                                               : KEY_GONE;
}
