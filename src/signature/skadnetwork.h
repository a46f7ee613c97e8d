/*
 * skadnetwork - the text that Apple signs of an install-validation postback of
 * SKAdNetwork: its parameters in the order of its version, joined by U+2063. Pure.
 *
 * What is not signed is no part of it: conversion values, and any other key. A signed
 * parameter of another version would not be either, and is refused.
 */
#pragma once

#include <stdbool.h>

#include "base/attr.h"
#include "base/str.h"
#include "signature/fault.h"
#include "signature/pin.h"

enum skad_version { SKAD_1_0, SKAD_2_0, SKAD_2_1, SKAD_2_2, SKAD_3_0, SKAD_4_0 };
enum {
    SKAD_VERSIONS = 6,
    SKAD_VALUE_MAX = 256, /* bytes of a text */
    SKAD_TEXT_MAX = 12 * (SKAD_VALUE_MAX + 3),
    SKAD_SIGNATURE_MAX = 72
};

struct skad_postback {
    enum skad_version version;
    char text[SKAD_TEXT_MAX];
    size_t n;
    char signature[SKAD_SIGNATURE_MAX]; /* as sent, out of its base64 */
    size_t n_signature;
};

/* The version that the word names ("2.1"); false: there is none. */
bool skad_version_of(struct str word, enum skad_version *out) MUST_USE;
enum pin_curve skad_curve(enum skad_version v);

/* object: an event that scan_body has checked. versions: bit i is version i. False:
 * *why. */
bool skad_read(struct str object, unsigned versions, struct skad_postback *out,
               struct signature_fault *why) MUST_USE;
