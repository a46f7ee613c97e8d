/*
 * upload - one batch on its way to a server: its parts, the rows that
 * the server refused, its attempts.
 *
 *   begin -> next part ─► body ─► send ─► answer ─┬ taken ────► verdict OK, next
 *                          ▲        └ hedge ─► ───┤
 *                          │ smaller parts ◄──────┼ refused, or too large
 *                          │                      │
 *                          └── (pump, later) ◄────┴ RETRY, MAYBE, SETUP
 *
 * upload.c begins, parks and ends it, attempts.c sends, answer.c takes the answers, search.c
 * looks for the rows that the server refuses, set_aside.c keeps the batches that wait.
 * The sink's thread.
 */
#pragma once

#include <ev.h>

#include "sink/http/internal.h"

struct upload_attempt {
    struct transfer *transfer; /* NULL: not running */
    struct upload *upload;
    struct endpoint *endpoint;
    uint64_t generation; /* of the endpoint's breaker */
};

struct upload_part {
    uint32_t first, n;
    uint32_t alone; /* n is 1: how often it was refused */
    bool hinted;    /* the server's words named it */
};

/* Why a batch waits in the sink while later ones go on. */
enum upload_aside {
    ASIDE_NOT = 0,
    ASIDE_BUDGET,  /* the uploads of this minute are spent */
    ASIDE_EVIDENCE /* no row of it passed: the rows or the table are wrong */
};

struct upload {
    struct upload *next; /* of the sink's list */
    struct sink *sink;
    struct batch *batch;
    struct upload_part *parts; /* without a verdict; the last one is in hand */
    uint32_t n_parts, parts_room;
    uint32_t *suspects; /* rows refused alone, while none passed: not in parts now */
    uint32_t n_suspects, suspects_room;
    uint32_t n_left;               /* rows without a verdict */
    uint32_t n_refusals, n_search; /* answers; those before the first row passed */
    uint32_t n_unknown;            /* answers with an unknown code */
    uint64_t
        refused_at; /* endpoints that refused the part in hand, and have taken nothing
                            since came_ns: another one's word is worth more */
    bool passed;    /* the server takes rows: those it refuses are bad */
    bool misled;    /* a row number in its words was wrong */
    bool probe;     /* sent to see whether the server takes rows again */
    bool unsent;    /* the last part that was chosen was sent nowhere */
    enum upload_aside aside;
    /* clock_mono_ns. Only what was sent later, and taken, says something of its rows: of
     * an endpoint since it came or went aside, of the table since the first refusal. */
    uint64_t came_ns, refused_ns;
    uint64_t probed; /* the sink's n_probes then */
    int code;        /* of the last refusal */
    char why[600];   /* the server's words */
    char *body;      /* compressed */
    size_t n_body, body_room;
    struct upload_attempt attempts[2];
    uint64_t began_ns;               /* the part was sent first */
    enum coding coding;              /* of body */
    struct destination *destination; /* NULL: it was not sent yet */
    bool maybe;       /* a try may have been taken: the same bytes again */
    bool unwanted;    /* destination is: the next try is for that of the policy */
    uint32_t n_whole; /* since maybe: wishes that were not heard, */
    int64_t whole_ms; /* and when the first of them came */
    bool parked;
    bool enlarge; /* the server has too many parts */
    ev_timer hedge;
};

/* ---- upload.c ---- */

/* Takes b, or goes on with it where it was left. */
void upload_begin(struct sink *s, struct batch *b);
/* An endpoint has said whether it is there: those that wait for one go on, or back
 * to the pump. */
void upload_asked(struct sink *s, bool ok, const struct transfer_answer *a);
/* Ends its attempts and forgets it; the batch stays the pump's. */
void upload_free(struct upload *u);
/* That of b, if there is one: its requests are cut off. */
void upload_forget(struct sink *s, const struct batch *b);
/* The pump submits the batch again later; verdicts so far stay. */
void upload_park(struct upload *u, enum sink_verdict_kind kind, const char *why,
                 int64_t after_ms);
/* Others that wait for an endpoint's answer, or while one upload searches for the
 * cause. SINK_OK: they go on; else they are parked. */
void upload_release(struct sink *s, enum sink_verdict_kind kind, const char *why);
/* Another sink goes on with them: those that no server has now go back to the pump, and the
 * others once they have their answers. */
void upload_rest(struct sink *s);
/* The server wants something mended: all rows are kept, and those together that may be
 * in the table. */
void upload_setup_error(struct upload *u, const char *why);

/* ---- attempts.c ---- */

void upload_init_attempts(struct upload *u); /* of a new one */
/* Sends its next part; without an endpoint the batch waits at the pump. */
void upload_next(struct upload *u);
void upload_end_attempt(struct upload_attempt *t);

/* ---- answer.c ---- */

void upload_answered(void *arg, const struct transfer_answer *a); /* of an attempt */
struct str answer_words(const struct transfer_answer *a);

/* ---- search.c ---- */

/* Whether p, which refuses the part in hand for its rows, may refuse all rows, and
 * another endpoint can be asked. */
bool search_doubts(const struct upload *u, const struct endpoint *p);
/* p refused the part in hand for its rows. row: of those sent, as its words have
 * it; -1: not said. */
void search_refused(struct upload *u, const struct endpoint *p, int64_t row,
                    bool unknown);
/* Some row of u is in the table: rows refused before are bad. False: u is settled, and
 * gone. */
bool search_passed(struct upload *u) MUST_USE;
/* Puts the part on top that is to be sent next. */
void search_choose(struct upload *u);
/* Rows under suspicion are tried again with the others. */
void search_forgive(struct upload *u);

/* ---- set_aside.c ---- */

/* Whether an upload that only looks for bad rows may go now. */
bool aside_may_search(struct sink *s);
void aside_spent(struct sink *s); /* one of them went */
/* u waits in the sink; when too much does, at the pump. */
void aside_put(struct upload *u, enum upload_aside why);
/* u does not search for the cause: soon the uploads go on that waited for its
 * answer. */
void aside_no_probe(struct upload *u);
/* Soon those go on that wait for an answer, for it may not come any more. */
void aside_wake(struct sink *s);
void aside_take(struct upload *u); /* it does not wait any more */
/* Batches of a stream that may be in the sink while something is wrong. */
uint32_t aside_window(const struct sink *s);
/* No row of u passed: the search is over, or a probe was refused. */
void aside_none_passed(struct upload *u);
void aside_still_none(struct upload *u);
/* No endpoint may take the probe u for wait_ms (>= 0): the next one comes then, and has
 * its turn, so that open breakers do not always meet those of the newest batch, or of the
 * oldest. */
void aside_not_sent(struct upload *u, int64_t wait_ms);
/* p has taken the part in hand of u. */
void aside_passed(struct upload *u, struct endpoint *p);
void aside_start(struct sink *s);
void aside_stop(struct sink *s);
/* The policy is another, or an operator says so: all are tried again. */
void aside_again(struct sink *s);

/* ---- bisect.c: the last part is the one in hand ---- */

void bisect_put(struct upload *u, uint32_t first, uint32_t n, uint32_t alone);
/* The one in hand, which has two rows or more, in two or three: at its middle, or row
 * (as the batch counts) alone. The journal has the parts, so that the next process
 * sends the same parts. The part in hand is then that of the first rows. */
void bisect_halve(struct upload *u);
void bisect_single_out(struct upload *u, uint32_t row);
void bisect_emit(struct sink *s, struct journal_draft *draft); /* all of all uploads */

/* The identity of the rows first .. first + n - 1, the same for each attempt of each
 * process: made of their stream and places in it, so that no other set of rows has the
 * same, also when a restart has made a batch of its remaining rows. */
void bisect_token(const struct upload *u, uint32_t first, uint32_t n, char *out,
                  size_t max);
