/*
 * internal - the parts that the files of this room share: a server's connections and
 * their requests. One loop thread; no other file includes it.
 *
 *   server.c   pools, looks at the clock, flushes
 *   accept.c   lets connections in, or turns them away
 *   buffer.c   the memory of all connections together
 *   conn.c     a socket: reads, feeds the parser, writes, closes
 *   secure.c   its handshake, if it is over TLS
 *   request.c  a request: its head checked, its answer queued
 *   stream.c   an answer that goes on
 *   body.c     its body: collected, inflated, handed over
 *   preface.c  what a proxy says before the first request, and of each request
 *   begun.c    the beginning of a request, once more for another server
 *   handover.c connections that go to another server, and come from one
 */
#pragma once

#include <ev.h>

#include "base/attr.h"
#include "http/encoding.h"
#include "http/error.h"
#include "http/handover.h"
#include "http/http.h"
#include "http/parse.h"
#include "http/peers.h"
#include "http/secure.h"
#include "http/target.h"
#include "stats/stats.h"

enum {
    HTTP_PAD = 64,
    SCRATCH_BYTES = 256 << 10, /* read at once: a connection's turn */
    PIPELINE_MAX = 64,         /* requests without an answer, and those of one
                                    turn, a connection */
    PIPELINE_CROWDED = 8,      /* the same of one turn, while others wait for theirs */
    OUT_MAX_BYTES = 64 << 10,  /* unsent answers before reading pauses */
    DISCARD_BYTES = 256 << 10, /* rest of a refused body that is read over */
    LINGER_BYTES = 8 << 20,
    LINGER_MS = 2000,
    READ_BODY_BYTES = 256 << 10,
    QUIET_MS = 200, /* of a draining server's idle connections */
    BODY_PROGRESS_BYTES = 16 << 10,
    USER_BYTES = 128
};

struct conn;
struct proxy_header;

/* Why a connection is not let in. */
enum obstacle {
    OBSTACLE_NONE,
    OBSTACLE_LIMIT,
    OBSTACLE_DESCRIPTORS,
    OBSTACLE_ADDRESS,
    OBSTACLE_UNTRUSTED, /* it is no proxy's */
    OBSTACLE_DENIED,    /* the listener takes no connections from its network */
    OBSTACLE_HEADER,    /* its PROXY header is wrong */
    OBSTACLES
};

/* A listening socket. */
struct listener {
    struct http_server *server;
    struct http_listener options;
    uint32_t place;
    int fd;
    ev_io accepting;
    ev_timer pause;
    struct peers *peers;
    uint32_t n_open;            /* connections that were let in */
    char label[128];            /* its name, for the log */
    uint64_t few_ms;            /* descriptors lacked in the log last; 0: never */
    uint64_t told_ms, n_untold; /* connections refused since the last line, */
    char untold_peer[48];       /* and the last of them */
    const char *untold_why;
    stats_cell *accepted, *open_gauge; /* NULL: it has no name */
    stats_cell *refused[OBSTACLES];
};

struct http_request {
    struct http_server *server;
    struct conn *c;            /* NULL: the client has gone */
    struct http_request *next; /* in the connection's queue, or the pool's */
    struct http_request *made_prev, *made_next; /* all that there are */
    bool told;  /* on_headers was called and did not refuse */
    bool whole; /* on_body was called */
    bool answered;
    bool queued, parsing; /* its users: the queue, the parser */
    bool close;           /* after its answer */
    bool head;            /* the method is HEAD */
    bool old;             /* HTTP/1.0 */
    bool want_100;
    bool keep_alive; /* the client wants it */
    enum http_encoding encoding;
    uint64_t length; /* Content-Length; UINT64_MAX: chunked */
    uint64_t max_body;
    char *stash; /* an answer that waits for those before it */
    size_t stash_n, stash_room;
    uint64_t user[USER_BYTES / sizeof(uint64_t)];
};

struct conn {
    struct http_server *server;
    struct listener *at;      /* that it came by */
    struct conn *prev, *next; /* of all open ones, or the pool */
    struct conn *next_dirty, *next_resumed;
    bool dirty, resumed;
    bool away;    /* turned away: only lingers */
    bool counted; /* among those of its address */
    int fd;
    struct tls_session *tls; /* NULL: plain, or before the first byte */
    struct tls_door *door;   /* while shaking: its context comes from here */
    bool shaking;            /* the handshake is under way */
    bool spoken;             /* and some of its bytes have come */
    struct conn *prev_shaking, *next_shaking; /* secure.c's list of these */
    ev_io readable, writable;
    struct parse *parse;
    struct http_request *first, *last; /* waiting for their answers */
    struct http_request *current;      /* being parsed */
    uint32_t n_open;                   /* in the queue */
    uint32_t n_turn;                   /* begun while it is being fed */
    bool closing;                      /* nothing more is parsed */
    bool lingering;     /* the answer is out, further bytes are discarded */
    bool eof;           /* the client will send no more */
    bool discard;       /* the body of a refused request */
    uint64_t discarded; /* bytes of it */
    bool dead;          /* writing failed while it was being fed */
    bool head_begun;    /* its deadline is the head's */
    bool served;        /* it has had a request */
    bool let_in;        /* another server has let its next request in */
    bool aside;         /* the body in hand is whole, and waits for a turn */
    /* The body in hand: a view of the bytes that were just read, or body. */
    struct str view;
    char *body;
    size_t body_n, body_room;
    char *unparsed; /* bytes read and not yet parsed */
    size_t unparsed_n, unparsed_room;
    char *begun; /* the bytes of a head that has come in part */
    size_t begun_n, begun_room;
    bool begun_lost; /* there was no room for them */
    size_t stashed;  /* room of the answers in its queue */
    char *out;
    size_t out_n, out_sent, out_room;
    uint64_t deadline_ms; /* of the loop's clock */
    uint64_t unread_ms;   /* when the client must have read more answers */
    uint64_t progress;    /* body bytes at the last deadline */
    uint64_t lingered;
    uint64_t number;              /* as it was accepted, from 1 */
    struct proxy_header *preface; /* still to come; NULL: HTTP from here on */
    struct conn_origin from;
    struct peer who;
    char peer[48];
    char client[48]; /* of the request in hand, where a proxy passed it on */
};

struct http_server {
    struct ev_loop *loop;
    const struct http_ops *ops;
    void *arg;
    struct http_limits limits;
    struct listener *listeners[HTTP_LISTENERS_MAX];
    uint32_t n_listeners;
    ev_timer sweep;
    ev_check tick; /* reads the clock at the start of each turn */
    ev_prepare flush;
    ev_idle resume;
    struct conn *open, *pool, *dirty, *resumed, **resumed_tail;
    struct http_request *free_requests, *made;
    uint32_t n_open, n_away; /* n_away: of n_open, those turned away */
    uint32_t n_lingering;    /* of n_open, those let in that only linger */
    uint32_t n_pool, n_free_requests;
    uint64_t n_accepted;
    int spare;    /* a descriptor that gives way to a connection; -1: none */
    bool no_more; /* it has given way: the process has no other */
    bool draining;
    bool resting; /* clients are to go elsewhere */
    bool handing; /* accepts nothing, for hand takes what comes to rest */
    http_hand_fn *hand;
    void *hand_arg;
    uint64_t now_ms, swept_ms; /* of the monotonic clock */
    uint64_t n_turns;          /* of the loop, */
    uint64_t long_turn;        /* and the last one that took long */
    uint32_t n_aside;          /* connections whose body waits in line */
    uint64_t drain_ms;         /* since when it does either */
    bool calling;              /* sessions of TLS end with their next answer */
    uint64_t call_ms;          /* since when, */
    uint64_t call_number;      /* and the last connection before */
    uint64_t buffered;         /* bytes of unparsed, out and stashes */
    uint64_t body_bytes;       /* of all collected bodies */
    uint64_t max_body_bytes;
    uint64_t peak_bytes;   /* of both, since memory was last given back */
    uint64_t looked_bytes; /* of both, when buffer_look() last looked */
    uint32_t falling;      /* looks for which a fall goes on */
    struct secure *secure;
    struct encoding *encoding;
    struct http_request *in_head; /* whose on_headers runs */
    struct conn *feeding;         /* whose bytes are being parsed */
    char date[64];                /* the header line */
    int64_t date_s;
    struct str_pair headers[PARSE_HEADERS_MAX];
    stats_cell *conn_get, *conn_put, *conn_miss, *req_get, *req_put, *req_miss;
    stats_cell *accepted, *open_gauge, *timeouts, *evicted;
    stats_cell *refused[OBSTACLES];
    stats_cell *buffer_gauge, *body_gauge;
    char scratch[SCRATCH_BYTES + HTTP_PAD];
};

/* ---- server.c ---- */

struct http_request *request_get(struct http_server *s);
void request_put(struct http_server *s, struct http_request *r);
struct conn *server_enter(struct listener *at, int fd); /* to be started */
void server_forget(struct conn *c);                     /* closed: back to the pool */
int64_t server_crowd(const struct http_server *s);      /* that were let in */
/* More than max_connections, of those that do not end anyway. */
int64_t server_surplus(const struct http_server *s);

/* ---- accept.c ---- */

struct listener *accept_start(struct http_server *s, int fd,
                              const struct http_listener *o);
void accept_drain(struct listener *l); /* accepts until EAGAIN, then no more */
void accept_stop(struct listener *l);
void accept_free(struct listener *l);
void accept_join(struct conn *c); /* c counts from now on */
/* For its address, too. False: that has too many. */
bool accept_count_address(struct conn *c) MUST_USE;
/* Whether the listener takes connections from there. */
bool accept_admits(const struct listener *l, const struct conn_origin *from) MUST_USE;
void accept_keep_address(struct conn *c); /* the same, however many it has */
void accept_secure(struct conn *c);       /* TLS begins; may close c */
void accept_turn_away(struct conn *c);    /* one that was let in: 503; may close c */
void accept_count(struct listener *l, enum obstacle why);
void accept_keep_spare(struct http_server *s); /* has one again, if there is one */

/* ---- begun.c ---- */

/* The bytes of a head that has not come whole. */
void begun_keep(struct conn *c, const char *p, size_t n);
void begun_drop(struct conn *c);
/* Whether begun_text can be had. */
bool begun_is_known(const struct conn *c);
/* What was read of a request in hand, and after it, so that another server can go on from
 * there: free() it. Behind room for n bytes more. NULL and *size = n: nothing was. */
char *begun_text(const struct conn *c, size_t n, size_t *size);

/* ---- handover.c ---- */

bool conn_can_leave(const struct conn *c); /* this server hands over, and c may go */
void conn_leave(struct conn *c);           /* c is gone */
/* Whether its next answer is its last, because it can't go. */
bool conn_must_end(const struct conn *c);

/* ---- preface.c ---- */

/* Whether a PROXY header must come first. *refused: from that end it may not. */
bool preface_expected(struct listener *l, const struct conn_origin *from,
                      const struct sockaddr_storage *sa, bool *refused);
void preface_tell(struct listener *l); /* refusals that the log does not name yet */
void preface_begin(struct conn *c);
void preface_read(struct conn *c); /* more of it; may close c */
void preface_drop(struct conn *c);
/* What was taken of it; false: not all of that is known. */
bool preface_taken(const struct conn *c, struct str *taken);
void preface_go_on(struct conn *c, struct str taken);
bool preface_is_trusted(const struct listener *l, const struct conn_origin *from);
/* The client of the request in hand; lives as long as c. */
struct str preface_client(struct conn *c, const struct str_pair *headers, uint32_t n);

/* ---- buffer.c ---- */

/* Memory that counts for the server, at most limits.max_buffered but for
 * the answers of one turn. */
void buffer_grow(struct http_server *s, char **p, size_t *room, size_t n);
void buffer_free(struct http_server *s, char **p, size_t *room);
size_t buffer_read_bytes(const struct conn *c);    /* to read at once */
bool buffer_is_tight(const struct http_server *s); /* a quarter is in use */
void buffer_sent(struct conn *c);                  /* all of out is sent: shrinks it */
void buffer_rest(struct conn *c);                  /* c is idle: little of it is kept */
/* Closes clients that do not read, until there is room; not the spared one. */
void buffer_evict(struct http_server *s, const struct conn *spared);
void buffer_look(struct http_server *s); /* now and then: gauges, memory back */

/* ---- conn.c ---- */

extern const struct parse_ops conn_parse_ops;

void conn_start(struct conn *c);
void conn_read(struct conn *c); /* bytes came; may close c */
void conn_resume_later(struct conn *c);
void conn_finish(struct conn *c); /* acts on its state: goes on, or ends; may close c */
void conn_feed(struct conn *c, const char *p,
               size_t n);                  /* HTTP_PAD follows; the same */
void conn_write(struct conn *c);           /* writes out; may close c */
void conn_resume(struct conn *c);          /* unparsed bytes; may close c */
void conn_limits(struct conn *c);          /* they have changed */
void conn_dirty(struct conn *c);           /* something is in out */
bool conn_may_parse(const struct conn *c); /* another request, now */
bool conn_idle(const struct conn *c);
void conn_deadline(struct conn *c, int64_t ms);
void conn_read_on(struct conn *c); /* reads again if nothing forbids it */

/* ---- ending.c ---- */

/* Its last answer is out: says goodbye, and waits until its client does; may close c. */
void conn_linger(struct conn *c);
void conn_read_over(struct conn *c); /* lingering: drops it; may close c */
void conn_expire(struct conn *c);    /* its deadline has passed; may close c */
void conn_drain(struct conn *c);     /* looks once more, then lingers */
void conn_close(struct conn *c);

/* ---- request.c ---- */

bool request_head(struct conn *c, const struct parse_head *h);
/* The owner's view of the request being parsed; false: its target is not valid. */
bool request_view(struct conn *c, struct http_view *v);
/* The header line of now. */
const char *request_date(struct http_server *s);
/* Answers that are ready leave the queue, in order. */
void request_advance(struct conn *c);
/* Back to the pool, unless a user still needs it. */
void request_release(struct http_request *r);
void request_abort(struct conn *c); /* the one being parsed */
/* http's own answer to the request in hand, or to bytes that are not a request; then
 * close. */
void request_refuse(struct conn *c, int status, const char *code, const char *detail);
void request_refuse_limit(struct conn *c, int status, const char *code,
                          const char *detail, int64_t limit); /* -1: none */
void request_refuse_for(struct conn *c, struct http_error e);

/* ---- body.c ---- */

bool request_chunk(struct conn *c, uint64_t bytes);
bool request_part(struct conn *c, const char *p, size_t n);
bool request_whole(struct conn *c);
bool request_go_on(struct conn *c); /* one whose body was set aside */
void body_drop(struct conn *c);
/* In line for a turn, or no more. */
void body_wait(struct conn *c, bool waits);
/* Bytes of a body whose length is known go straight to their place; NULL: not so. */
char *body_place(struct conn *c, size_t *room);
