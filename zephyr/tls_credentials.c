/* SPDX-License-Identifier: Apache-2.0 */
/* Registers identities with Zephyr's TLS credentials, and forwards to devid.h. */
#include <errno.h>
#include <string.h>

#include <zephyr/kernel.h>
#include <zephyr/sys/base64.h>

#include <psa/crypto.h>

#include <devid/devid.h>
#include <devid/tls_credentials.h>

#define BEGIN "-----BEGIN CERTIFICATE-----\n"
#define END   "-----END CERTIFICATE-----\n"

/* A line of PEM (RFC 7468): 48 bytes as 64 characters, and its end. */
#define LINE_BYTES 48
#define LINE_LEN   65

/* The most certificates of a chain: MAX_CHAIN_CERTS of devid-core. */
#define CERTIFICATES_MAX 4

/* The longest chain, a short last line in each certificate, and the NUL. */
#define PEM_SIZE                                                                                   \
	(CONFIG_DEVID_CHAIN_MAX_LEN * LINE_LEN / LINE_BYTES +                                      \
	 CERTIFICATES_MAX * (LINE_LEN + sizeof(BEGIN) + sizeof(END)) + 1)

/* What Zephyr's list points to, so it stays where it is while registered. */
struct registration {
	sec_tag_t tag;
	bool used;
	psa_key_id_t key;
	char pem[PEM_SIZE];
};

static struct registration registrations[CONFIG_DEVID_TLS_CREDENTIALS_TAGS];
static K_MUTEX_DEFINE(lock);

static struct registration *registration_of(sec_tag_t tag)
{
	for (size_t i = 0; i < ARRAY_SIZE(registrations); i++) {
		if (registrations[i].used && registrations[i].tag == tag) {
			return &registrations[i];
		}
	}
	return NULL;
}

static struct registration *free_registration(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(registrations); i++) {
		if (!registrations[i].used) {
			return &registrations[i];
		}
	}
	return NULL;
}

#ifdef DEVID_TLS_TAKES_PSA_KEYS
static int add_key(struct registration *registration)
{
	return tls_credential_add(registration->tag, TLS_CREDENTIAL_PRIVATE_KEY_PSA,
				  &registration->key, sizeof(registration->key));
}

static void delete_key(sec_tag_t tag)
{
	(void)tls_credential_delete(tag, TLS_CREDENTIAL_PRIVATE_KEY_PSA);
}
#else
static int add_key(struct registration *registration)
{
	return -ENOTSUP;
}

static void delete_key(sec_tag_t tag)
{
}
#endif

/* What can leave the secure side is no identity. */
static int check_key(psa_key_id_t key)
{
	psa_key_attributes_t attributes = PSA_KEY_ATTRIBUTES_INIT;
	psa_status_t status = psa_get_key_attributes(key, &attributes);
	psa_key_usage_t usage = psa_get_key_usage_flags(&attributes);

	psa_reset_key_attributes(&attributes);
	switch (status) {
	case PSA_SUCCESS:
		return (usage & PSA_KEY_USAGE_EXPORT) != 0 ? -EPERM : 0;
	case PSA_ERROR_INVALID_HANDLE:
	case PSA_ERROR_DOES_NOT_EXIST:
		return -ENOENT;
	default:
		return -EIO;
	}
}

/* The length of the DER certificate at @p der, which devid has checked. */
static size_t certificate_len(const uint8_t *der)
{
	return der[1] == 0x82 ? 4 + (der[2] << 8 | der[3]) : 3 + der[2];
}

static char *put(char *at, const char *text)
{
	size_t len = strlen(text);

	memcpy(at, text, len);
	return at + len;
}

/*
 * Writes the chain that lies in the last @p len bytes of the buffer as PEM, from
 * the buffer's front: PEM is the longer, so what is written never catches up
 * with what is still to be read.
 */
static size_t to_pem(char pem[PEM_SIZE], size_t len)
{
	const uint8_t *der = (const uint8_t *)pem + PEM_SIZE - len;
	const uint8_t *end = der + len;
	char *at = pem;

	while (der < end) {
		const uint8_t *next = der + certificate_len(der);

		at = put(at, BEGIN);
		while (der < next) {
			uint8_t line[LINE_BYTES];
			size_t count = MIN(LINE_BYTES, (size_t)(next - der));
			size_t written;

			memcpy(line, der, count);
			der += count;
			(void)base64_encode((uint8_t *)at, LINE_LEN, &written, line, count);
			at[written] = '\n';
			at += written + 1;
		}
		at = put(at, END);
	}
	*at++ = '\0';
	return at - pem;
}

static int register_chain(struct registration *registration, uint8_t slot)
{
	char *pem = registration->pem;
	size_t len;
	/* Whole, in one call: a chain that changes meanwhile is not mixed. */
	int ret = devid_id_chain(slot, (uint8_t *)pem, PEM_SIZE, &len);

	if (ret != 0) {
		return ret;
	}
	memmove(pem + PEM_SIZE - len, pem, len);
	return tls_credential_add(registration->tag, TLS_CREDENTIAL_SERVER_CERTIFICATE, pem,
				  to_pem(pem, len));
}

static int register_identity(struct registration *registration, uint8_t slot)
{
	uint32_t key;
	int ret = devid_id_key(slot, &key);

	if (ret == 0) {
		ret = check_key(key);
	}
	if (ret == 0) {
		ret = register_chain(registration, slot);
	}
	if (ret == 0) {
		registration->key = key;
		ret = add_key(registration);
		/* Where the sockets take no such key, the chain is all there is. */
		ret = ret == -ENOTSUP ? 0 : ret;
	}
	return ret;
}

/* A key in the open would pass for the identity's. */
static bool has_open_key(sec_tag_t tag)
{
	size_t none = 0;

	return tls_credential_get(tag, TLS_CREDENTIAL_PRIVATE_KEY, NULL, &none) != -ENOENT;
}

static void clear(struct registration *registration)
{
	(void)tls_credential_delete(registration->tag, TLS_CREDENTIAL_SERVER_CERTIFICATE);
	delete_key(registration->tag);
	registration->used = false;
}

static int renew(struct registration *registration, uint8_t slot, sec_tag_t tag)
{
	int ret;

	registration->tag = tag;
	/* Also what a credential storage kept from before this start. */
	clear(registration);
	ret = has_open_key(tag) ? -EPERM : register_identity(registration, slot);
	if (ret == 0) {
		registration->used = true;
	} else {
		clear(registration);
	}
	return ret;
}

int devid_tls_register(uint8_t slot, sec_tag_t tag)
{
	struct registration *registration;
	int ret = -ENOMEM;

	if (tag < 0) {
		return -EINVAL;
	}
	k_mutex_lock(&lock, K_FOREVER);
	registration = registration_of(tag);
	if (registration == NULL) {
		registration = free_registration();
	}
	if (registration != NULL) {
		ret = renew(registration, slot, tag);
	}
	k_mutex_unlock(&lock);
	return ret;
}

int devid_tls_register_key(sec_tag_t tag, uint32_t key)
{
	struct registration *registration;
	int ret = check_key(key);

	if (ret != 0) {
		return ret;
	}
	k_mutex_lock(&lock, K_FOREVER);
	registration = registration_of(tag);
	if (registration == NULL) {
		ret = -ENOENT;
	} else {
		delete_key(tag);
		registration->key = key;
		ret = add_key(registration);
	}
	k_mutex_unlock(&lock);
	return ret;
}

int devid_tls_unregister(sec_tag_t tag)
{
	struct registration *registration;

	k_mutex_lock(&lock, K_FOREVER);
	registration = registration_of(tag);
	if (registration != NULL) {
		clear(registration);
	}
	k_mutex_unlock(&lock);
	return registration != NULL ? 0 : -ENOENT;
}
