/* SPDX-License-Identifier: Apache-2.0 */
/* The test CA's keys, and what else the cases need of PSA crypto. */
#include <psa/crypto.h>

#include "contract.h"

static psa_key_id_t keys[CONTRACT_KEYS];

/* Made on first use, for as long as the image runs. */
static bool key_at(unsigned int key, psa_key_id_t *id)
{
	psa_key_attributes_t attributes = PSA_KEY_ATTRIBUTES_INIT;

	if (key >= CONTRACT_KEYS) {
		return false;
	}
	if (keys[key] == PSA_KEY_ID_NULL) {
		psa_set_key_type(&attributes, PSA_KEY_TYPE_ECC_KEY_PAIR(PSA_ECC_FAMILY_SECP_R1));
		psa_set_key_bits(&attributes, 256);
		psa_set_key_usage_flags(&attributes, PSA_KEY_USAGE_SIGN_HASH);
		psa_set_key_algorithm(&attributes, PSA_ALG_ECDSA(PSA_ALG_SHA_256));
		if (psa_generate_key(&attributes, &keys[key]) != PSA_SUCCESS) {
			return false;
		}
	}
	*id = keys[key];
	return true;
}

bool contract_key_point(unsigned int key, uint8_t point[65])
{
	psa_key_id_t id;
	size_t len;

	return key_at(key, &id) && psa_export_public_key(id, point, 65, &len) == PSA_SUCCESS;
}

bool contract_sha256(const uint8_t *data, size_t len, uint8_t digest[32])
{
	size_t out;

	return psa_hash_compute(PSA_ALG_SHA_256, data, len, digest, 32, &out) == PSA_SUCCESS;
}

bool contract_key_sign(unsigned int key, const uint8_t *data, size_t len, uint8_t signature[64])
{
	uint8_t digest[32];
	psa_key_id_t id;
	size_t out;

	return key_at(key, &id) && contract_sha256(data, len, digest) &&
	       psa_sign_hash(id, PSA_ALG_ECDSA(PSA_ALG_SHA_256), digest, sizeof(digest), signature,
			     64, &out) == PSA_SUCCESS;
}

bool contract_verify(const uint8_t point[65], const uint8_t *data, size_t len,
		     const uint8_t signature[64])
{
	psa_key_attributes_t attributes = PSA_KEY_ATTRIBUTES_INIT;
	uint8_t digest[32];
	psa_key_id_t id;
	bool verified;

	psa_set_key_type(&attributes, PSA_KEY_TYPE_ECC_PUBLIC_KEY(PSA_ECC_FAMILY_SECP_R1));
	psa_set_key_bits(&attributes, 256);
	psa_set_key_usage_flags(&attributes, PSA_KEY_USAGE_VERIFY_HASH);
	psa_set_key_algorithm(&attributes, PSA_ALG_ECDSA(PSA_ALG_SHA_256));
	if (psa_import_key(&attributes, point, 65, &id) != PSA_SUCCESS) {
		return false;
	}
	verified = contract_sha256(data, len, digest) &&
		   psa_verify_hash(id, PSA_ALG_ECDSA(PSA_ALG_SHA_256), digest, sizeof(digest),
				   signature, 64) == PSA_SUCCESS;
	return psa_destroy_key(id) == PSA_SUCCESS && verified;
}

bool contract_psa_point(uint32_t id, uint8_t point[65])
{
	size_t len;

	return psa_export_public_key(id, point, 65, &len) == PSA_SUCCESS && len == 65;
}

bool contract_psa_seals(uint32_t id)
{
	uint8_t scalar[32];
	size_t len;

	return psa_export_key(id, scalar, sizeof(scalar), &len) == PSA_ERROR_NOT_PERMITTED;
}
