/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The contract of devid.h as one table of cases. Twister runs it under TF-M
 * and on native_sim, the host runs it over the simulator: the same table, so
 * the same count.
 */
#ifndef CONTRACT_H_
#define CONTRACT_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** One claim about devid.h. It starts with every slot empty that can be emptied. */
struct contract_case {
	const char *name;
	bool (*run)(void);
};

extern const struct contract_case contract_cases[];
extern const size_t contract_case_count;

/** Empties every slot, then runs one case; false if the claim does not hold. */
bool contract_run(const struct contract_case *contract_case);

/*
 * What the cases need from where they run.
 */

/** Whether this platform has an initial attestation service. */
extern const bool contract_attests;

/** The group that Kconfig gives this device; empty for none. */
extern const char contract_group[];

/** Reports a failed expectation. */
void contract_failed(const char *file, int line, const char *expectation);

/** Test CA keys held outside devid: P-256, numbered from 0. */
#define CONTRACT_KEYS 3

/** Writes the public point 04 || X || Y of a test key. */
bool contract_key_point(unsigned int key, uint8_t point[65]);

/** Signs SHA-256 of data with a test key: r || s. */
bool contract_key_sign(unsigned int key, const uint8_t *data, size_t len, uint8_t signature[64]);

/** Whether the signature over SHA-256 of data is that of the key at point. */
bool contract_verify(const uint8_t point[65], const uint8_t *data, size_t len,
		     const uint8_t signature[64]);

/** Computes the SHA-256 of data. */
bool contract_sha256(const uint8_t *data, size_t len, uint8_t digest[32]);

/** Reads the public point of a key that PSA has under that id; false without one. */
bool contract_psa_point(uint32_t id, uint8_t point[65]);

/** Whether PSA has a key under that id and refuses to export its private half. */
bool contract_psa_seals(uint32_t id);

#ifdef __cplusplus
}
#endif

#endif /* CONTRACT_H_ */
