// SPDX-License-Identifier: Apache-2.0
//! The C API: `devid/devid.h` is made from this module by cbindgen.
//!
//! Each function converts its pointers, calls Rust, and maps the result.
#![allow(unsafe_code, reason = "the C boundary: pointers come in, symbols go out")]
#![allow(non_camel_case_types, reason = "the names are C's")]
#![allow(rustdoc::broken_intra_doc_links, reason = "Doxygen's @param[out] is no link")]
#![allow(clippy::missing_safety_doc, reason = "the @param lines are the contract")]

pub mod life;
mod ptr;
#[cfg(feature = "shell")]
mod shell;
#[cfg(feature = "smp")]
mod smp;
mod status;

use core::ffi::{c_char, c_int};

use devid_core::Error;
use devid_core::csr::{self, Subject};
use devid_core::device::{Device, SlotInfo, SlotState};
use devid_core::layout::{Kind, Policy, SlotId};
use devid_psa::Psa;
use devid_psa_sys as sys;

use ptr::{Buffer, Place, bytes, string, text};
use status::{report, report_last};

/// Bytes of a slot's name with its NUL.
pub const DEVID_NAME_SIZE: usize = 24;

/// For @p now: no time is known, and validity is not checked.
pub const DEVID_NO_TIME: i64 = -1;

/// In the id of an identity's slot: its pending bank, where a rotation prepares
/// the next key and chain. `slot | DEVID_PENDING` goes wherever an identity's
/// slot goes.
pub const DEVID_PENDING: u8 = 0x80;

/// Length of the longest certification request that devid_id_csr() makes, in bytes.
pub const DEVID_CSR_MAX_LEN: usize = 816;

/// What evidence adds at most to a certification request beside itself, in bytes:
/// devid_id_csr_with_evidence() makes requests of up to DEVID_CSR_MAX_LEN,
/// this and the length of devid_bound_evidence() together.
pub const DEVID_CSR_EVIDENCE_OVERHEAD: usize = 54;

// cbindgen copies numbers alone.
const _: () = assert!(DEVID_CSR_MAX_LEN == csr::MAX_LEN);
const _: () = assert!(DEVID_CSR_EVIDENCE_OVERHEAD == csr::EVIDENCE_OVERHEAD);

/// Bytes that the longest subject attribute takes: 64 characters in UTF-8.
const SUBJECT_MAX_LEN: usize = 256;

/// What a slot holds.
#[derive(Clone, Copy)]
#[repr(C)]
pub enum devid_kind {
    /// A key in TF-M and the certificate chain over it.
    DEVID_KIND_IDENTITY = 1,
    /// The chain over a key held elsewhere: the IAK's certificate.
    DEVID_KIND_CHAIN = 2,
    /// A trust anchor: one CA certificate.
    DEVID_KIND_ANCHOR = 3,
    /// Bytes whose meaning is the application's.
    DEVID_KIND_DATA = 4,
}

/// Whether a slot holds a value.
#[derive(Clone, Copy)]
#[repr(C)]
pub enum devid_slot_state {
    /// Nothing. An identity may have a key all the same.
    DEVID_SLOT_EMPTY = 0,
    /// A value; for an identity, a chain.
    DEVID_SLOT_PRESENT = 1,
    /// A record that fails its digest: write or erase the slot.
    DEVID_SLOT_CORRUPT = 2,
}

/// One slot, as devid_slot_info() and devid_slot_at() report it.
#[repr(C)]
pub struct devid_slot_info {
    /// Its id.
    pub id: u8,
    /// True where the value changes during the device's life; false where it is
    /// the factory's.
    pub operational: bool,
    /// True where the shell does not show the value.
    pub secret: bool,
    /// What it holds.
    pub kind: devid_kind,
    /// Whether it holds a value.
    pub state: devid_slot_state,
    /// Length of the value in bytes, 0 without one.
    pub len: u32,
    /// Longest value in bytes.
    pub max_len: u32,
    /// Writes since it was last empty, 0 without a value.
    pub generation: u32,
    /// Its name, NUL-terminated.
    pub name: [c_char; DEVID_NAME_SIZE],
}

/// Subject of a certification request. Each attribute may be NULL: it is left
/// out then. UTF-8, 1 to 64 characters (X.520);
/// @c serial_number in PrintableString's characters alone (IEEE 802.1AR, 8.6).
#[repr(C)]
pub struct devid_subject {
    /// X.520 commonName, or NULL.
    pub common_name: *const c_char,
    /// X.520 serialNumber, or NULL.
    pub serial_number: *const c_char,
    /// X.520 organizationName, or NULL.
    pub organization: *const c_char,
}

/// What devid_id_install() checked.
#[repr(C)]
pub struct devid_checked {
    /// Certificates in the chain.
    pub certificates: u8,
    /// Whether their validity was checked: true if a time was given.
    pub validity_checked: bool,
}

/// The failure behind the last negative errno.
#[repr(C)]
pub struct devid_error {
    /// Number of the error, stable across releases; 0 for none yet.
    pub code: u8,
    /// What the number alone does not say: a limit or length in bytes, the
    /// offset of the first malformed byte, the refusal's number, or the PSA
    /// status. Not beyond 65535 nor below -32768.
    pub detail: i32,
}

/// Opens the device: finds every slot's value and finishes what a power cut
/// interrupted. The other functions do so themselves on first use.
///
/// @retval 0 on success, also when open already.
/// @retval -EIO the platform failed; devid_last_error() has the PSA status.
#[unsafe(no_mangle)]
pub extern "C" fn devid_init() -> c_int {
    report(crate::with(|_| Ok(())))
}

/// Tells more of the last call that failed, on any thread. A diagnostic: where
/// threads race, it is the failure of one of them.
///
/// @param[out] error the failure.
///
/// @retval 0 on success.
/// @retval -EINVAL @p error is NULL or not aligned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn devid_last_error(error: *mut devid_error) -> c_int {
    // SAFETY: the C contract says that `error` is writable.
    let place = unsafe { Place::new(error) };
    report_last(place)
}

/// Tells about the slot at a place in the layout. Counting from 0 until
/// -ENOENT lists all slots.
///
/// @param index place in the layout, from 0.
/// @param[out] info the slot.
///
/// @retval 0 on success.
/// @retval -EINVAL @p info is NULL or not aligned.
/// @retval -ENOENT the layout has fewer slots.
/// @retval -EIO the platform failed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn devid_slot_at(index: usize, info: *mut devid_slot_info) -> c_int {
    // SAFETY: the C contract says that `info` is writable.
    let place = unsafe { Place::new(info) };
    report(place.and_then(|place| {
        crate::with(|device| device.slots().nth(index).ok_or(Error::NotFound))
            .map(|slot| place.put(slot.into()))
    }))
}

/// Tells about one slot.
///
/// @param slot the slot's id.
/// @param[out] info the slot.
///
/// @retval 0 on success.
/// @retval -EINVAL @p info is NULL or not aligned.
/// @retval -ENXIO there is no such slot.
/// @retval -EIO the platform failed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn devid_slot_info(slot: u8, info: *mut devid_slot_info) -> c_int {
    // SAFETY: the C contract says that `info` is writable.
    let place = unsafe { Place::new(info) };
    report(place.and_then(|place| {
        crate::with(|device| device.slot(SlotId(slot))).map(|slot| place.put(slot.into()))
    }))
}

/// Finds a slot by its name.
///
/// @param name the name, NUL-terminated.
/// @param[out] slot the slot's id.
///
/// @retval 0 on success.
/// @retval -EINVAL a pointer is NULL, or the name is longer than a slot's.
/// @retval -ENXIO there is no such slot.
/// @retval -EIO the platform failed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn devid_slot_find(name: *const c_char, slot: *mut u8) -> c_int {
    // SAFETY: the C contract says that `name` is a C string.
    let name = unsafe { string(name, DEVID_NAME_SIZE - 1) };
    // SAFETY: the C contract says that `slot` is writable.
    let place = unsafe { Place::new(slot) };
    report(place.and_then(|place| {
        let name = name?.ok_or(Error::InvalidArgument)?;
        crate::with(|device| device.find(name)).map(|slot| place.put(slot.0))
    }))
}

/// Reads a slot's value. For an identity, chain or anchor: its certificates as
/// concatenated DER, leaf first.
///
/// @param slot the slot's id.
/// @param[out] buf where the value goes, or NULL with @p size 0 to ask for its
///             length; untouched on failure.
/// @param size bytes at @p buf.
/// @param[out] len length of the value; on -ENOBUFS the size needed.
///
/// @retval 0 on success.
/// @retval -EINVAL a pointer is NULL or not aligned, or @p len lies in @p buf.
/// @retval -ENXIO there is no such slot.
/// @retval -ENOENT the slot is empty.
/// @retval -ENOBUFS @p buf is too small.
/// @retval -EILSEQ the record is corrupt.
/// @retval -EIO the platform failed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn devid_slot_read(
    slot: u8,
    buf: *mut u8,
    size: usize,
    len: *mut usize,
) -> c_int {
    // SAFETY: the C contract says that `buf` and `len` are writable.
    let buffer = unsafe { Buffer::new(buf, size, len) };
    output(buffer, 0, &mut |device| device.read(SlotId(slot)))
}

/// Replaces a slot's value, whole or not at all, power cuts included.
///
/// A chain must be concatenated DER certificates, leaf first, each signed by
/// the next, over the initial attestation key; an anchor one CA certificate.
/// Certificates come to an identity by devid_id_install() alone.
///
/// @param slot the slot's id.
/// @param value the value.
/// @param len its length in bytes, 1 to the slot's limit.
///
/// @retval 0 on success.
/// @retval -EINVAL @p value is NULL or @p len is 0.
/// @retval -ENXIO there is no such slot.
/// @retval -EFBIG the value is longer than the slot's limit.
/// @retval -ENOTSUP the slot is an identity.
/// @retval -EACCES the slot is the factory's and the device is locked.
/// @retval -EBADMSG a certificate is malformed.
/// @retval -EPERM a certificate or chain was refused; see devid_last_error().
/// @retval -ENOSPC the storage is full.
/// @retval -EIO the platform failed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn devid_slot_write(slot: u8, value: *const u8, len: usize) -> c_int {
    // SAFETY: the C contract says that `value` is readable.
    let value = unsafe { bytes(value, len) };
    report(value.and_then(|value| crate::with(|device| device.write(SlotId(slot), value))))
}

/// Empties a slot, a corrupt one too. An identity loses its key as well: that
/// cannot be undone. A pending bank loses what a rotation prepared.
///
/// @param slot the slot's id.
///
/// @retval 0 on success.
/// @retval -ENXIO there is no such slot.
/// @retval -ENOENT the slot is empty.
/// @retval -EACCES the slot is the factory's and the device is locked.
/// @retval -EBUSY the identity is in a rotation.
/// @retval -EIO the platform failed.
#[unsafe(no_mangle)]
pub extern "C" fn devid_slot_erase(slot: u8) -> c_int {
    report(crate::with(|device| device.erase(SlotId(slot))))
}

/// Makes an identity's P-256 key in TF-M, or its pending bank's. It never
/// leaves it.
///
/// @param slot the identity's slot id.
///
/// @retval 0 on success.
/// @retval -EACCES the identity is the factory's and the device is locked.
/// @retval -EBUSY the pending bank holds a renewal, or what was replaced.
/// @retval -ENOENT a pending key needs an active one.
/// @retval -ENXIO there is no such slot.
/// @retval -ENOTSUP the slot is no identity.
/// @retval -EEXIST there is a key already: erase the slot first.
/// @retval -ENOSPC the key storage is full.
/// @retval -EIO the platform failed.
#[unsafe(no_mangle)]
pub extern "C" fn devid_id_generate(slot: u8) -> c_int {
    report(crate::with(|device| device.generate(SlotId(slot)).map(|_| ())))
}

/// Reads an identity's public key as a DER SubjectPublicKeyInfo (RFC 5480),
/// 91 bytes.
///
/// @param slot the identity's slot id.
/// @param[out] buf where the key goes, or NULL with @p size 0; untouched on
///             failure.
/// @param size bytes at @p buf.
/// @param[out] len length of the key; on -ENOBUFS the size needed.
///
/// @retval 0 on success.
/// @retval -EINVAL a pointer is NULL or not aligned, or @p len lies in @p buf.
/// @retval -ENXIO there is no such slot.
/// @retval -ENOTSUP the slot is no identity.
/// @retval -ENOENT there is no key.
/// @retval -ENOBUFS @p buf is too small.
/// @retval -EIO the platform failed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn devid_id_public_key(
    slot: u8,
    buf: *mut u8,
    size: usize,
    len: *mut usize,
) -> c_int {
    // SAFETY: the C contract says that `buf` and `len` are writable.
    let buffer = unsafe { Buffer::new(buf, size, len) };
    report(buffer.and_then(|buffer| {
        crate::with(|device| buffer.fill(&device.public_key(SlotId(slot))?.spki(), 0))
    }))
}

/// Makes a PKCS#10 certification request (RFC 2986) in DER, signed by the
/// identity's key.
///
/// @param slot the identity's slot id.
/// @param subject the subject, or NULL for an empty one.
/// @param[out] buf where the request goes, or NULL with @p size 0; untouched
///             on failure. DEVID_CSR_MAX_LEN bytes hold any.
/// @param size bytes at @p buf.
/// @param[out] len length of the request; on -ENOBUFS the size needed for this
///             request with whatever signature.
///
/// @retval 0 on success.
/// @retval -EINVAL a pointer is NULL or not aligned, @p len lies in @p buf, or
///         an attribute of the subject is too long or has a wrong character.
/// @retval -ENXIO there is no such slot.
/// @retval -ENOTSUP the slot is no identity.
/// @retval -ENOENT there is no key.
/// @retval -ENOBUFS @p buf is too small.
/// @retval -EIO the platform failed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn devid_id_csr(
    slot: u8,
    subject: *const devid_subject,
    buf: *mut u8,
    size: usize,
    len: *mut usize,
) -> c_int {
    // SAFETY: the C contract says that `subject` and its strings are readable.
    let subject = unsafe { self::subject(subject) };
    // SAFETY: the C contract says that `buf` and `len` are writable.
    let buffer = unsafe { Buffer::new(buf, size, len) };
    output(buffer, csr::SIGNATURE_SPREAD, &mut |device| device.csr(SlotId(slot), &subject?))
}

/// Installs the certificate chain over an identity's key, whole or not at all;
/// it replaces a chain already there. In the pending bank it waits for
/// devid_id_activate(); without a pending key there it is a renewal, over the
/// active key.
///
/// @param slot the identity's slot id.
/// @param chain concatenated DER certificates, leaf first.
/// @param len its length in bytes.
/// @param now seconds since 1970-01-01T00:00Z to check validity at, or
///            DEVID_NO_TIME.
/// @param[out] checked what was checked, or NULL.
///
/// @retval 0 on success.
/// @retval -EINVAL @p chain is NULL, @p len is 0, or @p checked not aligned.
/// @retval -ENXIO there is no such slot.
/// @retval -ENOTSUP the slot is no identity.
/// @retval -ENOENT there is no key.
/// @retval -EACCES the identity is the factory's and the device is locked.
/// @retval -EBUSY the identity is in a rotation.
/// @retval -EFBIG the chain is longer than the slot's limit.
/// @retval -EBADMSG a certificate is malformed.
/// @retval -EPERM the chain was refused: another key, wrong order, a bad
///         signature, no CA, a key usage, or the time; see devid_last_error().
/// @retval -ENOSPC the storage is full.
/// @retval -EIO the platform failed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn devid_id_install(
    slot: u8,
    chain: *const u8,
    len: usize,
    now: i64,
    checked: *mut devid_checked,
) -> c_int {
    // SAFETY: the C contract says that `chain` is readable.
    let chain = unsafe { bytes(chain, len) };
    // SAFETY: the C contract says that `checked` is null or writable.
    let place = unsafe { Place::optional(checked) };
    report(place.and_then(|place| {
        let chain = chain?;
        let now = life::time(now);
        let checked = crate::with(|device| device.install(SlotId(slot), chain, now))?;
        if let Some(place) = place {
            place.put(devid_checked {
                certificates: checked.certificates,
                validity_checked: checked.validity_checked,
            });
        }
        Ok(())
    }))
}

/// Reads one certificate of an identity, chain or anchor, in DER.
///
/// @param slot the slot's id.
/// @param index place in the chain, the leaf at 0.
/// @param[out] buf where the certificate goes, or NULL with @p size 0;
///             untouched on failure.
/// @param size bytes at @p buf.
/// @param[out] len length of the certificate; on -ENOBUFS the size needed.
///
/// @retval 0 on success.
/// @retval -EINVAL a pointer is NULL or not aligned, or @p len lies in @p buf.
/// @retval -ENXIO there is no such slot.
/// @retval -ENOTSUP the slot holds no certificates.
/// @retval -ENOENT the slot is empty or the chain is shorter.
/// @retval -ENOBUFS @p buf is too small.
/// @retval -EILSEQ the record is corrupt.
/// @retval -EIO the platform failed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn devid_id_certificate(
    slot: u8,
    index: usize,
    buf: *mut u8,
    size: usize,
    len: *mut usize,
) -> c_int {
    // SAFETY: the C contract says that `buf` and `len` are writable.
    let buffer = unsafe { Buffer::new(buf, size, len) };
    output(buffer, 0, &mut |device| device.certificate(SlotId(slot), index))
}

/// Reads an identity's chain as concatenated DER, leaf first.
///
/// @param slot the identity's slot id.
/// @param[out] buf where the chain goes, or NULL with @p size 0; untouched on
///             failure.
/// @param size bytes at @p buf.
/// @param[out] len length of the chain; on -ENOBUFS the size needed.
///
/// @retval 0 on success.
/// @retval -EINVAL a pointer is NULL or not aligned, or @p len lies in @p buf.
/// @retval -ENXIO there is no such slot.
/// @retval -ENOTSUP the slot is no identity.
/// @retval -ENOENT no chain is installed.
/// @retval -ENOBUFS @p buf is too small.
/// @retval -EILSEQ the record is corrupt.
/// @retval -EIO the platform failed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn devid_id_chain(
    slot: u8,
    buf: *mut u8,
    size: usize,
    len: *mut usize,
) -> c_int {
    // SAFETY: the C contract says that `buf` and `len` are writable.
    let buffer = unsafe { Buffer::new(buf, size, len) };
    output(buffer, 0, &mut |device| device.chain(SlotId(slot)))
}

/// Tells how long a token will be.
///
/// @param challenge_len length of the challenge: 32, 48 or 64 bytes.
/// @param[out] len length of the token in bytes.
///
/// @retval 0 on success.
/// @retval -EINVAL @p len is NULL or not aligned, or the length is another.
/// @retval -ENOTSUP the platform does not attest.
/// @retval -EIO the platform failed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn devid_token_len(challenge_len: usize, len: *mut usize) -> c_int {
    // SAFETY: the C contract says that `len` is writable.
    let place = unsafe { Place::new(len) };
    report(place.and_then(|place| {
        crate::with(|device| device.token_len(challenge_len)).map(|len| place.put(len))
    }))
}

/// Fetches the PSA attestation token for a challenge, as TF-M signed it.
///
/// @param challenge the verifier's challenge.
/// @param challenge_len its length: 32, 48 or 64 bytes.
/// @param[out] buf where the token goes, or NULL with @p size 0; untouched on
///             failure.
/// @param size bytes at @p buf.
/// @param[out] len length of the token; on -ENOBUFS the size needed.
///
/// @retval 0 on success.
/// @retval -EINVAL a pointer is NULL or not aligned, the buffers overlap, or
///         the challenge has another length, or has 48 bytes and begins as the
///         nonces do that vouch for a key (docs/bound-evidence.md).
/// @retval -ENOBUFS @p buf is too small.
/// @retval -ENOTSUP the platform does not attest.
/// @retval -EIO the platform failed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn devid_token(
    challenge: *const u8,
    challenge_len: usize,
    buf: *mut u8,
    size: usize,
    len: *mut usize,
) -> c_int {
    // SAFETY: the C contract says that `challenge` is readable.
    let challenge = unsafe { bytes(challenge, challenge_len) };
    // SAFETY: the C contract says that `buf` and `len` are writable.
    let buffer = unsafe { Buffer::new(buf, size, len) };
    answer(challenge, buffer, 0, &mut |device, challenge| device.token(challenge))
}

/// Fetches evidence: the token for a challenge and, where the @c iak slot holds
/// one, the attestation key's certificate chain as @c x5chain in the token's
/// unprotected header (RFC 9360). What TF-M signed is not touched.
///
/// @param challenge the verifier's challenge.
/// @param challenge_len its length: 32, 48 or 64 bytes.
/// @param[out] buf where the evidence goes, or NULL with @p size 0; untouched
///             on failure.
/// @param size bytes at @p buf.
/// @param[out] len length of the evidence; on -ENOBUFS the size needed.
///
/// @retval 0 on success.
/// @retval -EINVAL a pointer is NULL or not aligned, the buffers overlap, or
///         the challenge has another length, or has 48 bytes and begins as the
///         nonces do that vouch for a key (docs/bound-evidence.md).
/// @retval -ENOBUFS @p buf is too small.
/// @retval -EILSEQ the chain's record is corrupt; devid_token() still works.
/// @retval -ENOTSUP the platform does not attest.
/// @retval -EIO the platform failed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn devid_evidence(
    challenge: *const u8,
    challenge_len: usize,
    buf: *mut u8,
    size: usize,
    len: *mut usize,
) -> c_int {
    // SAFETY: the C contract says that `challenge` is readable.
    let challenge = unsafe { bytes(challenge, challenge_len) };
    // SAFETY: the C contract says that `buf` and `len` are writable.
    let buffer = unsafe { Buffer::new(buf, size, len) };
    answer(challenge, buffer, 0, &mut |device, challenge| device.evidence(challenge))
}

/// Reads the initial attestation key's public half as a DER
/// SubjectPublicKeyInfo (RFC 5480), 91 bytes: what a verifier registers.
///
/// @param[out] buf where the key goes, or NULL with @p size 0; untouched on
///             failure.
/// @param size bytes at @p buf.
/// @param[out] len length of the key; on -ENOBUFS the size needed.
///
/// @retval 0 on success.
/// @retval -EINVAL a pointer is NULL or not aligned, or @p len lies in @p buf.
/// @retval -ENOBUFS @p buf is too small.
/// @retval -ENOTSUP there is no such key, or the platform does not export it.
/// @retval -EIO the platform failed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn devid_iak_public_key(buf: *mut u8, size: usize, len: *mut usize) -> c_int {
    // SAFETY: the C contract says that `buf` and `len` are writable.
    let buffer = unsafe { Buffer::new(buf, size, len) };
    report(
        buffer.and_then(|buffer| {
            crate::with(|device| buffer.fill(&device.iak_public_key()?.spki(), 0))
        }),
    )
}

/// Serves a call whose result lies in the device's memory, and can be longer by
/// `spread` the next time. It is here once: a copy in each function costs a
/// kilobyte.
fn output(buffer: Result<Buffer, Error>, spread: usize, call: &mut Call<'_>) -> c_int {
    report(buffer.and_then(|buffer| {
        crate::with(|device| buffer.fill(call(device).map_err(not_the_callers)?, spread))
    }))
}

/// As [`output`], for a challenge.
fn answer(
    challenge: Result<&[u8], Error>,
    buffer: Result<Buffer, Error>,
    spread: usize,
    call: &mut CallFor<'_>,
) -> c_int {
    let apart = challenge.and_then(|challenge| {
        let buffer = buffer?;
        buffer.apart_from(challenge)?;
        Ok((challenge, buffer))
    });
    match apart {
        Ok((challenge, buffer)) => {
            output(Ok(buffer), spread, &mut |device| call(device, challenge))
        }
        Err(error) => report(Err(error)),
    }
}

/// What the device's own memory is too short for: -ENOBUFS is about the
/// caller's buffer alone, which a caller can enlarge.
fn not_the_callers(error: Error) -> Error {
    match error {
        Error::BufferTooSmall { .. } => Error::platform(sys::PSA_ERROR_BUFFER_TOO_SMALL),
        error => error,
    }
}

/// A call of the device that leaves its result in the device's memory.
type Call<'c> = dyn for<'d> FnMut(&'d mut Device<'static, Psa>) -> Result<&'d [u8], Error> + 'c;

/// As [`Call`], for a challenge.
type CallFor<'c> =
    dyn for<'d> FnMut(&'d mut Device<'static, Psa>, &[u8]) -> Result<&'d [u8], Error> + 'c;

/// # Safety
///
/// As [`text`], for each attribute; a `subject` that is not null must be
/// readable.
unsafe fn subject<'a>(subject: *const devid_subject) -> Result<Subject<'a>, Error> {
    if subject.is_null() {
        return Ok(Subject::default());
    }
    if !subject.is_aligned() {
        return Err(Error::InvalidArgument);
    }
    // SAFETY: not null and aligned, checked above; readable by the contract.
    let subject = unsafe { &*subject };
    // SAFETY: a C string or null by the contract.
    let common_name = unsafe { text(subject.common_name, SUBJECT_MAX_LEN) }?;
    // SAFETY: a C string or null by the contract.
    let serial_number = unsafe { text(subject.serial_number, SUBJECT_MAX_LEN) }?;
    // SAFETY: a C string or null by the contract.
    let organization = unsafe { text(subject.organization, SUBJECT_MAX_LEN) }?;
    Ok(Subject { common_name, serial_number, organization })
}

impl From<SlotInfo<'_>> for devid_slot_info {
    fn from(slot: SlotInfo<'_>) -> Self {
        let (state, len, generation) = match slot.state {
            SlotState::Empty => (devid_slot_state::DEVID_SLOT_EMPTY, 0, 0),
            SlotState::Present { len, generation } => {
                (devid_slot_state::DEVID_SLOT_PRESENT, len, generation)
            }
            SlotState::Corrupt => (devid_slot_state::DEVID_SLOT_CORRUPT, 0, 0),
        };
        let mut name = [0; DEVID_NAME_SIZE];
        // The last byte stays NUL.
        for (to, from) in name.iter_mut().take(DEVID_NAME_SIZE - 1).zip(slot.def.name.bytes()) {
            *to = from as c_char;
        }
        Self {
            id: slot.def.id.0,
            operational: slot.def.policy == Policy::Operational,
            secret: slot.def.secret,
            kind: match slot.def.kind {
                Kind::Identity => devid_kind::DEVID_KIND_IDENTITY,
                Kind::Chain => devid_kind::DEVID_KIND_CHAIN,
                Kind::Anchor => devid_kind::DEVID_KIND_ANCHOR,
                Kind::Data => devid_kind::DEVID_KIND_DATA,
            },
            state,
            len,
            max_len: u32::from(slot.def.max_len),
            generation,
            name,
        }
    }
}
