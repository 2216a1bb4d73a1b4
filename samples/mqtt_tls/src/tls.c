/* SPDX-License-Identifier: Apache-2.0 */
#include "tls.h"

#include <errno.h>

#include <zephyr/net/socket.h>
#include <zephyr/sys/printk.h>

#include <mbedtls/net_sockets.h>
#include <mbedtls/pk.h>
#include <psa/crypto.h>

#include <devid/devid.h>

/* One certificate at a time comes through here. */
static uint8_t certificate[CONFIG_DEVID_CHAIN_MAX_LEN];

static int random_bytes(void *context, unsigned char *out, size_t len)
{
	return psa_generate_random(out, len) == PSA_SUCCESS ? 0 : MBEDTLS_ERR_SSL_HW_ACCEL_FAILED;
}

static int socket_send(void *context, const unsigned char *data, size_t len)
{
	const struct tls *tls = context;
	ssize_t sent = zsock_send(tls->sock, data, len, 0);

	return sent < 0 ? MBEDTLS_ERR_NET_SEND_FAILED : (int)sent;
}

static int socket_receive(void *context, unsigned char *data, size_t size)
{
	const struct tls *tls = context;
	struct zsock_pollfd readable = {.fd = tls->sock, .events = ZSOCK_POLLIN};
	ssize_t len = zsock_recv(tls->sock, data, size, ZSOCK_MSG_DONTWAIT);

	if (len < 0 && errno == EAGAIN && tls->patience_ms != 0) {
		(void)zsock_poll(&readable, 1, tls->patience_ms);
		len = zsock_recv(tls->sock, data, size, ZSOCK_MSG_DONTWAIT);
	}
	if (len >= 0) {
		return (int)len;
	}
	return errno == EAGAIN ? MBEDTLS_ERR_SSL_WANT_READ : MBEDTLS_ERR_NET_RECV_FAILED;
}

/* Mbed TLS's number says what failed; the caller needs no more than an errno. */
static int failed(const char *what, int error)
{
	printk("TLS: %s failed: -0x%04x\n", what, (unsigned int)-error);
	switch (error) {
	case MBEDTLS_ERR_SSL_WANT_READ:
		return -ETIMEDOUT;
	case MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE:
		return -ECONNREFUSED;
	case MBEDTLS_ERR_NET_SEND_FAILED:
	case MBEDTLS_ERR_NET_RECV_FAILED:
	case MBEDTLS_ERR_SSL_CONN_EOF:
		return -ECONNRESET;
	case MBEDTLS_ERR_X509_CERT_VERIFY_FAILED:
		return -EACCES;
	case MBEDTLS_ERR_SSL_ALLOC_FAILED:
	case MBEDTLS_ERR_X509_ALLOC_FAILED:
	case MBEDTLS_ERR_PK_ALLOC_FAILED:
		return -ENOMEM;
	default:
		return -EIO;
	}
}

/* Parses all certificates of a slot, in their order. */
static int take_certificates(uint8_t slot, mbedtls_x509_crt *chain)
{
	for (size_t index = 0;; index++) {
		size_t len;
		int ret = devid_id_certificate(slot, index, certificate, sizeof(certificate), &len);

		if (ret == -ENOENT && index > 0) {
			return 0;
		}
		if (ret != 0) {
			return ret;
		}
		ret = mbedtls_x509_crt_parse_der(chain, certificate, len);
		if (ret != 0) {
			return failed("certificate", ret);
		}
	}
}

static int take_key(uint8_t slot, mbedtls_pk_context *key)
{
	uint32_t id;
	int ret = devid_id_key(slot, &id);

	if (ret != 0) {
		return ret;
	}
	ret = mbedtls_pk_setup_opaque(key, id);
	return ret == 0 ? 0 : failed("key", ret);
}

static int configure(struct tls *tls)
{
	/* The suite's hash is also the one that the identity's key signs. */
	static const int suites[] = {
#ifdef CONFIG_PSA_WANT_ALG_SHA_384
		MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
#endif
		MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, 0};
	int ret = mbedtls_ssl_config_defaults(&tls->config, MBEDTLS_SSL_IS_CLIENT,
					      MBEDTLS_SSL_TRANSPORT_STREAM,
					      MBEDTLS_SSL_PRESET_DEFAULT);

	if (ret != 0) {
		return failed("configuration", ret);
	}
	mbedtls_ssl_conf_rng(&tls->config, random_bytes, NULL);
	mbedtls_ssl_conf_ciphersuites(&tls->config, suites);
	mbedtls_ssl_conf_authmode(&tls->config, MBEDTLS_SSL_VERIFY_REQUIRED);
	mbedtls_ssl_conf_ca_chain(&tls->config, &tls->ca, NULL);
	ret = mbedtls_ssl_conf_own_cert(&tls->config, &tls->chain, &tls->key);
	if (ret == 0) {
		ret = mbedtls_ssl_setup(&tls->ssl, &tls->config);
	}
	if (ret == 0) {
		ret = mbedtls_ssl_set_hostname(&tls->ssl, tls->host);
	}
	if (ret != 0) {
		return failed("configuration", ret);
	}
	mbedtls_ssl_set_bio(&tls->ssl, tls, socket_send, socket_receive, NULL);
	return 0;
}

static int shake_hands(struct tls *tls, const struct sockaddr_in *broker)
{
	int ret;

	tls->sock = zsock_socket(AF_INET, SOCK_STREAM, IPPROTO_TCP);
	if (tls->sock < 0 ||
	    zsock_connect(tls->sock, (const struct sockaddr *)broker, sizeof(*broker)) < 0) {
		return -errno;
	}
	tls->patience_ms = TLS_PATIENCE_MS;
	ret = mbedtls_ssl_handshake(&tls->ssl);
	return ret == 0 ? 0 : failed("handshake", ret);
}

static void release(struct tls *tls)
{
	if (tls->sock >= 0) {
		zsock_close(tls->sock);
	}
	mbedtls_ssl_free(&tls->ssl);
	mbedtls_ssl_config_free(&tls->config);
	/* The key itself is devid's: an opaque context only refers to it. */
	mbedtls_pk_free(&tls->key);
	mbedtls_x509_crt_free(&tls->ca);
	mbedtls_x509_crt_free(&tls->chain);
}

int tls_open(struct tls *tls, const struct sockaddr_in *broker)
{
	int ret;

	tls->sock = -1;
	mbedtls_x509_crt_init(&tls->chain);
	mbedtls_x509_crt_init(&tls->ca);
	mbedtls_pk_init(&tls->key);
	mbedtls_ssl_config_init(&tls->config);
	mbedtls_ssl_init(&tls->ssl);

	ret = take_certificates(tls->identity, &tls->chain);
	if (ret == 0) {
		ret = take_key(tls->identity, &tls->key);
	}
	if (ret == 0) {
		ret = take_certificates(tls->anchor, &tls->ca);
	}
	if (ret == 0) {
		ret = configure(tls);
	}
	if (ret == 0) {
		ret = shake_hands(tls, broker);
	}
	if (ret != 0) {
		release(tls);
	}
	return ret;
}

int tls_send(struct tls *tls, const uint8_t *data, size_t len)
{
	while (len > 0) {
		int sent = mbedtls_ssl_write(&tls->ssl, data, len);

		if (sent < 0) {
			return failed("write", sent);
		}
		data += sent;
		len -= (size_t)sent;
	}
	return 0;
}

int tls_receive(struct tls *tls, uint8_t *data, size_t size, int patience_ms)
{
	int len;

	tls->patience_ms = patience_ms;
	len = mbedtls_ssl_read(&tls->ssl, data, size);
	switch (len) {
	case MBEDTLS_ERR_SSL_WANT_READ:
		return -EAGAIN;
	case MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY:
	case MBEDTLS_ERR_SSL_CONN_EOF:
		return 0;
	default:
		return len < 0 ? failed("read", len) : len;
	}
}

void tls_close(struct tls *tls)
{
	(void)mbedtls_ssl_close_notify(&tls->ssl);
	release(tls);
}
