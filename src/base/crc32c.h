/*
 * crc32c - the Castagnoli checksum (RFC 3720, appendix B.4), by the CPU's own
 * instruction where there is one. Pure; any thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Continues from seed: crc32c(crc32c(0, a), b) is that of a and b together. */
uint32_t crc32c(uint32_t seed, const void *data, size_t n);

/* The portable twin, for machines without the instruction and for tests. */
uint32_t crc32c_portable(uint32_t seed, const void *data, size_t n);
