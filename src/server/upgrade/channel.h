/*
 * channel - what two processes of this server say to each other while one takes the
 * other's place: messages of a fixed form over a socket pair, each with at most one
 * descriptor.
 *
 *   old    channel_pair -> (the new process gets one end) -> channel_say/hear*
 *   new    channel_join -> channel_say/hear*
 *
 * One thread at each end. Both processes are of one user on one machine; they may be of
 * different versions, so that the first word of each message is the form's number.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"

struct err;

enum { CHANNEL_TEXT = 256, CHANNEL_PEER = 48, CHANNEL_WHO = 16 };

/* In their order, but the last, which came to the form later. */
enum channel_kind {
    CHANNEL_READY = 1,  /* new: its policy is good; text: its version */
    CHANNEL_LISTENER,   /* old: a listening socket; text: its address as the policy
                           names it, number: of a worker */
    CHANNEL_GO,         /* old: the spool is free; number: CHANNEL_RESTS or 0 */
    CHANNEL_SERVING,    /* new: from now on it is the server */
    CHANNEL_FAILED,     /* new: it can't; text: why */
    CHANNEL_BYTES,      /* old: of the next connection, in a file: parcel.h; number: how
                           many are to be sent */
    CHANNEL_CONNECTION, /* old: text: its listener's address, number: of the flags */
    CHANNEL_END,    /* old: that was the last one; number: the process that stands in
                           for the new one (stand_in.h), 0: none; with the link to it
                           (link.h) */
    CHANNEL_TICKETS /* old, before CHANNEL_GO; text: keys of session tickets (tickets.h);
                       a process that does not know the kind passes over it */
};

/* An operator's sluice drain holds for the new process, too. */
enum { CHANNEL_RESTS = 1 };

struct channel_message {
    enum channel_kind kind;
    uint32_t number;
    char text[CHANNEL_TEXT];
    char peer[CHANNEL_PEER]; /* of a connection: see http/handover.h */
    unsigned char who[CHANNEL_WHO];
    int fd; /* -1: none; heard: the caller's to close */
};

/* What is known of a connection: see http/handover.h. */
enum { CHANNEL_SERVED = 1, CHANNEL_KNOWN = 2, CHANNEL_ENDS = 4, CHANNEL_LET_IN = 8 };

enum channel_result {
    CHANNEL_HEARD = 0,
    CHANNEL_NOTHING, /* nothing has come yet, or not within the time */
    CHANNEL_GONE     /* the other end is closed, or speaks another form: *e */
};

/* Both ends close on exec. False and *e: none is open. */
bool channel_pair(int ends[2], struct err *e) MUST_USE;

/* The end that the old process has left for this one; the note of it is taken out of
 * the environment. -1: this process takes nobody's place. */
int channel_join(void);

/* The words for the environment that make channel_join find fd. */
void channel_note(char out[64], int fd);

/* Sends m; m->fd stays the caller's. Waits until deadline_ns (monotonic) for room. */
bool channel_say(int end, const struct channel_message *m, uint64_t deadline_ns,
                 struct err *e) MUST_USE;

/* The next message, by deadline_ns; in the past: if there is one. */
enum channel_result channel_hear(int end, struct channel_message *m,
                                 uint64_t deadline_ns, struct err *e) MUST_USE;

/* Whether the other end is closed, and not only of another version. */
bool channel_is_closed(int channel);
