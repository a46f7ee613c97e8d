#include "http/peers.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/siphash.h"

enum { BUCKETS = 4096, NETWORK_BYTES = 8 };

struct entry {
    struct entry *next;
    struct peer who;
    uint32_t n;
};

struct peers {
    struct siphash_key key; /* clients choose their addresses */
    struct entry *buckets[BUCKETS];
};

struct peers *peers_new(void)
{
    struct peers *p = mem_zalloc(sizeof *p);

    siphash_key_random(&p->key);
    return p;
}

void peers_free(struct peers *p)
{
    if (p == NULL) {
        return;
    }
    for (size_t i = 0; i < BUCKETS; i++) {
        while (p->buckets[i] != NULL) {
            struct entry *next = p->buckets[i]->next;

            free(p->buckets[i]);
            p->buckets[i] = next;
        }
    }
    free(p);
}

static const struct in6_addr *six(const struct sockaddr_storage *sa)
{
    return &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr;
}

/* The IPv4 address of sa; NULL: it has none. */
static const void *four(const struct sockaddr_storage *sa)
{
    if (sa->ss_family == AF_INET) {
        return &((const struct sockaddr_in *)(const void *)sa)->sin_addr;
    }
    if (sa->ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(six(sa))) {
        return &six(sa)->s6_addr[12];
    }
    return NULL;
}

struct conn_origin origin_of(const struct sockaddr_storage *sa)
{
    struct conn_origin o = {.local = sa->ss_family == AF_UNIX};

    o.unknown = !o.local && !address_of_socket(sa, &o.address);
    return o;
}

struct conn_origin origin_of_text(struct str peer)
{
    struct conn_origin o = {.local = str_eq(peer, STR("unix"))};

    o.unknown = !o.local && !address_read(peer, &o.address);
    return o;
}

static void put_number(uint8_t *out, uint64_t v, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        out[i] = (uint8_t)(v >> (8 * (n - 1 - i)));
    }
}

struct peer peer_of_address(const struct address *a)
{
    struct peer who = {{0}};

    if (a->four) {
        memset(who.bytes + 10, 0xff, 2);
        put_number(who.bytes + 12, a->lo, 4);
    } else {
        put_number(who.bytes, a->hi, NETWORK_BYTES);
    }
    return who;
}

struct peer peer_of(const struct sockaddr_storage *sa)
{
    struct peer who = {{0}};
    const void *v4 = four(sa);

    if (v4 != NULL) {
        memset(who.bytes + 10, 0xff, 2);
        memcpy(who.bytes + 12, v4, 4);
    } else if (sa->ss_family == AF_INET6) {
        memcpy(who.bytes, six(sa)->s6_addr, NETWORK_BYTES);
    }
    return who;
}

void peer_show(const struct sockaddr_storage *sa, char *out, size_t n)
{
    const void *v4 = four(sa);

    out[0] = '\0';
    if (v4 != NULL) {
        (void)inet_ntop(AF_INET, v4, out, (socklen_t)n);
    } else if (sa->ss_family == AF_INET6) {
        (void)inet_ntop(AF_INET6, six(sa), out, (socklen_t)n);
    } else if (sa->ss_family == AF_UNIX) {
        (void)snprintf(out, n, "unix");
    }
}

/* The link to its entry, or to the end of its chain. */
static struct entry **find(struct peers *p, const struct peer *who)
{
    struct entry **at = &p->buckets[siphash13(&p->key, who, sizeof *who) % BUCKETS];

    while (*at != NULL && memcmp(&(*at)->who, who, sizeof *who) != 0) {
        at = &(*at)->next;
    }
    return at;
}

uint32_t peers_count(const struct peers *p, const struct peer *who)
{
    const struct entry *e = p->buckets[siphash13(&p->key, who, sizeof *who) % BUCKETS];

    while (e != NULL && memcmp(&e->who, who, sizeof *who) != 0) {
        e = e->next;
    }
    return e == NULL ? 0 : e->n;
}

void peers_enter(struct peers *p, const struct peer *who)
{
    struct entry **at = find(p, who);

    if (*at == NULL) {
        *at = mem_alloc(sizeof **at);
        **at = (struct entry){.who = *who};
    }
    (*at)->n++;
}

void peers_leave(struct peers *p, const struct peer *who)
{
    struct entry **at = find(p, who), *gone = *at;

    if (gone != NULL && --gone->n == 0) {
        *at = gone->next;
        free(gone);
    }
}
