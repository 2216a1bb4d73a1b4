/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * @brief Identities as credentials of Zephyr's TLS sockets
 *
 * An identity is registered under a security tag: its certificate chain, and its
 * private key as the PSA key that it is, where Zephyr's sockets take such a key.
 * Zephyr 4.1's do not: the chain alone is registered there, and an application
 * that authenticates by the key drives Mbed TLS itself, as samples/mqtt_tls does.
 *
 * All functions return 0 or a negative errno. Call them from threads.
 */
#ifndef DEVID_TLS_CREDENTIALS_H_
#define DEVID_TLS_CREDENTIALS_H_

#include <stdint.h>

#include <zephyr/net/tls_credentials.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Registers an identity under a security tag, or renews what is registered.
 *
 * Call it again after the identity changed (install, activate, rollback, erase,
 * reset, an update): what the tag stood for before is gone then, also where the
 * call fails. Calling it before each connection is right as well.
 *
 * The chain is registered as PEM, leaf first, with the NUL that ends it: the one
 * form in which the sockets take more than one certificate.
 *
 * @param slot the identity's slot id.
 * @param tag the security tag, not negative.
 *
 * @retval 0 on success.
 * @retval -EINVAL the tag is negative.
 * @retval -ENXIO there is no such slot.
 * @retval -ENOTSUP the slot is no identity.
 * @retval -ENOENT the identity has no key or no chain.
 * @retval -EPERM the key could be exported, or a private key in the open is
 *         registered under the tag.
 * @retval -ENOMEM no room: raise CONFIG_DEVID_TLS_CREDENTIALS_TAGS or
 *         CONFIG_TLS_MAX_CREDENTIALS_NUMBER.
 * @retval -EILSEQ the chain's record is corrupt.
 * @retval -EIO the platform failed.
 */
int devid_tls_register(uint8_t slot, sec_tag_t tag);

/**
 * Registers a private key of PSA crypto under a security tag that an identity is
 * registered under, in place of the identity's key.
 *
 * A key that may be exported is refused: what can leave is no identity.
 *
 * @param tag the security tag.
 * @param key the key's PSA id.
 *
 * @retval 0 on success.
 * @retval -EPERM the key's usage flags allow its export.
 * @retval -ENOENT there is no such key, or no identity under the tag.
 * @retval -ENOTSUP Zephyr's sockets take no PSA keys.
 * @retval -ENOMEM raise CONFIG_TLS_MAX_CREDENTIALS_NUMBER.
 * @retval -EIO the platform failed.
 */
int devid_tls_register_key(sec_tag_t tag, uint32_t key);

/**
 * Removes what was registered under a security tag.
 *
 * @param tag the security tag.
 *
 * @retval 0 on success.
 * @retval -ENOENT nothing was.
 */
int devid_tls_unregister(sec_tag_t tag);

#ifdef __cplusplus
}
#endif

#endif /* DEVID_TLS_CREDENTIALS_H_ */
