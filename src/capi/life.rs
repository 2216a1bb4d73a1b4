// SPDX-License-Identifier: Apache-2.0
//! The part of the C API about a device's life: rotation, lock, reset, updates,
//! bound evidence, readiness.

use core::ffi::c_int;

use devid_core::csr;
use devid_core::identity::Phase;
use devid_core::layout::SlotId;
use devid_core::status::Finding;
use devid_core::time::UnixTime;

use super::ptr::{Buffer, Place, bytes};
use super::status::report;
use super::{DEVID_NO_TIME, answer, devid_subject, not_the_callers, subject};

/// For @c slot of a finding: it concerns the device, not a slot.
pub const DEVID_NO_SLOT: u8 = 0xff;

/// Length of a recovery nonce, in bytes.
pub const DEVID_NONCE_LEN: usize = 16;

/// A list of so many findings always suffices.
pub const DEVID_FINDINGS_MAX: usize = 32;

/// Where an identity stands in a rotation.
#[derive(Clone, Copy)]
#[repr(C)]
pub enum devid_phase {
    /// In none: the pending bank is empty.
    DEVID_PHASE_SETTLED = 0,
    /// A key or a chain is pending; the active ones are in use.
    DEVID_PHASE_PENDING = 1,
    /// The new ones are active and the old ones kept until they are confirmed.
    DEVID_PHASE_ACTIVATED = 2,
}

/// What devid_update() did.
#[repr(C)]
pub struct devid_applied {
    /// Number of the command, now its signer's last.
    pub sequence: u64,
    /// The command had been applied before; this time nothing was changed.
    pub already: bool,
}

/// How much a finding matters.
#[derive(Clone, Copy)]
#[repr(C)]
pub enum devid_severity {
    /// Something does not work.
    DEVID_SEVERITY_ERROR = 1,
    /// It works, and someone should look at it.
    DEVID_SEVERITY_WARNING = 2,
}

/// What can be missing or wrong. The numbers never change their meaning.
#[derive(Clone, Copy)]
#[repr(C)]
pub enum devid_problem {
    /// The device has lost its state: it is locked, and takes a recovery alone.
    DEVID_PROBLEM_STATE_CORRUPT = 1,
    /// A record fails its digest.
    DEVID_PROBLEM_RECORD_CORRUPT = 2,
    /// A factory identity has no key.
    DEVID_PROBLEM_NO_KEY = 3,
    /// An identity has a key and no chain.
    DEVID_PROBLEM_NO_CHAIN = 4,
    /// The leaf certifies another key.
    DEVID_PROBLEM_KEY_MISMATCH = 5,
    /// The chain does not hold together.
    DEVID_PROBLEM_CHAIN_BROKEN = 6,
    /// A certificate has expired.
    DEVID_PROBLEM_EXPIRED = 7,
    /// A certificate is not valid yet.
    DEVID_PROBLEM_NOT_YET_VALID = 8,
    /// An identity's key cannot be read.
    DEVID_PROBLEM_KEY_CORRUPT = 9,
    /// The device is locked, and no anchor may command it at this time.
    DEVID_PROBLEM_NO_COMMANDER = 10,
    /// A certificate expires within 30 days.
    DEVID_PROBLEM_EXPIRES_SOON = 64,
    /// No time was given: the validity of certificates was not checked.
    DEVID_PROBLEM_VALIDITY_NOT_CHECKED = 65,
    /// No trust anchor may command the device at this time: it cannot be locked.
    DEVID_PROBLEM_NO_ANCHOR = 66,
    /// The factory's slots can still be written.
    DEVID_PROBLEM_UNLOCKED = 67,
    /// TF-M was provisioned with its dummy values.
    DEVID_PROBLEM_DUMMY_PROVISIONING = 68,
    /// The attestation key is one whose private half everybody has.
    DEVID_PROBLEM_DEVELOPMENT_IAK = 69,
    /// The storage has no room for a rotation.
    DEVID_PROBLEM_STORAGE_HEADROOM = 70,
    /// An identity was activated and is not confirmed yet.
    DEVID_PROBLEM_NOT_CONFIRMED = 71,
    /// There is no attestation here.
    DEVID_PROBLEM_NO_ATTESTATION = 72,
    /// The attestation key has no chain: a verifier needs a record of the device.
    DEVID_PROBLEM_NO_IAK_CHAIN = 73,
    /// The value is longer than the slot's limit is now.
    DEVID_PROBLEM_TOO_LONG = 74,
    /// A copy of the device's state decayed, was removed or was put back by
    /// somebody; it was written again.
    DEVID_PROBLEM_STATE_REPAIRED = 75,
    /// A change of the identity was begun and cannot be finished.
    DEVID_PROBLEM_UNFINISHED = 76,
}

/// One thing that is missing or wrong.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct devid_finding {
    /// What it is: a @c devid_problem, or one that a later release knows.
    pub problem: u8,
    /// How much it matters: a @c devid_severity.
    pub severity: u8,
    /// The slot it concerns, or DEVID_NO_SLOT.
    pub slot: u8,
}

/// Tells where an identity stands in a rotation.
///
/// @param slot the identity's slot id.
/// @param[out] phase where it stands.
///
/// @retval 0 on success.
/// @retval -EINVAL @p phase is NULL or not aligned.
/// @retval -ENXIO there is no such slot.
/// @retval -ENOTSUP the slot is no identity.
/// @retval -EIO the platform failed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn devid_id_phase(slot: u8, phase: *mut devid_phase) -> c_int {
    // SAFETY: the C contract says that `phase` is writable.
    let place = unsafe { Place::new(phase) };
    report(place.and_then(|place| {
        crate::with(|device| device.phase(SlotId(slot))).map(|phase| {
            place.put(match phase {
                Phase::Settled => devid_phase::DEVID_PHASE_SETTLED,
                Phase::Pending => devid_phase::DEVID_PHASE_PENDING,
                Phase::Activated => devid_phase::DEVID_PHASE_ACTIVATED,
            });
        })
    }))
}

/// Makes the pending key and chain the active ones, or the pending chain over
/// the same key, in one write. The old ones are kept until devid_id_confirm().
///
/// @param slot the identity's slot id.
///
/// @retval 0 on success.
/// @retval -ENXIO there is no such slot.
/// @retval -ENOTSUP the slot is no identity.
/// @retval -ENOENT no chain is pending.
/// @retval -EBUSY the last activation is neither confirmed nor rolled back.
/// @retval -EACCES the identity is the factory's and the device is locked.
/// @retval -EPERM the pending chain is over another key.
/// @retval -EILSEQ a record, or the device's state, is corrupt.
/// @retval -ENOSPC the storage is full.
/// @retval -EIO the platform failed.
#[unsafe(no_mangle)]
pub extern "C" fn devid_id_activate(slot: u8) -> c_int {
    report(crate::with(|device| device.activate(SlotId(slot))))
}

/// Ends a rotation: destroys the old key and removes the old chain. There is no
/// way back.
///
/// @param slot the identity's slot id.
///
/// @retval 0 on success.
/// @retval -ENXIO there is no such slot.
/// @retval -ENOTSUP the slot is no identity.
/// @retval -ENOENT nothing was activated.
/// @retval -EIO the platform failed; the next start goes on where this ended.
#[unsafe(no_mangle)]
pub extern "C" fn devid_id_confirm(slot: u8) -> c_int {
    report(crate::with(|device| device.confirm(SlotId(slot))))
}

/// Undoes a rotation as far as it went: an activated identity becomes again
/// what it was, and what was new is dropped.
///
/// @param slot the identity's slot id.
///
/// @retval 0 on success.
/// @retval -ENXIO there is no such slot.
/// @retval -ENOTSUP the slot is no identity.
/// @retval -ENOENT there is no rotation.
/// @retval -EIO the platform failed.
#[unsafe(no_mangle)]
pub extern "C" fn devid_id_rollback(slot: u8) -> c_int {
    report(crate::with(|device| device.rollback(SlotId(slot))))
}

/// Tells the PSA id of an identity's key, for a TLS stack that signs with it. A
/// rotation changes it: ask anew after each activation. The key's policy is ECDSA
/// with any hash (@c PSA_ALG_ECDSA(PSA_ALG_ANY_HASH)).
///
/// @param slot the identity's slot id.
/// @param[out] key a @c psa_key_id_t.
///
/// @retval 0 on success, also where there is no key yet.
/// @retval -EINVAL @p key is NULL or not aligned.
/// @retval -ENXIO there is no such slot.
/// @retval -ENOTSUP the slot is no identity.
/// @retval -EBUSY the pending bank holds what was replaced.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn devid_id_key(slot: u8, key: *mut u32) -> c_int {
    // SAFETY: the C contract says that `key` is writable.
    let place = unsafe { Place::new(key) };
    report(place.and_then(|place| {
        crate::with(|device| device.key_id(SlotId(slot))).map(|key| place.put(key.0))
    }))
}

/// Makes a PKCS#10 certification request as devid_id_csr(), with bound evidence
/// for the request's own key as its attribute id-aa-attestation.
///
/// @param slot the identity's slot id.
/// @param subject the subject, or NULL for an empty one.
/// @param challenge the CA's challenge.
/// @param challenge_len its length: 32, 48 or 64 bytes.
/// @param[out] buf where the request goes, or NULL with @p size 0; untouched
///             on failure.
/// @param size bytes at @p buf.
/// @param[out] len length of the request; on -ENOBUFS the size needed for this
///             request with whatever signature.
///
/// @retval 0 on success.
/// @retval -EINVAL a pointer is NULL or not aligned, the buffers overlap, the
///         challenge has another length, or has 48 bytes and begins as the
///         nonces do that vouch for a key (docs/bound-evidence.md), or an
///         attribute of the subject is too long or has a wrong character.
/// @retval -ENXIO there is no such slot.
/// @retval -ENOTSUP the slot is no identity, or the platform does not attest.
/// @retval -ENOENT there is no key.
/// @retval -ENOBUFS @p buf is too small.
/// @retval -EILSEQ the attestation key's chain is corrupt.
/// @retval -EIO the platform failed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn devid_id_csr_with_evidence(
    slot: u8,
    subject: *const devid_subject,
    challenge: *const u8,
    challenge_len: usize,
    buf: *mut u8,
    size: usize,
    len: *mut usize,
) -> c_int {
    // SAFETY: the C contract says that `subject` and its strings are readable.
    let subject = unsafe { self::subject(subject) };
    // SAFETY: the C contract says that `challenge` is readable.
    let challenge = unsafe { bytes(challenge, challenge_len) };
    // SAFETY: the C contract says that `buf` and `len` are writable.
    let buffer = unsafe { Buffer::new(buf, size, len) };
    answer(challenge, buffer, csr::SIGNATURE_SPREAD, &mut |device, challenge| {
        device.csr_with_evidence(SlotId(slot), &subject?, challenge)
    })
}

/// Fetches evidence that vouches for an identity's key: as devid_evidence(), for
/// a nonce of 48 bytes that is made of the verifier's challenge and the key, and
/// that no plain challenge can be (docs/bound-evidence.md).
///
/// @param slot the identity's slot id.
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
/// @retval -ENXIO there is no such slot.
/// @retval -ENOTSUP the slot is no identity, or the platform does not attest.
/// @retval -ENOENT there is no key.
/// @retval -ENOBUFS @p buf is too small.
/// @retval -EILSEQ the attestation key's chain is corrupt.
/// @retval -EIO the platform failed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn devid_bound_evidence(
    slot: u8,
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
    answer(challenge, buffer, 0, &mut |device, challenge| {
        device.bound_evidence(SlotId(slot), challenge)
    })
}

/// Reads what names this device: the instance id of its tokens (a UEID, 33
/// bytes); without attestation 01 and the SHA-256 of the IDevID key's point.
///
/// @param[out] buf where the id goes, or NULL with @p size 0; untouched on
///             failure.
/// @param size bytes at @p buf.
/// @param[out] len length of the id; on -ENOBUFS the size needed.
///
/// @retval 0 on success.
/// @retval -EINVAL a pointer is NULL or not aligned, or @p len lies in @p buf.
/// @retval -ENOENT there is neither attestation nor an IDevID key.
/// @retval -ENOBUFS @p buf is too small.
/// @retval -EIO the platform failed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn devid_instance_id(buf: *mut u8, size: usize, len: *mut usize) -> c_int {
    // SAFETY: the C contract says that `buf` and `len` are writable.
    let buffer = unsafe { Buffer::new(buf, size, len) };
    report(buffer.and_then(|buffer| {
        crate::with(|device| buffer.fill(&device.instance_id().map_err(not_the_callers)?, 0))
    }))
}

/// Locks the device: from now on the factory's slots change by an authorised
/// devid_update() alone. Nothing undoes this but a full erase of the secure
/// storage. Locking a locked device does nothing.
///
/// @retval 0 on success.
/// @retval -ENOENT a factory identity has no key or no chain.
/// @retval -EBUSY a factory identity is in a rotation.
/// @retval -EPERM no trust anchor may command the device.
/// @retval -EILSEQ a factory identity's record is corrupt.
/// @retval -ENOSPC the storage is full.
/// @retval -EIO the platform failed.
#[unsafe(no_mangle)]
pub extern "C" fn devid_lock() -> c_int {
    report(crate::with(|device| device.lock()))
}

/// Tells whether the device is locked; one that has lost its state is.
///
/// @param[out] locked whether it is.
///
/// @retval 0 on success.
/// @retval -EINVAL @p locked is NULL.
/// @retval -EIO the platform failed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn devid_is_locked(locked: *mut bool) -> c_int {
    // SAFETY: the C contract says that `locked` is writable.
    let place = unsafe { Place::new(locked) };
    report(place.and_then(|place| {
        crate::with(|device| Ok(device.is_locked())).map(|locked| place.put(locked))
    }))
}

/// Returns to the factory's identity: destroys the keys and chains of all
/// operational ones. Data slots stay. A reset that power interrupts is finished
/// at the next start.
///
/// @retval 0 on success.
/// @retval -EILSEQ the device's state is corrupt.
/// @retval -ENOSPC the storage is full.
/// @retval -EIO the platform failed.
#[unsafe(no_mangle)]
pub extern "C" fn devid_reset() -> c_int {
    report(crate::with(|device| device.reset()))
}

/// Checks an update command, signed by one of the device's trust anchors, and
/// applies it, whole or not at all (docs/update.md). Neither policies nor the
/// lock bind it.
///
/// Validity and expiry are checked at the time that devid_time_set() told.
///
/// @param command the command as it came.
/// @param len its length in bytes.
/// @param[out] applied what was applied, or NULL.
///
/// @retval 0 on success.
/// @retval -EINVAL @p command is NULL, @p len is 0, or @p applied not aligned.
/// @retval -ENOTSUP without CONFIG_DEVID_UPDATES.
/// @retval -EBADMSG not an update command, or a certificate in it is malformed.
/// @retval -EPERM refused: no anchor that may command signed it, it is for
///         another device, its number is used up, it has expired or no time is
///         known, its operation is unknown, or no anchor that may command would
///         be left; or its certificates were refused. See devid_last_error().
/// @retval -ENXIO it names a slot that is not there.
/// @retval -ENOTSUP it names a slot of another kind.
/// @retval -ENOENT it names a slot or a key that is empty.
/// @retval -EFBIG its value is longer than the slot's limit.
/// @retval -EBUSY the identity is in a rotation.
/// @retval -EILSEQ the device has lost its state, and this is no recovery.
/// @retval -ENOSPC the storage is full.
/// @retval -EIO the platform failed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn devid_update(
    command: *const u8,
    len: usize,
    applied: *mut devid_applied,
) -> c_int {
    // SAFETY: the C contract says that `command` is readable.
    let command = unsafe { bytes(command, len) };
    // SAFETY: the C contract says that `applied` is null or writable.
    let place = unsafe { Place::optional(applied) };
    report(place.and_then(|place| {
        let command = command?;
        let applied = crate::with(|device| device.update(command))?;
        if let Some(place) = place {
            place.put(devid_applied { sequence: applied.sequence, already: applied.already });
        }
        Ok(())
    }))
}

/// Tells the device what time it is. Only the application can: no shell and no
/// transport does. Time passes from there until the next start; call this again
/// whenever the time is known anew.
///
/// devid remembers, at most once a day, that it cannot be earlier: not further
/// than CONFIG_DEVID_TIME_BOUND_DAYS beyond the firmware's build or the latest
/// update command.
///
/// @param now seconds since 1970-01-01T00:00Z.
///
/// @retval 0 on success.
/// @retval -EPERM the device knows that this time has passed.
/// @retval -ENOSPC the storage is full.
/// @retval -EIO the platform failed.
#[unsafe(no_mangle)]
pub extern "C" fn devid_time_set(now: i64) -> c_int {
    report(crate::with(|device| device.set_time(UnixTime(now))))
}

/// Makes a nonce for one recovery command (docs/update.md). It stays the same
/// until a recovery used it, or until the next start.
///
/// @param[out] nonce where its DEVID_NONCE_LEN bytes go.
///
/// @retval 0 on success.
/// @retval -EINVAL @p nonce is NULL.
/// @retval -ENOTSUP without CONFIG_DEVID_UPDATES.
/// @retval -EIO the platform failed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn devid_recovery_nonce(nonce: *mut [u8; DEVID_NONCE_LEN]) -> c_int {
    // SAFETY: the C contract says that `nonce` is writable.
    let place = unsafe { Place::new(nonce) };
    report(place.and_then(|place| {
        crate::with(|device| device.recovery_nonce()).map(|nonce| place.put(nonce))
    }))
}

/// Tells the highest number of an update command that was applied, whoever signed
/// it. Each signer's numbers rise by themselves.
///
/// @param[out] sequence the number; 0 before the first update.
///
/// @retval 0 on success.
/// @retval -EINVAL @p sequence is NULL or not aligned.
/// @retval -EIO the platform failed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn devid_update_sequence(sequence: *mut u64) -> c_int {
    // SAFETY: the C contract says that `sequence` is writable.
    let place = unsafe { Place::new(sequence) };
    report(place.and_then(|place| {
        crate::with(|device| Ok(device.sequence())).map(|sequence| place.put(sequence))
    }))
}

/// Lists what is missing or wrong with the device. Tries whether there is room
/// for a rotation, by a record and a key that are removed again: not for a loop.
///
/// @param now seconds since 1970-01-01T00:00Z to check validity at, or
///            DEVID_NO_TIME.
/// @param[out] findings where the list goes, or NULL with @p size 0; untouched
///             on failure. DEVID_FINDINGS_MAX always suffice.
/// @param size findings at @p findings.
/// @param[out] count how many there are; on -ENOBUFS the size needed.
///
/// @retval 0 on success, whatever was found.
/// @retval -EINVAL a pointer is NULL or not aligned.
/// @retval -ENOBUFS @p findings is too small.
/// @retval -EIO the platform failed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn devid_status(
    now: i64,
    findings: *mut devid_finding,
    size: usize,
    count: *mut usize,
) -> c_int {
    // SAFETY: the C contract says that `findings` and `count` are writable.
    let buffer = unsafe { Buffer::new(findings, size, count) };
    report(buffer.and_then(|buffer| {
        let mut list = [devid_finding { problem: 0, severity: 0, slot: 0 }; DEVID_FINDINGS_MAX];
        let mut found = 0;
        crate::with(|device| {
            device
                .status(time(now), &mut |finding| {
                    if let Some(place) = list.get_mut(found) {
                        *place = finding.into();
                        found += 1;
                    }
                })
                .map_err(not_the_callers)
        })?;
        buffer.fill(list.get(..found).unwrap_or_default(), 0)
    }))
}

pub(super) fn time(now: i64) -> Option<UnixTime> {
    (now != DEVID_NO_TIME).then_some(UnixTime(now))
}

impl From<Finding> for devid_finding {
    fn from(finding: Finding) -> Self {
        Self {
            problem: finding.problem as u8,
            severity: finding.problem.severity() as u8,
            slot: finding.slot.map_or(DEVID_NO_SLOT, |slot| slot.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::devid_problem::*;
    use devid_core::status::Problem;

    #[test]
    fn a_problem_has_the_same_number_in_c() {
        let table = [
            (DEVID_PROBLEM_STATE_CORRUPT, Problem::StateCorrupt),
            (DEVID_PROBLEM_RECORD_CORRUPT, Problem::RecordCorrupt),
            (DEVID_PROBLEM_NO_KEY, Problem::NoKey),
            (DEVID_PROBLEM_NO_CHAIN, Problem::NoChain),
            (DEVID_PROBLEM_KEY_MISMATCH, Problem::KeyMismatch),
            (DEVID_PROBLEM_CHAIN_BROKEN, Problem::ChainBroken),
            (DEVID_PROBLEM_EXPIRED, Problem::Expired),
            (DEVID_PROBLEM_NOT_YET_VALID, Problem::NotYetValid),
            (DEVID_PROBLEM_EXPIRES_SOON, Problem::ExpiresSoon),
            (DEVID_PROBLEM_VALIDITY_NOT_CHECKED, Problem::ValidityNotChecked),
            (DEVID_PROBLEM_NO_ANCHOR, Problem::NoAnchor),
            (DEVID_PROBLEM_UNLOCKED, Problem::Unlocked),
            (DEVID_PROBLEM_DUMMY_PROVISIONING, Problem::DummyProvisioning),
            (DEVID_PROBLEM_DEVELOPMENT_IAK, Problem::DevelopmentIak),
            (DEVID_PROBLEM_STORAGE_HEADROOM, Problem::StorageHeadroom),
            (DEVID_PROBLEM_NOT_CONFIRMED, Problem::NotConfirmed),
            (DEVID_PROBLEM_NO_ATTESTATION, Problem::NoAttestation),
            (DEVID_PROBLEM_NO_IAK_CHAIN, Problem::NoIakChain),
            (DEVID_PROBLEM_KEY_CORRUPT, Problem::KeyCorrupt),
            (DEVID_PROBLEM_NO_COMMANDER, Problem::NoCommander),
            (DEVID_PROBLEM_TOO_LONG, Problem::TooLong),
            (DEVID_PROBLEM_STATE_REPAIRED, Problem::StateRepaired),
            (DEVID_PROBLEM_UNFINISHED, Problem::Unfinished),
        ];
        for (c, rust) in table {
            assert_eq!(c as u8, rust as u8, "{rust:?}");
        }
    }
}
