/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Made from src/capi by cbindgen: `cargo xtask header`. Do not edit.
 */

/**
 * @file
 * @brief devid: an identity that others can check, for devices running on TF-M
 * @defgroup devid devid
 * @since 0.1
 * @version 0.1.0
 *
 * Slots hold provisioned values; an identity slot holds a key in TF-M and the
 * X.509 chain over it; tokens and evidence prove what runs on the device.
 *
 * All functions return 0 or a negative errno and are serialised by one lock:
 * call them from threads, never from interrupts. Memory passed in stays the
 * caller's and is not kept. Lengths and sizes are in bytes.
 * @{
 */


#ifndef DEVID_DEVID_H_
#define DEVID_DEVID_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>


/**
 * Bytes of a slot's name with its NUL.
 */
#define DEVID_NAME_SIZE 24

/**
 * For @p now: no time is known, and validity is not checked.
 */
#define DEVID_NO_TIME -1

/**
 * In the id of an identity's slot: its pending bank, where a rotation prepares
 * the next key and chain. `slot | DEVID_PENDING` goes wherever an identity's
 * slot goes.
 */
#define DEVID_PENDING 128

/**
 * Length of the longest certification request that devid_id_csr() makes, in bytes.
 */
#define DEVID_CSR_MAX_LEN 816

/**
 * What evidence adds at most to a certification request beside itself, in bytes:
 * devid_id_csr_with_evidence() makes requests of up to DEVID_CSR_MAX_LEN,
 * this and the length of devid_bound_evidence() together.
 */
#define DEVID_CSR_EVIDENCE_OVERHEAD 54

/**
 * For @c slot of a finding: it concerns the device, not a slot.
 */
#define DEVID_NO_SLOT 255

/**
 * Length of a recovery nonce, in bytes.
 */
#define DEVID_NONCE_LEN 16

/**
 * A list of so many findings always suffices.
 */
#define DEVID_FINDINGS_MAX 32

/**
 * What a slot holds.
 */
enum devid_kind {
    /**
     * A key in TF-M and the certificate chain over it.
     */
    DEVID_KIND_IDENTITY = 1,
    /**
     * The chain over a key held elsewhere: the IAK's certificate.
     */
    DEVID_KIND_CHAIN = 2,
    /**
     * A trust anchor: one CA certificate.
     */
    DEVID_KIND_ANCHOR = 3,
    /**
     * Bytes whose meaning is the application's.
     */
    DEVID_KIND_DATA = 4,
};

/**
 * Whether a slot holds a value.
 */
enum devid_slot_state {
    /**
     * Nothing. An identity may have a key all the same.
     */
    DEVID_SLOT_EMPTY = 0,
    /**
     * A value; for an identity, a chain.
     */
    DEVID_SLOT_PRESENT = 1,
    /**
     * A record that fails its digest: write or erase the slot.
     */
    DEVID_SLOT_CORRUPT = 2,
};

/**
 * Where an identity stands in a rotation.
 */
enum devid_phase {
    /**
     * In none: the pending bank is empty.
     */
    DEVID_PHASE_SETTLED = 0,
    /**
     * A key or a chain is pending; the active ones are in use.
     */
    DEVID_PHASE_PENDING = 1,
    /**
     * The new ones are active and the old ones kept until they are confirmed.
     */
    DEVID_PHASE_ACTIVATED = 2,
};

/**
 * What can be missing or wrong. The numbers never change their meaning.
 */
enum devid_problem {
    /**
     * The device has lost its state: it is locked, and takes a recovery alone.
     */
    DEVID_PROBLEM_STATE_CORRUPT = 1,
    /**
     * A record fails its digest.
     */
    DEVID_PROBLEM_RECORD_CORRUPT = 2,
    /**
     * A factory identity has no key.
     */
    DEVID_PROBLEM_NO_KEY = 3,
    /**
     * An identity has a key and no chain.
     */
    DEVID_PROBLEM_NO_CHAIN = 4,
    /**
     * The leaf certifies another key.
     */
    DEVID_PROBLEM_KEY_MISMATCH = 5,
    /**
     * The chain does not hold together.
     */
    DEVID_PROBLEM_CHAIN_BROKEN = 6,
    /**
     * A certificate has expired.
     */
    DEVID_PROBLEM_EXPIRED = 7,
    /**
     * A certificate is not valid yet.
     */
    DEVID_PROBLEM_NOT_YET_VALID = 8,
    /**
     * An identity's key cannot be read.
     */
    DEVID_PROBLEM_KEY_CORRUPT = 9,
    /**
     * The device is locked, and no anchor may command it at this time.
     */
    DEVID_PROBLEM_NO_COMMANDER = 10,
    /**
     * A certificate expires within 30 days.
     */
    DEVID_PROBLEM_EXPIRES_SOON = 64,
    /**
     * No time was given: the validity of certificates was not checked.
     */
    DEVID_PROBLEM_VALIDITY_NOT_CHECKED = 65,
    /**
     * No trust anchor may command the device at this time: it cannot be locked.
     */
    DEVID_PROBLEM_NO_ANCHOR = 66,
    /**
     * The factory's slots can still be written.
     */
    DEVID_PROBLEM_UNLOCKED = 67,
    /**
     * TF-M was provisioned with its dummy values.
     */
    DEVID_PROBLEM_DUMMY_PROVISIONING = 68,
    /**
     * The attestation key is one whose private half everybody has.
     */
    DEVID_PROBLEM_DEVELOPMENT_IAK = 69,
    /**
     * The storage has no room for a rotation.
     */
    DEVID_PROBLEM_STORAGE_HEADROOM = 70,
    /**
     * An identity was activated and is not confirmed yet.
     */
    DEVID_PROBLEM_NOT_CONFIRMED = 71,
    /**
     * There is no attestation here.
     */
    DEVID_PROBLEM_NO_ATTESTATION = 72,
    /**
     * The attestation key has no chain: a verifier needs a record of the device.
     */
    DEVID_PROBLEM_NO_IAK_CHAIN = 73,
    /**
     * The value is longer than the slot's limit is now.
     */
    DEVID_PROBLEM_TOO_LONG = 74,
    /**
     * A copy of the device's state decayed, was removed or was put back by
     * somebody; it was written again.
     */
    DEVID_PROBLEM_STATE_REPAIRED = 75,
    /**
     * A change of the identity was begun and cannot be finished.
     */
    DEVID_PROBLEM_UNFINISHED = 76,
};

/**
 * How much a finding matters.
 */
enum devid_severity {
    /**
     * Something does not work.
     */
    DEVID_SEVERITY_ERROR = 1,
    /**
     * It works, and someone should look at it.
     */
    DEVID_SEVERITY_WARNING = 2,
};

/**
 * The failure behind the last negative errno.
 */
struct devid_error {
    /**
     * Number of the error, stable across releases; 0 for none yet.
     */
    uint8_t code;
    /**
     * What the number alone does not say: a limit or length in bytes, the
     * offset of the first malformed byte, the refusal's number, or the PSA
     * status. Not beyond 65535 nor below -32768.
     */
    int32_t detail;
};

/**
 * One slot, as devid_slot_info() and devid_slot_at() report it.
 */
struct devid_slot_info {
    /**
     * Its id.
     */
    uint8_t id;
    /**
     * True where the value changes during the device's life; false where it is
     * the factory's.
     */
    bool operational;
    /**
     * True where the shell does not show the value.
     */
    bool secret;
    /**
     * What it holds.
     */
    enum devid_kind kind;
    /**
     * Whether it holds a value.
     */
    enum devid_slot_state state;
    /**
     * Length of the value in bytes, 0 without one.
     */
    uint32_t len;
    /**
     * Longest value in bytes.
     */
    uint32_t max_len;
    /**
     * Writes since it was last empty, 0 without a value.
     */
    uint32_t generation;
    /**
     * Its name, NUL-terminated.
     */
    char name[DEVID_NAME_SIZE];
};

/**
 * Subject of a certification request. Each attribute may be NULL: it is left
 * out then. UTF-8, 1 to 64 characters (X.520);
 * @c serial_number in PrintableString's characters alone (IEEE 802.1AR, 8.6).
 */
struct devid_subject {
    /**
     * X.520 commonName, or NULL.
     */
    const char *common_name;
    /**
     * X.520 serialNumber, or NULL.
     */
    const char *serial_number;
    /**
     * X.520 organizationName, or NULL.
     */
    const char *organization;
};

/**
 * What devid_id_install() checked.
 */
struct devid_checked {
    /**
     * Certificates in the chain.
     */
    uint8_t certificates;
    /**
     * Whether their validity was checked: true if a time was given.
     */
    bool validity_checked;
};

/**
 * What devid_update() did.
 */
struct devid_applied {
    /**
     * Number of the command, now its signer's last.
     */
    uint64_t sequence;
    /**
     * The command had been applied before; this time nothing was changed.
     */
    bool already;
};

/**
 * One thing that is missing or wrong.
 */
struct devid_finding {
    /**
     * What it is: a @c devid_problem, or one that a later release knows.
     */
    uint8_t problem;
    /**
     * How much it matters: a @c devid_severity.
     */
    uint8_t severity;
    /**
     * The slot it concerns, or DEVID_NO_SLOT.
     */
    uint8_t slot;
};

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Opens the device: finds every slot's value and finishes what a power cut
 * interrupted. The other functions do so themselves on first use.
 *
 * @retval 0 on success, also when open already.
 * @retval -EIO the platform failed; devid_last_error() has the PSA status.
 */
int devid_init(void);

/**
 * Tells more of the last call that failed, on any thread. A diagnostic: where
 * threads race, it is the failure of one of them.
 *
 * @param[out] error the failure.
 *
 * @retval 0 on success.
 * @retval -EINVAL @p error is NULL or not aligned.
 */
int devid_last_error(struct devid_error *error);

/**
 * Tells about the slot at a place in the layout. Counting from 0 until
 * -ENOENT lists all slots.
 *
 * @param index place in the layout, from 0.
 * @param[out] info the slot.
 *
 * @retval 0 on success.
 * @retval -EINVAL @p info is NULL or not aligned.
 * @retval -ENOENT the layout has fewer slots.
 * @retval -EIO the platform failed.
 */
int devid_slot_at(size_t index, struct devid_slot_info *info);

/**
 * Tells about one slot.
 *
 * @param slot the slot's id.
 * @param[out] info the slot.
 *
 * @retval 0 on success.
 * @retval -EINVAL @p info is NULL or not aligned.
 * @retval -ENXIO there is no such slot.
 * @retval -EIO the platform failed.
 */
int devid_slot_info(uint8_t slot, struct devid_slot_info *info);

/**
 * Finds a slot by its name.
 *
 * @param name the name, NUL-terminated.
 * @param[out] slot the slot's id.
 *
 * @retval 0 on success.
 * @retval -EINVAL a pointer is NULL, or the name is longer than a slot's.
 * @retval -ENXIO there is no such slot.
 * @retval -EIO the platform failed.
 */
int devid_slot_find(const char *name, uint8_t *slot);

/**
 * Reads a slot's value. For an identity, chain or anchor: its certificates as
 * concatenated DER, leaf first.
 *
 * @param slot the slot's id.
 * @param[out] buf where the value goes, or NULL with @p size 0 to ask for its
 *             length; untouched on failure.
 * @param size bytes at @p buf.
 * @param[out] len length of the value; on -ENOBUFS the size needed.
 *
 * @retval 0 on success.
 * @retval -EINVAL a pointer is NULL or not aligned, or @p len lies in @p buf.
 * @retval -ENXIO there is no such slot.
 * @retval -ENOENT the slot is empty.
 * @retval -ENOBUFS @p buf is too small.
 * @retval -EILSEQ the record is corrupt.
 * @retval -EIO the platform failed.
 */
int devid_slot_read(uint8_t slot, uint8_t *buf, size_t size, size_t *len);

/**
 * Replaces a slot's value, whole or not at all, power cuts included.
 *
 * A chain must be concatenated DER certificates, leaf first, each signed by
 * the next, over the initial attestation key; an anchor one CA certificate.
 * Certificates come to an identity by devid_id_install() alone.
 *
 * @param slot the slot's id.
 * @param value the value.
 * @param len its length in bytes, 1 to the slot's limit.
 *
 * @retval 0 on success.
 * @retval -EINVAL @p value is NULL or @p len is 0.
 * @retval -ENXIO there is no such slot.
 * @retval -EFBIG the value is longer than the slot's limit.
 * @retval -ENOTSUP the slot is an identity.
 * @retval -EACCES the slot is the factory's and the device is locked.
 * @retval -EBADMSG a certificate is malformed.
 * @retval -EPERM a certificate or chain was refused; see devid_last_error().
 * @retval -ENOSPC the storage is full.
 * @retval -EIO the platform failed.
 */
int devid_slot_write(uint8_t slot, const uint8_t *value, size_t len);

/**
 * Empties a slot, a corrupt one too. An identity loses its key as well: that
 * cannot be undone. A pending bank loses what a rotation prepared.
 *
 * @param slot the slot's id.
 *
 * @retval 0 on success.
 * @retval -ENXIO there is no such slot.
 * @retval -ENOENT the slot is empty.
 * @retval -EACCES the slot is the factory's and the device is locked.
 * @retval -EBUSY the identity is in a rotation.
 * @retval -EIO the platform failed.
 */
int devid_slot_erase(uint8_t slot);

/**
 * Makes an identity's P-256 key in TF-M, or its pending bank's. It never
 * leaves it.
 *
 * @param slot the identity's slot id.
 *
 * @retval 0 on success.
 * @retval -EACCES the identity is the factory's and the device is locked.
 * @retval -EBUSY the pending bank holds a renewal, or what was replaced.
 * @retval -ENOENT a pending key needs an active one.
 * @retval -ENXIO there is no such slot.
 * @retval -ENOTSUP the slot is no identity.
 * @retval -EEXIST there is a key already: erase the slot first.
 * @retval -ENOSPC the key storage is full.
 * @retval -EIO the platform failed.
 */
int devid_id_generate(uint8_t slot);

/**
 * Reads an identity's public key as a DER SubjectPublicKeyInfo (RFC 5480),
 * 91 bytes.
 *
 * @param slot the identity's slot id.
 * @param[out] buf where the key goes, or NULL with @p size 0; untouched on
 *             failure.
 * @param size bytes at @p buf.
 * @param[out] len length of the key; on -ENOBUFS the size needed.
 *
 * @retval 0 on success.
 * @retval -EINVAL a pointer is NULL or not aligned, or @p len lies in @p buf.
 * @retval -ENXIO there is no such slot.
 * @retval -ENOTSUP the slot is no identity.
 * @retval -ENOENT there is no key.
 * @retval -ENOBUFS @p buf is too small.
 * @retval -EIO the platform failed.
 */
int devid_id_public_key(uint8_t slot, uint8_t *buf, size_t size, size_t *len);

/**
 * Makes a PKCS#10 certification request (RFC 2986) in DER, signed by the
 * identity's key.
 *
 * @param slot the identity's slot id.
 * @param subject the subject, or NULL for an empty one.
 * @param[out] buf where the request goes, or NULL with @p size 0; untouched
 *             on failure. DEVID_CSR_MAX_LEN bytes hold any.
 * @param size bytes at @p buf.
 * @param[out] len length of the request; on -ENOBUFS the size needed for this
 *             request with whatever signature.
 *
 * @retval 0 on success.
 * @retval -EINVAL a pointer is NULL or not aligned, @p len lies in @p buf, or
 *         an attribute of the subject is too long or has a wrong character.
 * @retval -ENXIO there is no such slot.
 * @retval -ENOTSUP the slot is no identity.
 * @retval -ENOENT there is no key.
 * @retval -ENOBUFS @p buf is too small.
 * @retval -EIO the platform failed.
 */
int devid_id_csr(uint8_t slot,
                 const struct devid_subject *subject,
                 uint8_t *buf,
                 size_t size,
                 size_t *len);

/**
 * Installs the certificate chain over an identity's key, whole or not at all;
 * it replaces a chain already there. In the pending bank it waits for
 * devid_id_activate(); without a pending key there it is a renewal, over the
 * active key.
 *
 * @param slot the identity's slot id.
 * @param chain concatenated DER certificates, leaf first.
 * @param len its length in bytes.
 * @param now seconds since 1970-01-01T00:00Z to check validity at, or
 *            DEVID_NO_TIME.
 * @param[out] checked what was checked, or NULL.
 *
 * @retval 0 on success.
 * @retval -EINVAL @p chain is NULL, @p len is 0, or @p checked not aligned.
 * @retval -ENXIO there is no such slot.
 * @retval -ENOTSUP the slot is no identity.
 * @retval -ENOENT there is no key.
 * @retval -EACCES the identity is the factory's and the device is locked.
 * @retval -EBUSY the identity is in a rotation.
 * @retval -EFBIG the chain is longer than the slot's limit.
 * @retval -EBADMSG a certificate is malformed.
 * @retval -EPERM the chain was refused: another key, wrong order, a bad
 *         signature, no CA, a key usage, or the time; see devid_last_error().
 * @retval -ENOSPC the storage is full.
 * @retval -EIO the platform failed.
 */
int devid_id_install(uint8_t slot,
                     const uint8_t *chain,
                     size_t len,
                     int64_t now,
                     struct devid_checked *checked);

/**
 * Reads one certificate of an identity, chain or anchor, in DER.
 *
 * @param slot the slot's id.
 * @param index place in the chain, the leaf at 0.
 * @param[out] buf where the certificate goes, or NULL with @p size 0;
 *             untouched on failure.
 * @param size bytes at @p buf.
 * @param[out] len length of the certificate; on -ENOBUFS the size needed.
 *
 * @retval 0 on success.
 * @retval -EINVAL a pointer is NULL or not aligned, or @p len lies in @p buf.
 * @retval -ENXIO there is no such slot.
 * @retval -ENOTSUP the slot holds no certificates.
 * @retval -ENOENT the slot is empty or the chain is shorter.
 * @retval -ENOBUFS @p buf is too small.
 * @retval -EILSEQ the record is corrupt.
 * @retval -EIO the platform failed.
 */
int devid_id_certificate(uint8_t slot, size_t index, uint8_t *buf, size_t size, size_t *len);

/**
 * Reads an identity's chain as concatenated DER, leaf first.
 *
 * @param slot the identity's slot id.
 * @param[out] buf where the chain goes, or NULL with @p size 0; untouched on
 *             failure.
 * @param size bytes at @p buf.
 * @param[out] len length of the chain; on -ENOBUFS the size needed.
 *
 * @retval 0 on success.
 * @retval -EINVAL a pointer is NULL or not aligned, or @p len lies in @p buf.
 * @retval -ENXIO there is no such slot.
 * @retval -ENOTSUP the slot is no identity.
 * @retval -ENOENT no chain is installed.
 * @retval -ENOBUFS @p buf is too small.
 * @retval -EILSEQ the record is corrupt.
 * @retval -EIO the platform failed.
 */
int devid_id_chain(uint8_t slot, uint8_t *buf, size_t size, size_t *len);

/**
 * Tells how long a token will be.
 *
 * @param challenge_len length of the challenge: 32, 48 or 64 bytes.
 * @param[out] len length of the token in bytes.
 *
 * @retval 0 on success.
 * @retval -EINVAL @p len is NULL or not aligned, or the length is another.
 * @retval -ENOTSUP the platform does not attest.
 * @retval -EIO the platform failed.
 */
int devid_token_len(size_t challenge_len, size_t *len);

/**
 * Fetches the PSA attestation token for a challenge, as TF-M signed it.
 *
 * @param challenge the verifier's challenge.
 * @param challenge_len its length: 32, 48 or 64 bytes.
 * @param[out] buf where the token goes, or NULL with @p size 0; untouched on
 *             failure.
 * @param size bytes at @p buf.
 * @param[out] len length of the token; on -ENOBUFS the size needed.
 *
 * @retval 0 on success.
 * @retval -EINVAL a pointer is NULL or not aligned, the buffers overlap, or
 *         the challenge has another length, or has 48 bytes and begins as the
 *         nonces do that vouch for a key (docs/bound-evidence.md).
 * @retval -ENOBUFS @p buf is too small.
 * @retval -ENOTSUP the platform does not attest.
 * @retval -EIO the platform failed.
 */
int devid_token(const uint8_t *challenge,
                size_t challenge_len,
                uint8_t *buf,
                size_t size,
                size_t *len);

/**
 * Fetches evidence: the token for a challenge and, where the @c iak slot holds
 * one, the attestation key's certificate chain as @c x5chain in the token's
 * unprotected header (RFC 9360). What TF-M signed is not touched.
 *
 * @param challenge the verifier's challenge.
 * @param challenge_len its length: 32, 48 or 64 bytes.
 * @param[out] buf where the evidence goes, or NULL with @p size 0; untouched
 *             on failure.
 * @param size bytes at @p buf.
 * @param[out] len length of the evidence; on -ENOBUFS the size needed.
 *
 * @retval 0 on success.
 * @retval -EINVAL a pointer is NULL or not aligned, the buffers overlap, or
 *         the challenge has another length, or has 48 bytes and begins as the
 *         nonces do that vouch for a key (docs/bound-evidence.md).
 * @retval -ENOBUFS @p buf is too small.
 * @retval -EILSEQ the chain's record is corrupt; devid_token() still works.
 * @retval -ENOTSUP the platform does not attest.
 * @retval -EIO the platform failed.
 */
int devid_evidence(const uint8_t *challenge,
                   size_t challenge_len,
                   uint8_t *buf,
                   size_t size,
                   size_t *len);

/**
 * Reads the initial attestation key's public half as a DER
 * SubjectPublicKeyInfo (RFC 5480), 91 bytes: what a verifier registers.
 *
 * @param[out] buf where the key goes, or NULL with @p size 0; untouched on
 *             failure.
 * @param size bytes at @p buf.
 * @param[out] len length of the key; on -ENOBUFS the size needed.
 *
 * @retval 0 on success.
 * @retval -EINVAL a pointer is NULL or not aligned, or @p len lies in @p buf.
 * @retval -ENOBUFS @p buf is too small.
 * @retval -ENOTSUP there is no such key, or the platform does not export it.
 * @retval -EIO the platform failed.
 */
int devid_iak_public_key(uint8_t *buf, size_t size, size_t *len);

/**
 * Tells where an identity stands in a rotation.
 *
 * @param slot the identity's slot id.
 * @param[out] phase where it stands.
 *
 * @retval 0 on success.
 * @retval -EINVAL @p phase is NULL or not aligned.
 * @retval -ENXIO there is no such slot.
 * @retval -ENOTSUP the slot is no identity.
 * @retval -EIO the platform failed.
 */
int devid_id_phase(uint8_t slot, enum devid_phase *phase);

/**
 * Makes the pending key and chain the active ones, or the pending chain over
 * the same key, in one write. The old ones are kept until devid_id_confirm().
 *
 * @param slot the identity's slot id.
 *
 * @retval 0 on success.
 * @retval -ENXIO there is no such slot.
 * @retval -ENOTSUP the slot is no identity.
 * @retval -ENOENT no chain is pending.
 * @retval -EBUSY the last activation is neither confirmed nor rolled back.
 * @retval -EACCES the identity is the factory's and the device is locked.
 * @retval -EPERM the pending chain is over another key.
 * @retval -EILSEQ a record, or the device's state, is corrupt.
 * @retval -ENOSPC the storage is full.
 * @retval -EIO the platform failed.
 */
int devid_id_activate(uint8_t slot);

/**
 * Ends a rotation: destroys the old key and removes the old chain. There is no
 * way back.
 *
 * @param slot the identity's slot id.
 *
 * @retval 0 on success.
 * @retval -ENXIO there is no such slot.
 * @retval -ENOTSUP the slot is no identity.
 * @retval -ENOENT nothing was activated.
 * @retval -EIO the platform failed; the next start goes on where this ended.
 */
int devid_id_confirm(uint8_t slot);

/**
 * Undoes a rotation as far as it went: an activated identity becomes again
 * what it was, and what was new is dropped.
 *
 * @param slot the identity's slot id.
 *
 * @retval 0 on success.
 * @retval -ENXIO there is no such slot.
 * @retval -ENOTSUP the slot is no identity.
 * @retval -ENOENT there is no rotation.
 * @retval -EIO the platform failed.
 */
int devid_id_rollback(uint8_t slot);

/**
 * Tells the PSA id of an identity's key, for a TLS stack that signs with it. A
 * rotation changes it: ask anew after each activation. The key's policy is ECDSA
 * with any hash (@c PSA_ALG_ECDSA(PSA_ALG_ANY_HASH)).
 *
 * @param slot the identity's slot id.
 * @param[out] key a @c psa_key_id_t.
 *
 * @retval 0 on success, also where there is no key yet.
 * @retval -EINVAL @p key is NULL or not aligned.
 * @retval -ENXIO there is no such slot.
 * @retval -ENOTSUP the slot is no identity.
 * @retval -EBUSY the pending bank holds what was replaced.
 */
int devid_id_key(uint8_t slot, uint32_t *key);

/**
 * Makes a PKCS#10 certification request as devid_id_csr(), with bound evidence
 * for the request's own key as its attribute id-aa-attestation.
 *
 * @param slot the identity's slot id.
 * @param subject the subject, or NULL for an empty one.
 * @param challenge the CA's challenge.
 * @param challenge_len its length: 32, 48 or 64 bytes.
 * @param[out] buf where the request goes, or NULL with @p size 0; untouched
 *             on failure.
 * @param size bytes at @p buf.
 * @param[out] len length of the request; on -ENOBUFS the size needed for this
 *             request with whatever signature.
 *
 * @retval 0 on success.
 * @retval -EINVAL a pointer is NULL or not aligned, the buffers overlap, the
 *         challenge has another length, or has 48 bytes and begins as the
 *         nonces do that vouch for a key (docs/bound-evidence.md), or an
 *         attribute of the subject is too long or has a wrong character.
 * @retval -ENXIO there is no such slot.
 * @retval -ENOTSUP the slot is no identity, or the platform does not attest.
 * @retval -ENOENT there is no key.
 * @retval -ENOBUFS @p buf is too small.
 * @retval -EILSEQ the attestation key's chain is corrupt.
 * @retval -EIO the platform failed.
 */
int devid_id_csr_with_evidence(uint8_t slot,
                               const struct devid_subject *subject,
                               const uint8_t *challenge,
                               size_t challenge_len,
                               uint8_t *buf,
                               size_t size,
                               size_t *len);

/**
 * Fetches evidence that vouches for an identity's key: as devid_evidence(), for
 * a nonce of 48 bytes that is made of the verifier's challenge and the key, and
 * that no plain challenge can be (docs/bound-evidence.md).
 *
 * @param slot the identity's slot id.
 * @param challenge the verifier's challenge.
 * @param challenge_len its length: 32, 48 or 64 bytes.
 * @param[out] buf where the evidence goes, or NULL with @p size 0; untouched
 *             on failure.
 * @param size bytes at @p buf.
 * @param[out] len length of the evidence; on -ENOBUFS the size needed.
 *
 * @retval 0 on success.
 * @retval -EINVAL a pointer is NULL or not aligned, the buffers overlap, or
 *         the challenge has another length, or has 48 bytes and begins as the
 *         nonces do that vouch for a key (docs/bound-evidence.md).
 * @retval -ENXIO there is no such slot.
 * @retval -ENOTSUP the slot is no identity, or the platform does not attest.
 * @retval -ENOENT there is no key.
 * @retval -ENOBUFS @p buf is too small.
 * @retval -EILSEQ the attestation key's chain is corrupt.
 * @retval -EIO the platform failed.
 */
int devid_bound_evidence(uint8_t slot,
                         const uint8_t *challenge,
                         size_t challenge_len,
                         uint8_t *buf,
                         size_t size,
                         size_t *len);

/**
 * Reads what names this device: the instance id of its tokens (a UEID, 33
 * bytes); without attestation 01 and the SHA-256 of the IDevID key's point.
 *
 * @param[out] buf where the id goes, or NULL with @p size 0; untouched on
 *             failure.
 * @param size bytes at @p buf.
 * @param[out] len length of the id; on -ENOBUFS the size needed.
 *
 * @retval 0 on success.
 * @retval -EINVAL a pointer is NULL or not aligned, or @p len lies in @p buf.
 * @retval -ENOENT there is neither attestation nor an IDevID key.
 * @retval -ENOBUFS @p buf is too small.
 * @retval -EIO the platform failed.
 */
int devid_instance_id(uint8_t *buf, size_t size, size_t *len);

/**
 * Locks the device: from now on the factory's slots change by an authorised
 * devid_update() alone. Nothing undoes this but a full erase of the secure
 * storage. Locking a locked device does nothing.
 *
 * @retval 0 on success.
 * @retval -ENOENT a factory identity has no key or no chain.
 * @retval -EBUSY a factory identity is in a rotation.
 * @retval -EPERM no trust anchor may command the device.
 * @retval -EILSEQ a factory identity's record is corrupt.
 * @retval -ENOSPC the storage is full.
 * @retval -EIO the platform failed.
 */
int devid_lock(void);

/**
 * Tells whether the device is locked; one that has lost its state is.
 *
 * @param[out] locked whether it is.
 *
 * @retval 0 on success.
 * @retval -EINVAL @p locked is NULL.
 * @retval -EIO the platform failed.
 */
int devid_is_locked(bool *locked);

/**
 * Returns to the factory's identity: destroys the keys and chains of all
 * operational ones. Data slots stay. A reset that power interrupts is finished
 * at the next start.
 *
 * @retval 0 on success.
 * @retval -EILSEQ the device's state is corrupt.
 * @retval -ENOSPC the storage is full.
 * @retval -EIO the platform failed.
 */
int devid_reset(void);

/**
 * Checks an update command, signed by one of the device's trust anchors, and
 * applies it, whole or not at all (docs/update.md). Neither policies nor the
 * lock bind it.
 *
 * Validity and expiry are checked at the time that devid_time_set() told.
 *
 * @param command the command as it came.
 * @param len its length in bytes.
 * @param[out] applied what was applied, or NULL.
 *
 * @retval 0 on success.
 * @retval -EINVAL @p command is NULL, @p len is 0, or @p applied not aligned.
 * @retval -ENOTSUP without CONFIG_DEVID_UPDATES.
 * @retval -EBADMSG not an update command, or a certificate in it is malformed.
 * @retval -EPERM refused: no anchor that may command signed it, it is for
 *         another device, its number is used up, it has expired or no time is
 *         known, its operation is unknown, or no anchor that may command would
 *         be left; or its certificates were refused. See devid_last_error().
 * @retval -ENXIO it names a slot that is not there.
 * @retval -ENOTSUP it names a slot of another kind.
 * @retval -ENOENT it names a slot or a key that is empty.
 * @retval -EFBIG its value is longer than the slot's limit.
 * @retval -EBUSY the identity is in a rotation.
 * @retval -EILSEQ the device has lost its state, and this is no recovery.
 * @retval -ENOSPC the storage is full.
 * @retval -EIO the platform failed.
 */
int devid_update(const uint8_t *command, size_t len, struct devid_applied *applied);

/**
 * Tells the device what time it is. Only the application can: no shell and no
 * transport does. Time passes from there until the next start; call this again
 * whenever the time is known anew.
 *
 * devid remembers, at most once a day, that it cannot be earlier: not further
 * than CONFIG_DEVID_TIME_BOUND_DAYS beyond the firmware's build or the latest
 * update command.
 *
 * @param now seconds since 1970-01-01T00:00Z.
 *
 * @retval 0 on success.
 * @retval -EPERM the device knows that this time has passed.
 * @retval -ENOSPC the storage is full.
 * @retval -EIO the platform failed.
 */
int devid_time_set(int64_t now);

/**
 * Makes a nonce for one recovery command (docs/update.md). It stays the same
 * until a recovery used it, or until the next start.
 *
 * @param[out] nonce where its DEVID_NONCE_LEN bytes go.
 *
 * @retval 0 on success.
 * @retval -EINVAL @p nonce is NULL.
 * @retval -ENOTSUP without CONFIG_DEVID_UPDATES.
 * @retval -EIO the platform failed.
 */
int devid_recovery_nonce(uint8_t (*nonce)[DEVID_NONCE_LEN]);

/**
 * Tells the highest number of an update command that was applied, whoever signed
 * it. Each signer's numbers rise by themselves.
 *
 * @param[out] sequence the number; 0 before the first update.
 *
 * @retval 0 on success.
 * @retval -EINVAL @p sequence is NULL or not aligned.
 * @retval -EIO the platform failed.
 */
int devid_update_sequence(uint64_t *sequence);

/**
 * Lists what is missing or wrong with the device. Tries whether there is room
 * for a rotation, by a record and a key that are removed again: not for a loop.
 *
 * @param now seconds since 1970-01-01T00:00Z to check validity at, or
 *            DEVID_NO_TIME.
 * @param[out] findings where the list goes, or NULL with @p size 0; untouched
 *             on failure. DEVID_FINDINGS_MAX always suffice.
 * @param size findings at @p findings.
 * @param[out] count how many there are; on -ENOBUFS the size needed.
 *
 * @retval 0 on success, whatever was found.
 * @retval -EINVAL a pointer is NULL or not aligned.
 * @retval -ENOBUFS @p findings is too small.
 * @retval -EIO the platform failed.
 */
int devid_status(int64_t now, struct devid_finding *findings, size_t size, size_t *count);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* DEVID_DEVID_H_ */

/** @} */
