/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * @brief What devid's Rust code needs of C: the lock, the uptime, both storage
 * services, and PSA's macros and static inline functions.
 *
 * zephyr/glue.c and zephyr/keys.c implement this; bindgen reads it through psa.c.
 */
#ifndef DEVID_PORT_H_
#define DEVID_PORT_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <psa/crypto.h>

/**
 * Takes the lock over the one device, waiting for other threads.
 *
 * @return false, and nothing is taken, in an interrupt or where the calling
 *         thread holds the lock already.
 */
bool devid_port_lock(void);

/** Gives the lock back; by the thread that took it. */
void devid_port_unlock(void);

/** Ends the image after a panic in Rust code. */
void devid_port_panic(void) __attribute__((noreturn));

/** Seconds since the start. */
uint32_t devid_port_uptime(void);

/**
 * Reads up to @p size bytes from the start of an asset of ITS or PS; their count goes to @p len.
 */
psa_status_t devid_port_storage_get(bool its, uint32_t uid, uint8_t *data, size_t size,
				    size_t *len);

/** Creates or replaces an asset. */
psa_status_t devid_port_storage_set(bool its, uint32_t uid, const uint8_t *data, size_t len);

/** Removes an asset. */
psa_status_t devid_port_storage_remove(bool its, uint32_t uid);

/** Describes a persistent P-256 key that signs digests of any hash and is never exported. */
void devid_port_signing_key(psa_key_attributes_t *attributes, uint32_t id);

/** Describes a volatile P-256 public key that verifies signatures over SHA-256 digests. */
void devid_port_verifying_key(psa_key_attributes_t *attributes);

#endif /* DEVID_PORT_H_ */
