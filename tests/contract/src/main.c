/* SPDX-License-Identifier: Apache-2.0 */
/* The contract's cases under Zephyr, with the test CA's keys in PSA crypto. */
#include <string.h>

#include <zephyr/sys/printk.h>
#include <zephyr/ztest.h>

#include <psa/crypto.h>

#include "contract.h"

const bool contract_attests = IS_ENABLED(CONFIG_DEVID_ATTESTATION);

static psa_key_id_t keys[CONTRACT_KEYS];

void contract_failed(const char *file, int line, const char *expectation)
{
	printk("%s:%d: not so: %s\n", file, line, expectation);
}

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

bool contract_key_sign(unsigned int key, const uint8_t *data, size_t len, uint8_t signature[64])
{
	uint8_t digest[32];
	psa_key_id_t id;
	size_t out;

	return key_at(key, &id) &&
	       psa_hash_compute(PSA_ALG_SHA_256, data, len, digest, sizeof(digest), &out) ==
		       PSA_SUCCESS &&
	       psa_sign_hash(id, PSA_ALG_ECDSA(PSA_ALG_SHA_256), digest, sizeof(digest), signature,
			     64, &out) == PSA_SUCCESS;
}

ZTEST(contract, test_every_case_holds)
{
	size_t held = 0;

	for (size_t i = 0; i < contract_case_count; i++) {
		const bool holds = contract_run(&contract_cases[i]);

		printk("%s %s\n", holds ? "holds" : "FAILS", contract_cases[i].name);
		held += holds;
	}
	printk("contract: %zu of %zu cases hold\n", held, contract_case_count);
	zassert_true(contract_case_count > 0);
	zassert_equal(held, contract_case_count);
}

ZTEST_SUITE(contract, NULL, NULL, NULL, NULL, NULL);
