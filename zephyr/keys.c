/* SPDX-License-Identifier: Apache-2.0 */
/* What devid's keys may do. Of PSA alone: the simulator compiles this file too. */
#include "port.h"

void devid_port_signing_key(psa_key_attributes_t *attributes, uint32_t id)
{
	psa_set_key_type(attributes, PSA_KEY_TYPE_ECC_KEY_PAIR(PSA_ECC_FAMILY_SECP_R1));
	psa_set_key_bits(attributes, 256);
	psa_set_key_usage_flags(attributes, PSA_KEY_USAGE_SIGN_HASH);
	/* A TLS handshake may negotiate another hash, and a key's policy never changes. */
	psa_set_key_algorithm(attributes, PSA_ALG_ECDSA(PSA_ALG_ANY_HASH));
	/* Makes the key persistent, too. */
	psa_set_key_id(attributes, id);
}

void devid_port_verifying_key(psa_key_attributes_t *attributes)
{
	psa_set_key_type(attributes, PSA_KEY_TYPE_ECC_PUBLIC_KEY(PSA_ECC_FAMILY_SECP_R1));
	psa_set_key_bits(attributes, 256);
	psa_set_key_usage_flags(attributes, PSA_KEY_USAGE_VERIFY_HASH);
	psa_set_key_algorithm(attributes, PSA_ALG_ECDSA(PSA_ALG_SHA_256));
}
