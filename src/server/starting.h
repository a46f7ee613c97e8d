/*
 * starting - SIGTERM and SIGINT while the main thread starts the server: it may be in a
 * call that does not return (a disk that hangs), and a thread of its own ends the process
 * then. Nothing has been promised to anybody by that time.
 *
 *   starting_begin -> (the start) -> starting_end
 *
 * The main thread.
 */
#pragma once

#include <pthread.h>

struct starting {
    const char *data_dir;
    int signals; /* descriptors; -1: there is no thread, and signals come as ever */
    int over;
    pthread_t thread;
};

/* data_dir lives until the end. */
void starting_begin(struct starting *t, const char *data_dir);

/* A signal that came meanwhile comes to the loop. */
void starting_end(struct starting *t);
