/*
 * unused - sockets that systemd passed and no listener names: clients that connect to one
 * wait for ever, so the log tells.
 *
 * The supervisor's thread.
 */
#pragma once

struct plan;

void unused_tell(const struct plan *p);
