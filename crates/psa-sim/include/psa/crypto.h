/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * @brief What devid's C code takes of the PSA Certified Crypto API 1.1, for
 * builds on a host. The numbers are the specification's; the structure is this
 * simulator's own, which keys.rs reads.
 */
#ifndef PSA_CRYPTO_H_
#define PSA_CRYPTO_H_

#include <stdint.h>

typedef int32_t psa_status_t;
typedef uint16_t psa_key_type_t;
typedef uint16_t psa_key_bits_t;
typedef uint8_t psa_ecc_family_t;
typedef uint32_t psa_algorithm_t;
typedef uint32_t psa_key_usage_t;
typedef uint32_t psa_key_id_t;
typedef uint32_t psa_key_lifetime_t;

#define PSA_ECC_FAMILY_SECP_R1 ((psa_ecc_family_t)0x12)
#define PSA_KEY_TYPE_ECC_KEY_PAIR(curve) ((psa_key_type_t)(0x7100 | (curve)))
#define PSA_KEY_TYPE_ECC_PUBLIC_KEY(curve) ((psa_key_type_t)(0x4100 | (curve)))

#define PSA_ALG_SHA_256 ((psa_algorithm_t)0x02000009)
#define PSA_ALG_SHA_384 ((psa_algorithm_t)0x0200000a)
#define PSA_ALG_ANY_HASH ((psa_algorithm_t)0x020000ff)
#define PSA_ALG_ECDSA(hash_alg) ((psa_algorithm_t)(0x06000600 | ((hash_alg) & 0xff)))

#define PSA_KEY_USAGE_EXPORT ((psa_key_usage_t)0x00000001)
#define PSA_KEY_USAGE_SIGN_HASH ((psa_key_usage_t)0x00001000)
#define PSA_KEY_USAGE_VERIFY_HASH ((psa_key_usage_t)0x00002000)

#define PSA_KEY_LIFETIME_VOLATILE ((psa_key_lifetime_t)0x00000000)
#define PSA_KEY_LIFETIME_PERSISTENT ((psa_key_lifetime_t)0x00000001)

typedef struct {
	psa_key_type_t type;
	psa_key_bits_t bits;
	psa_key_lifetime_t lifetime;
	psa_key_id_t id;
	psa_key_usage_t usage;
	psa_algorithm_t alg;
} psa_key_attributes_t;

static inline void psa_set_key_type(psa_key_attributes_t *attributes, psa_key_type_t type)
{
	attributes->type = type;
}

static inline void psa_set_key_bits(psa_key_attributes_t *attributes, psa_key_bits_t bits)
{
	attributes->bits = bits;
}

static inline void psa_set_key_usage_flags(psa_key_attributes_t *attributes, psa_key_usage_t usage)
{
	attributes->usage = usage;
}

static inline void psa_set_key_algorithm(psa_key_attributes_t *attributes, psa_algorithm_t alg)
{
	attributes->alg = alg;
}

/* Makes a volatile key persistent, too (9.1). */
static inline void psa_set_key_id(psa_key_attributes_t *attributes, psa_key_id_t id)
{
	attributes->id = id;
	if (attributes->lifetime == PSA_KEY_LIFETIME_VOLATILE) {
		attributes->lifetime = PSA_KEY_LIFETIME_PERSISTENT;
	}
}

#endif /* PSA_CRYPTO_H_ */
