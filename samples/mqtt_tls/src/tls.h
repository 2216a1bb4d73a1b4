/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * A TLS connection whose client key stays where devid keeps it: Mbed TLS in the
 * application, the key as an opaque PSA key.
 */
#ifndef TLS_H_
#define TLS_H_

#include <stddef.h>
#include <stdint.h>

#include <zephyr/net/net_ip.h>

#include <mbedtls/ssl.h>

/** What a handshake may wait for one message of the server. */
#define TLS_PATIENCE_MS 20000

/** One connection. */
struct tls {
	uint8_t identity; /**< identity slot: our chain and key */
	uint8_t anchor;   /**< anchor slot: the CA of the server */
	const char *host; /**< the name or address in the server's certificate */
	int sock;
	int patience_ms; /**< how long to wait for bytes of the server */
	mbedtls_x509_crt chain;
	mbedtls_x509_crt ca;
	mbedtls_pk_context key;
	mbedtls_ssl_config config;
	mbedtls_ssl_context ssl;
};

/**
 * Connects and authenticates both sides.
 *
 * @param tls the connection, its slots and host set.
 * @param broker where to.
 *
 * @return 0, or a negative errno; nothing is left open then.
 */
int tls_open(struct tls *tls, const struct sockaddr_in *broker);

/** Sends all of @p data: 0 or a negative errno. */
int tls_send(struct tls *tls, const uint8_t *data, size_t len);

/**
 * Takes what is there, at most @p size bytes: their count, 0 where the server
 * closed, -EAGAIN where nothing came in @p patience_ms, or a negative errno.
 */
int tls_receive(struct tls *tls, uint8_t *data, size_t size, int patience_ms);

/** Tells the server, and gives everything back. */
void tls_close(struct tls *tls);

#endif /* TLS_H_ */
