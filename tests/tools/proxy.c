/*
 * proxy - passes TCP on and makes some HTTP answers late.
 *
 *   proxy PORT UPSTREAM_PORT PERCENT MS     on 127.0.0.1
 *
 * A thread a connection; of the answers on all of them PERCENT are held for MS
 * before their first byte goes on.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int upstream_port, percent, late_ms;
static _Atomic unsigned answers;

static struct sockaddr_in address(int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
}

static bool pass(int from, int to, char *bytes, size_t room)
{
    ssize_t n = read(from, bytes, room);

    for (ssize_t sent = 0, k; sent < n; sent += k) {
        k = send(to, bytes + sent, (size_t)(n - sent), MSG_NOSIGNAL);
        if (k <= 0) {
            return false;
        }
    }
    return n > 0;
}

static void hold(void)
{
    /* Every so-manieth: the share is exact. */
    unsigned nth = ++answers;

    if (percent > 0 && nth % (unsigned)(100 / percent) == 0) {
        struct timespec t = {late_ms / 1000, late_ms % 1000 * 1000000L};

        (void)nanosleep(&t, NULL);
    }
}

static void *serve(void *arg)
{
    int client = (int)(intptr_t)arg, up = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    struct sockaddr_in a = address(upstream_port);
    static _Thread_local char bytes[65536];
    bool answering = false, ok = connect(up, (void *)&a, sizeof a) == 0;

    (void)setsockopt(up, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    while (ok) {
        struct pollfd p[2] = {{client, POLLIN, 0}, {up, POLLIN, 0}};

        (void)poll(p, 2, -1);
        if (p[0].revents != 0) {
            answering = false;
            ok = pass(client, up, bytes, sizeof bytes);
        } else if (p[1].revents != 0) {
            if (!answering) {
                answering = true;
                hold();
            }
            ok = pass(up, client, bytes, sizeof bytes);
        }
    }
    (void)close(up);
    (void)close(client);
    return NULL;
}

int main(int argc, char **argv)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    struct sockaddr_in a;

    if (argc != 5) {
        return 2;
    }
    a = address(atoi(argv[1]));
    upstream_port = atoi(argv[2]);
    percent = atoi(argv[3]);
    late_ms = atoi(argv[4]);
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (void *)&a, sizeof a) != 0 || listen(fd, 128) != 0) {
        return 1;
    }
    for (;;) {
        int client = accept(fd, NULL, NULL);
        pthread_t t;

        (void)setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (client >= 0 &&
            pthread_create(&t, NULL, serve, (void *)(intptr_t)client) == 0) {
            (void)pthread_detach(t);
        }
    }
}
