/* SPDX-License-Identifier: Apache-2.0 */
/** A small certificate issuer, so that each case makes the chain it needs. */
#ifndef ISSUER_H_
#define ISSUER_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** What to certify, and how to go wrong. */
struct certificate {
	const char *subject;
	const char *issuer;
	const uint8_t *point; /**< public key, 04 || X || Y */
	unsigned int signer;  /**< test key that signs */
	bool ca;
	bool certifies_alone; /**< the CA's keyUsage is keyCertSign, and nothing else */
	const char *not_before; /**< UTCTime; NULL for 2020 */
	const char *not_after;  /**< UTCTime; NULL for 2049 */
	bool wrong_curve;       /**< names secp256k1 for the key */
	bool wrong_signature;   /**< flips one bit of the signature */
	size_t padding;         /**< bytes of an extension that says nothing */
};

/**
 * Issues a certificate to @p out and returns its length in bytes, 0 where it
 * does not fit or the test key fails.
 */
size_t issue(const struct certificate *certificate, uint8_t *out, size_t size);

/** The same for the CA of a test key, which an anchor can be. */
size_t issue_anchor(unsigned int key, uint8_t *out, size_t size);

/** The same for a leaf over the key at @p point, and the CA of test key 0 behind it. */
size_t issue_identity(const uint8_t *point, uint8_t *out, size_t size);

#endif /* ISSUER_H_ */
