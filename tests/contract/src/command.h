/* SPDX-License-Identifier: Apache-2.0 */
/** A small signer of update commands, so that each case makes the one it needs. */
#ifndef COMMAND_H_
#define COMMAND_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Length of an instance id. */
#define INSTANCE_ID_LEN 33

/** Operations of a command. */
enum operation {
	OPERATION_WRITE = 1,
	OPERATION_INSTALL = 2,
	OPERATION_ADD_ANCHOR = 3,
	OPERATION_REVOKE_ANCHOR = 4,
	OPERATION_RESET = 5,
	OPERATION_ACTIVATE = 6,
	OPERATION_UNKNOWN = 8,
};

/** What to command, and how to go wrong. */
struct command {
	const char *group;                    /**< whom it is for, or NULL */
	uint8_t instance_id[INSTANCE_ID_LEN]; /**< whom it is for without a group */
	uint64_t sequence;
	enum operation operation;
	int slot;             /**< below 0 for none */
	const uint8_t *value; /**< NULL for none */
	size_t value_len;
	uint64_t expiry; /**< 0 for none */
	unsigned int signer; /**< test key that signs */
};

/**
 * Signs a command to @p out and returns its length in bytes, 0 where it does
 * not fit or the test key fails.
 */
size_t sign_command(const struct command *command, uint8_t *out, size_t size);

#endif /* COMMAND_H_ */
