/* SPDX-License-Identifier: Apache-2.0 */
/* What the cases share. */
#ifndef CASES_H_
#define CASES_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "contract.h"
#include "issuer.h"

#define ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))

/* Ends the case where an expectation fails. */
#define EXPECT(expectation)                                                                        \
	do {                                                                                       \
		if (!(expectation)) {                                                              \
			contract_failed(__FILE__, __LINE__, #expectation);                         \
			return false;                                                              \
		}                                                                                  \
	} while (0)

/* The layout that Kconfig's defaults give. */
#define IDEVID  0x00
#define IAK     0x10
#define ANCHOR  0x20
#define SERIAL  0x30
#define SECRET  0x32
#define UNKNOWN 0xfe

#define SERIAL_MAX 64
#define SECRET_MAX 256
#define CHAIN_MAX  1536
#define BUF_SIZE   2560

/* Where calls put what they return, and where values are made. */
extern uint8_t buf[BUF_SIZE];
extern uint8_t value[CHAIN_MAX + 1];

void fill(uint8_t *bytes, size_t len, uint8_t seed);
bool all(const uint8_t *bytes, size_t len, uint8_t expected);
bool contains(const uint8_t *bytes, size_t len, const uint8_t *part, size_t part_len);

/* A read-like call, so that all are put through the same bad buffers. */
typedef int (*reader)(uint8_t *out, size_t size, size_t *len);

/*
 * Every way to pass a bad buffer to a call that has a value to give: an errno,
 * the buffer untouched, the size needed reported.
 */
bool bad_buffers_are_refused(reader read);

/* For values that do not change from call to call: exactly enough, and one less. */
bool fits_exactly_or_not_at_all(reader read);

/* Makes an identity's key and tells its point. */
bool generated(uint8_t slot, uint8_t point[65]);

/* The chain that the cases begin from: leaf over point, CA 0, root 1. */
struct chain {
	struct certificate leaf;
	struct certificate ca;
	struct certificate root;
	uint8_t ca_point[65];
	uint8_t root_point[65];
};

bool prepare(struct chain *chain, const uint8_t *point);

/* Issues leaf, CA and root to value; returns the length, 0 on failure. */
size_t issue_chain(const struct chain *chain);

/* The cases. */
#define CASE(function) bool function(void);
#include "cases.inc"
#undef CASE

#endif /* CASES_H_ */
