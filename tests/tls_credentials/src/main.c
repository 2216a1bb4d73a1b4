/* SPDX-License-Identifier: Apache-2.0 */
/* What a TLS socket finds under the security tag of an identity. */
#include <errno.h>
#include <string.h>

#include <zephyr/sys/base64.h>
#include <zephyr/ztest.h>

#include <psa/crypto.h>
#ifdef CONFIG_MBEDTLS_KEY_EXCHANGE_ECDHE_ECDSA_ENABLED
#include <mbedtls/x509_crt.h>
#endif

#include <devid/devid.h>
#include <devid/tls_credentials.h>

#include "contract.h"
#include "issuer.h"

#define LDEVID 0x01
#define ANCHOR 0x20
#define TAG    42

#define BEGIN "-----BEGIN CERTIFICATE-----\n"
#define END   "-----END CERTIFICATE-----\n"

/* The room that the longest chain needs, and some. */
static char pem[4096];
static uint8_t chain[CONFIG_DEVID_CHAIN_MAX_LEN];
static uint8_t decoded[sizeof(pem)];

void contract_failed(const char *file, int line, const char *expectation)
{
}

/* The point at the end of a P-256 SubjectPublicKeyInfo. */
static void point_of(uint8_t slot, uint8_t point[65])
{
	uint8_t spki[91];
	size_t len;

	zassert_ok(devid_id_public_key(slot, spki, sizeof(spki), &len));
	memcpy(point, spki + sizeof(spki) - 65, 65);
}

/* Installs a chain of two over the slot's key, the leaf by that name. */
static void install(uint8_t slot, const char *subject)
{
	uint8_t key[65];
	uint8_t ca[65];
	struct certificate leaf = {.subject = subject, .issuer = "CA", .point = key};
	struct certificate issuer = {.subject = "CA", .issuer = "CA", .point = ca, .ca = true};
	size_t len;

	point_of(slot, key);
	zassert_true(contract_key_point(0, ca));
	len = issue(&leaf, chain, sizeof(chain));
	zassert_true(len > 0);
	len += issue(&issuer, chain + len, sizeof(chain) - len);
	zassert_ok(devid_id_install(slot, chain, len, DEVID_NO_TIME, NULL));
}

/* Decodes the registered PEM; its length in DER, certificates counted. */
static size_t registered(unsigned int *certificates)
{
	size_t len = sizeof(pem);
	size_t total = 0;
	const char *line = pem;

	*certificates = 0;
	zassert_ok(tls_credential_get(TAG, TLS_CREDENTIAL_SERVER_CERTIFICATE, pem, &len));
	zassert_equal(len, strlen(pem) + 1, "the NUL is part of it");
	while (*line != '\0') {
		zassert_ok(strncmp(line, BEGIN, strlen(BEGIN)));
		line += strlen(BEGIN);
		while (*line != '-') {
			size_t chars = strcspn(line, "\n");
			size_t bytes;

			zassert_between_inclusive(chars, 1, 64);
			zassert_ok(base64_decode(decoded + total, sizeof(decoded) - total, &bytes,
						 (const uint8_t *)line, chars));
			total += bytes;
			line += chars + 1;
		}
		zassert_ok(strncmp(line, END, strlen(END)));
		line += strlen(END);
		(*certificates)++;
	}
	return total;
}

/* The tag stands for exactly what the slot holds. */
static void expect_registered(uint8_t slot)
{
	unsigned int certificates;
	size_t len = registered(&certificates);
	size_t expected;

	zassert_ok(devid_id_chain(slot, chain, sizeof(chain), &expected));
	zassert_equal(certificates, 2);
	zassert_equal(len, expected);
	zassert_mem_equal(decoded, chain, len);
}

static void expect_nothing_registered(void)
{
	size_t len = sizeof(pem);

	zassert_equal(tls_credential_get(TAG, TLS_CREDENTIAL_SERVER_CERTIFICATE, pem, &len),
		      -ENOENT);
}

static void provision(void)
{
	zassert_ok(devid_id_generate(LDEVID));
	install(LDEVID, "first");
}

static psa_key_id_t make_key(psa_key_usage_t usage)
{
	psa_key_attributes_t attributes = PSA_KEY_ATTRIBUTES_INIT;
	psa_key_id_t key;

	psa_set_key_type(&attributes, PSA_KEY_TYPE_ECC_KEY_PAIR(PSA_ECC_FAMILY_SECP_R1));
	psa_set_key_bits(&attributes, 256);
	psa_set_key_usage_flags(&attributes, usage);
	psa_set_key_algorithm(&attributes, PSA_ALG_ECDSA(PSA_ALG_SHA_256));
	zassert_equal(psa_generate_key(&attributes, &key), PSA_SUCCESS);
	return key;
}

ZTEST(tls_credentials, test_the_chain_is_registered_whole_and_reads_back)
{
	provision();
	zassert_ok(devid_tls_register(LDEVID, TAG));
	expect_registered(LDEVID);
}

#ifdef CONFIG_MBEDTLS_KEY_EXCHANGE_ECDHE_ECDSA_ENABLED
ZTEST(tls_credentials, test_mbedtls_reads_the_chain)
{
	mbedtls_x509_crt crt;
	size_t len = sizeof(pem);

	provision();
	zassert_ok(devid_tls_register(LDEVID, TAG));
	zassert_ok(tls_credential_get(TAG, TLS_CREDENTIAL_SERVER_CERTIFICATE, pem, &len));
	mbedtls_x509_crt_init(&crt);
	zassert_ok(mbedtls_x509_crt_parse(&crt, pem, len));
	zassert_mem_equal(crt.raw.p, chain, crt.raw.len);
	zassert_not_null(crt.next);
	zassert_mem_equal(crt.next->raw.p, chain + crt.raw.len, crt.next->raw.len);
	zassert_is_null(crt.next->next);
	mbedtls_x509_crt_free(&crt);
}
#endif

ZTEST(tls_credentials, test_a_renewed_chain_takes_the_place_of_the_old)
{
	provision();
	zassert_ok(devid_tls_register(LDEVID, TAG));
	install(LDEVID, "second");
	zassert_ok(devid_tls_register(LDEVID, TAG));
	expect_registered(LDEVID);
}

ZTEST(tls_credentials, test_a_rotation_is_followed_and_so_is_its_rollback)
{
	const uint8_t pending = LDEVID | DEVID_PENDING;

	provision();
	zassert_ok(devid_tls_register(LDEVID, TAG));
	zassert_ok(devid_id_generate(pending));
	install(pending, "second");
	/* Not active yet. */
	zassert_ok(devid_tls_register(LDEVID, TAG));
	expect_registered(LDEVID);

	zassert_ok(devid_id_activate(LDEVID));
	zassert_ok(devid_tls_register(LDEVID, TAG));
	expect_registered(LDEVID);

	zassert_ok(devid_id_rollback(LDEVID));
	zassert_ok(devid_tls_register(LDEVID, TAG));
	expect_registered(LDEVID);
}

ZTEST(tls_credentials, test_an_identity_that_is_gone_is_no_longer_registered)
{
	provision();
	zassert_ok(devid_tls_register(LDEVID, TAG));
	zassert_ok(devid_reset());
	zassert_equal(devid_tls_register(LDEVID, TAG), -ENOENT);
	expect_nothing_registered();
}

ZTEST(tls_credentials, test_what_was_unregistered_is_gone)
{
	provision();
	zassert_equal(devid_tls_unregister(TAG), -ENOENT);
	zassert_ok(devid_tls_register(LDEVID, TAG));
	zassert_ok(devid_tls_unregister(TAG));
	expect_nothing_registered();
}

/* Whether the key signs a digest of that hash algorithm, and its public half verifies that. */
static psa_status_t sign_and_verify(psa_key_id_t key, psa_algorithm_t hash)
{
	static const uint8_t digest[64] = {1, 2, 3};
	const psa_algorithm_t algorithm = PSA_ALG_ECDSA(hash);
	const size_t digest_len = PSA_HASH_LENGTH(hash);
	psa_key_attributes_t attributes = PSA_KEY_ATTRIBUTES_INIT;
	uint8_t signature[64];
	uint8_t point[65];
	psa_key_id_t verifying;
	psa_status_t status;
	size_t len;

	status = psa_sign_hash(key, algorithm, digest, digest_len, signature, sizeof(signature),
			       &len);
	if (status != PSA_SUCCESS) {
		return status;
	}
	zassert_equal(psa_export_public_key(key, point, sizeof(point), &len), PSA_SUCCESS);
	psa_set_key_type(&attributes, PSA_KEY_TYPE_ECC_PUBLIC_KEY(PSA_ECC_FAMILY_SECP_R1));
	psa_set_key_usage_flags(&attributes, PSA_KEY_USAGE_VERIFY_HASH);
	psa_set_key_algorithm(&attributes, algorithm);
	zassert_equal(psa_import_key(&attributes, point, len, &verifying), PSA_SUCCESS);
	status = psa_verify_hash(verifying, algorithm, digest, digest_len, signature,
				 sizeof(signature));
	zassert_equal(psa_destroy_key(verifying), PSA_SUCCESS);
	return status;
}

ZTEST(tls_credentials, test_an_identitys_key_signs_with_the_hash_of_the_handshake)
{
	psa_key_id_t key;

	provision();
	zassert_ok(devid_id_key(LDEVID, &key));
	zassert_equal(sign_and_verify(key, PSA_ALG_SHA_256), PSA_SUCCESS);
	zassert_equal(sign_and_verify(key, PSA_ALG_SHA_384), PSA_SUCCESS);
	zassert_equal(sign_and_verify(key, PSA_ALG_SHA_512), PSA_SUCCESS);
}

ZTEST(tls_credentials, test_a_key_for_sha_256_alone_still_signs_requests)
{
	psa_key_attributes_t attributes = PSA_KEY_ATTRIBUTES_INIT;
	const struct devid_subject subject = {.common_name = "device-1"};
	uint8_t request[512];
	psa_key_id_t key;
	size_t len;

	/* As devid made its keys before they signed any hash. */
	zassert_ok(devid_id_key(LDEVID, &key));
	psa_set_key_type(&attributes, PSA_KEY_TYPE_ECC_KEY_PAIR(PSA_ECC_FAMILY_SECP_R1));
	psa_set_key_bits(&attributes, 256);
	psa_set_key_usage_flags(&attributes, PSA_KEY_USAGE_SIGN_HASH);
	psa_set_key_algorithm(&attributes, PSA_ALG_ECDSA(PSA_ALG_SHA_256));
	psa_set_key_id(&attributes, key);
	zassert_equal(psa_generate_key(&attributes, &key), PSA_SUCCESS);

	zassert_ok(devid_id_csr(LDEVID, &subject, request, sizeof(request), &len));
	install(LDEVID, "first");
	zassert_equal(sign_and_verify(key, PSA_ALG_SHA_384), PSA_ERROR_NOT_PERMITTED);
}

ZTEST(tls_credentials, test_bad_arguments_have_their_errno)
{
	zassert_equal(devid_tls_register(LDEVID, -1), -EINVAL);
	zassert_equal(devid_tls_register(0x7e, TAG), -ENXIO);
	zassert_equal(devid_tls_register(ANCHOR, TAG), -ENOTSUP);
	zassert_equal(devid_tls_register(LDEVID, TAG), -ENOENT);
	zassert_ok(devid_id_generate(LDEVID));
	zassert_equal(devid_tls_register(LDEVID, TAG), -ENOENT, "a key alone is no identity");
	install(LDEVID, "first");
	zassert_ok(devid_tls_register(LDEVID, TAG));
	zassert_equal(devid_tls_register(LDEVID, TAG + 1), -ENOMEM, "one tag by default");
}

ZTEST(tls_credentials, test_an_exportable_key_is_refused)
{
	psa_key_id_t key = make_key(PSA_KEY_USAGE_SIGN_HASH | PSA_KEY_USAGE_EXPORT);

	provision();
	zassert_ok(devid_tls_register(LDEVID, TAG));
	zassert_equal(devid_tls_register_key(TAG, key), -EPERM);
	expect_registered(LDEVID);
	zassert_equal(psa_destroy_key(key), PSA_SUCCESS);
	zassert_equal(devid_tls_register_key(TAG, key), -ENOENT);
}

ZTEST(tls_credentials, test_a_key_that_stays_meets_what_the_sockets_take)
{
	psa_key_id_t key = make_key(PSA_KEY_USAGE_SIGN_HASH);
	uint32_t own;

	provision();
	zassert_equal(devid_tls_register_key(TAG, key), -ENOENT, "no identity under the tag");
	zassert_ok(devid_tls_register(LDEVID, TAG));
	zassert_ok(devid_id_key(LDEVID, &own));
	/* Zephyr 4.1's sockets take no PSA keys. */
	zassert_equal(devid_tls_register_key(TAG, key), -ENOTSUP);
	zassert_equal(devid_tls_register_key(TAG, own), -ENOTSUP);
	zassert_equal(psa_destroy_key(key), PSA_SUCCESS);
}

ZTEST(tls_credentials, test_a_key_in_the_open_does_not_pass_for_the_identitys)
{
	static const uint8_t key[] = {0x30, 0x00};

	provision();
	zassert_ok(devid_tls_register(LDEVID, TAG));
	zassert_ok(tls_credential_add(TAG, TLS_CREDENTIAL_PRIVATE_KEY, key, sizeof(key)));
	zassert_equal(devid_tls_register(LDEVID, TAG), -EPERM);
	expect_nothing_registered();
	zassert_ok(tls_credential_delete(TAG, TLS_CREDENTIAL_PRIVATE_KEY));
	zassert_ok(devid_tls_register(LDEVID, TAG));
}

/* Each case starts without an identity: native_sim keeps its flash, too. */
static void forget(void *fixture)
{
	(void)devid_tls_unregister(TAG);
	(void)devid_reset();
}

ZTEST_SUITE(tls_credentials, NULL, NULL, forget, forget, NULL);
