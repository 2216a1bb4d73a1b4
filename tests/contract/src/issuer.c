/* SPDX-License-Identifier: Apache-2.0 */
#include "issuer.h"

#include <string.h>

#include "contract.h"

/* DER is written from its end to its beginning: lengths are known by then. */
struct der {
	uint8_t *start;
	uint8_t *at;
	bool full;
};

static void put(struct der *der, const void *bytes, size_t len)
{
	if ((size_t)(der->at - der->start) < len) {
		der->full = true;
		return;
	}
	der->at -= len;
	memcpy(der->at, bytes, len);
}

static void put_byte(struct der *der, uint8_t byte)
{
	put(der, &byte, 1);
}

/* Puts tag and length before what was written since der->at was end. */
static void wrap(struct der *der, uint8_t tag, const uint8_t *end)
{
	size_t len = (size_t)(end - der->at);

	if (len < 0x80) {
		put_byte(der, (uint8_t)len);
	} else if (len < 0x100) {
		put_byte(der, (uint8_t)len);
		put_byte(der, 0x81);
	} else {
		put_byte(der, (uint8_t)len);
		put_byte(der, (uint8_t)(len >> 8));
		put_byte(der, 0x82);
	}
	put_byte(der, tag);
}

static void put_integer(struct der *der, const uint8_t *big_endian, size_t len)
{
	const uint8_t *end = der->at;

	while (len > 1 && big_endian[0] == 0) {
		big_endian++;
		len--;
	}
	put(der, big_endian, len);
	if (big_endian[0] & 0x80) {
		put_byte(der, 0);
	}
	wrap(der, 0x02, end);
}

static void put_name(struct der *der, const char *common_name)
{
	static const uint8_t id_common_name[] = {0x06, 0x03, 0x55, 0x04, 0x03};
	const uint8_t *end = der->at;

	put(der, common_name, strlen(common_name));
	wrap(der, 0x0c, end);
	put(der, id_common_name, sizeof(id_common_name));
	wrap(der, 0x30, end);
	wrap(der, 0x31, end);
	wrap(der, 0x30, end);
}

static void put_time(struct der *der, const char *utc_time)
{
	const uint8_t *end = der->at;

	put(der, utc_time, strlen(utc_time));
	wrap(der, 0x17, end);
}

static void put_public_key(struct der *der, const struct certificate *certificate)
{
	static const uint8_t p256[] = {0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48,
				       0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
				       0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
	static const uint8_t k256[] = {0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d,
				       0x02, 0x01, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x0a};
	const uint8_t *end = der->at;

	put(der, certificate->point, 65);
	put_byte(der, 0);
	wrap(der, 0x03, end);
	if (certificate->wrong_curve) {
		put(der, k256, sizeof(k256));
	} else {
		put(der, p256, sizeof(p256));
	}
	wrap(der, 0x30, end);
}

/* An extension of the example arc, 2.999, that is not critical. */
static void put_padding(struct der *der, size_t len)
{
	static const uint8_t id_example[] = {0x06, 0x02, 0x88, 0x37};
	const uint8_t *end = der->at;

	while (len-- > 0) {
		put_byte(der, 0);
	}
	wrap(der, 0x04, end);
	put(der, id_example, sizeof(id_example));
	wrap(der, 0x30, end);
}

static void put_extensions(struct der *der, const struct certificate *certificate)
{
	static const uint8_t ca[] = {0x30, 0x0f, 0x06, 0x03, 0x55, 0x1d, 0x13, 0x01, 0x01,
				     0xff, 0x04, 0x05, 0x30, 0x03, 0x01, 0x01, 0xff};
	static const uint8_t key_cert_sign[] = {0x30, 0x0e, 0x06, 0x03, 0x55, 0x1d, 0x0f, 0x01,
						0x01, 0xff, 0x04, 0x04, 0x03, 0x02, 0x02, 0x04};
	/* With digitalSignature, as an anchor needs that commands. */
	static const uint8_t signs_both[] = {0x30, 0x0e, 0x06, 0x03, 0x55, 0x1d, 0x0f, 0x01,
					     0x01, 0xff, 0x04, 0x04, 0x03, 0x02, 0x02, 0x84};
	const uint8_t *end = der->at;

	if (certificate->padding > 0) {
		put_padding(der, certificate->padding);
	}
	if (certificate->certifies_alone) {
		put(der, key_cert_sign, sizeof(key_cert_sign));
	} else if (certificate->ca) {
		put(der, signs_both, sizeof(signs_both));
	}
	if (certificate->ca) {
		put(der, ca, sizeof(ca));
	}
	wrap(der, 0x30, end);
	wrap(der, 0xa3, end);
}

static const uint8_t ecdsa_with_sha256[] = {0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86,
					    0x48, 0xce, 0x3d, 0x04, 0x03, 0x02};

static void put_to_be_signed(struct der *der, const struct certificate *certificate)
{
	static const uint8_t version_3[] = {0xa0, 0x03, 0x02, 0x01, 0x02};
	static const uint8_t serial[] = {0x2a};
	const uint8_t *end = der->at;
	const uint8_t *validity;

	if (certificate->ca || certificate->padding > 0) {
		put_extensions(der, certificate);
	}
	put_public_key(der, certificate);
	put_name(der, certificate->subject);
	validity = der->at;
	put_time(der, certificate->not_after ? certificate->not_after : "491231235959Z");
	put_time(der, certificate->not_before ? certificate->not_before : "200101000000Z");
	wrap(der, 0x30, validity);
	put_name(der, certificate->issuer);
	put(der, ecdsa_with_sha256, sizeof(ecdsa_with_sha256));
	put_integer(der, serial, sizeof(serial));
	put(der, version_3, sizeof(version_3));
	wrap(der, 0x30, end);
}

size_t issue(const struct certificate *certificate, uint8_t *out, size_t size)
{
	static uint8_t scratch[2048];
	const uint8_t *end = scratch + sizeof(scratch);
	struct der body = {scratch, scratch + sizeof(scratch), false};
	struct der der = {out, out + size, false};
	const uint8_t *outer = der.at;
	uint8_t signature[64];
	size_t len;

	put_to_be_signed(&body, certificate);
	if (body.full ||
	    !contract_key_sign(certificate->signer, body.at, (size_t)(end - body.at), signature)) {
		return 0;
	}
	if (certificate->wrong_signature) {
		signature[40] ^= 1;
	}

	put_integer(&der, signature + 32, 32);
	put_integer(&der, signature, 32);
	wrap(&der, 0x30, outer);
	put_byte(&der, 0);
	wrap(&der, 0x03, outer);
	put(&der, ecdsa_with_sha256, sizeof(ecdsa_with_sha256));
	put(&der, body.at, (size_t)(end - body.at));
	wrap(&der, 0x30, outer);
	if (der.full) {
		return 0;
	}
	len = (size_t)(outer - der.at);
	memmove(out, der.at, len);
	return len;
}

size_t issue_anchor(unsigned int key, uint8_t *out, size_t size)
{
	uint8_t point[65];
	const struct certificate ca = {
		.subject = "ca", .issuer = "ca", .point = point, .signer = key, .ca = true};

	return contract_key_point(key, point) ? issue(&ca, out, size) : 0;
}

size_t issue_identity(const uint8_t *point, uint8_t *out, size_t size)
{
	const struct certificate leaf = {.subject = "device", .issuer = "ca", .point = point};
	const size_t leaf_len = issue(&leaf, out, size);
	const size_t ca_len = issue_anchor(0, out + leaf_len, size - leaf_len);

	return leaf_len == 0 || ca_len == 0 ? 0 : leaf_len + ca_len;
}
