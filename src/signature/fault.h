/*
 * fault - why an event or a request is not what its signature says. Static texts.
 */
#pragma once

struct signature_fault {
    const char *code, *field, *message; /* field may be NULL */
};
