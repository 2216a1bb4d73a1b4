// SPDX-License-Identifier: Apache-2.0
//! PSA attestation tokens of all three generations (RFC 9783 and the two
//! before it), decoded in three stages so that a verifier can report each:
//! [`Envelope::decode`] and [`Payload::decode`], [`Payload::profile`],
//! [`Payload::claims`]. [`Token::decode`] does all of them.
//!
//! Decoding is not verification: nothing here looks at the signature.

use core::fmt;

use crate::cbor::{self, Key, Reader, Reason, UnknownKeys, set_once};
use crate::cose::{Envelope, Frame};
use crate::error::{Error, Item};
use crate::instance_id;
use crate::limits::MAX_SOFTWARE_COMPONENTS;

/// A claim, under whichever key the profile puts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Claim {
    /// The profile's name.
    Profile = 0,
    /// The challenge that came in.
    Nonce = 1,
    /// The instance id, a UEID of type RAND.
    InstanceId = 2,
    /// The implementation id.
    ImplementationId = 3,
    /// The caller of the attestation service.
    ClientId = 4,
    /// The security lifecycle.
    SecurityLifecycle = 5,
    /// The boot seed, under the key that the profile names.
    BootSeed = 6,
    /// The certification reference.
    CertificationReference = 7,
    /// The software components.
    SoftwareComponents = 8,
    /// Profile 1: there are no software measurements.
    NoSoftwareMeasurements = 9,
    /// Where to have the token verified.
    VerificationServiceIndicator = 10,
    /// The boot seed under 2397, where draft 2.0.0 had it.
    OldBootSeed = 11,
}

const CLAIMS: usize = 12;

/// The generations of PSA tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// `PSA_IOT_PROFILE_1`, the first.
    Psa1,
    /// `http://arm.com/psa/2.0.0`, the drafts'.
    Psa2,
    /// `tag:psacertified.org,2023:psa#tfm` (RFC 9783, 5.2).
    Rfc9783,
}

/// What is wrong with a token, where, and in which claim if in one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The claim, where the fault lies in one.
    pub claim: Option<Claim>,
    /// What is wrong.
    pub reason: Reason,
    /// Offset of the first offending byte in the token; 0 for a missing claim.
    pub at: u32,
}

/// A claims map whose structure has been checked: definite lengths, no key
/// twice, nothing behind it. Values have not been looked at.
#[derive(Clone, Copy, Debug)]
pub struct Payload<'a> {
    start: Reader<'a>,
    /// Where each claim's value starts.
    values: [Option<Reader<'a>>; CLAIMS],
    generations: Generations,
}

/// The claims of a token, checked against the rules of its profile.
#[derive(Clone, Copy, Debug)]
pub struct Claims<'a> {
    /// The challenge: 32, 48 or 64 bytes.
    pub nonce: &'a [u8],
    /// The instance id.
    pub instance_id: &'a [u8; instance_id::LEN],
    /// The implementation id.
    pub implementation_id: &'a [u8; 32],
    /// The caller: negative on the non-secure side, positive on the secure; never 0.
    pub client_id: i32,
    /// The security lifecycle.
    pub security_lifecycle: Lifecycle,
    /// The boot seed: 32 bytes in profile 1, 8 to 32 later.
    pub boot_seed: Option<&'a [u8]>,
    /// The certification reference.
    pub certification_reference: Option<&'a str>,
    /// The software components; none where profile 1 says that there are no
    /// measurements.
    pub software_components: SoftwareComponents<'a>,
    /// Where to have the token verified.
    pub verification_service_indicator: Option<&'a str>,
    /// Deviations that are no reason to refuse.
    pub warnings: Warnings,
}

/// A security lifecycle value (RFC 9783, 4.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifecycle(u16);

/// The state that a lifecycle value stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum LifecycleState {
    /// Unknown.
    Unknown = 0,
    /// Assembly and test.
    AssemblyAndTest = 1,
    /// PSA Root of Trust provisioning.
    PsaRotProvisioning = 2,
    /// Secured.
    Secured = 3,
    /// Non-PSA Root of Trust debug.
    NonPsaRotDebug = 4,
    /// Recoverable PSA Root of Trust debug.
    RecoverablePsaRotDebug = 5,
    /// Decommissioned.
    Decommissioned = 6,
}

/// A software component (RFC 9783, 4.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SoftwareComponent<'a> {
    /// What was measured.
    pub measurement_type: Option<&'a str>,
    /// The measurement: 32, 48 or 64 bytes.
    pub measurement_value: &'a [u8],
    /// Its version.
    pub version: Option<&'a str>,
    /// Hash of the signer's key: 32, 48 or 64 bytes. Profile 1 may lack it.
    pub signer_id: Option<&'a [u8]>,
    /// The hash algorithm's name.
    pub measurement_description: Option<&'a str>,
}

/// The software components of a token, in its order.
#[derive(Clone, Copy, Debug)]
pub struct SoftwareComponents<'a> {
    reader: Reader<'a>,
    left: u64,
}

/// A deviation that is no reason to refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Warning {
    /// Profile 1: the certification reference is not an EAN-13.
    CertificationReference = 1,
    /// Profile 1: a software component has no signer id.
    NoSignerId = 2,
    /// The boot seed stands under another generation's key and was ignored.
    BootSeedKey = 4,
}

/// A set of [`Warning`]s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Warnings(u8);

/// A whole token.
#[derive(Clone, Copy, Debug)]
pub struct Token<'a> {
    /// The envelope.
    pub envelope: Envelope<'a>,
    /// The generation.
    pub profile: Profile,
    /// The claims.
    pub claims: Claims<'a>,
}

impl<'a> Token<'a> {
    /// Decodes a token that fills `input`.
    ///
    /// [`Error::Malformed`] where it breaks any rule of its profile.
    pub fn decode(input: &'a [u8]) -> Result<Self, Error> {
        Ok(Self::decode_precisely(input)?)
    }

    /// As [`decode`](Self::decode), and says what is wrong.
    pub fn decode_precisely(input: &'a [u8]) -> Result<Self, Fault> {
        let envelope = Envelope::decode(input)?;
        let payload = Payload::decode(&envelope)?;
        let profile = payload.profile()?;
        let claims = payload.claims(profile)?;
        Ok(Self { envelope, profile, claims })
    }
}

/// What a device needs to know of its own token.
pub(crate) struct TokenIds<'a> {
    /// Whether its profile is RFC 9783's; a device knows no other but the older two.
    pub(crate) is_rfc9783: bool,
    pub(crate) instance_id: &'a [u8; instance_id::LEN],
    pub(crate) implementation_id: &'a [u8; 32],
}

impl<'a> TokenIds<'a> {
    /// Decodes a token; claims other than these are not looked at.
    #[inline(never)]
    pub(crate) fn decode(token: &'a [u8]) -> Result<Self, Error> {
        let payload = Payload::read(Frame::decode(token)?.content)?;
        Ok(Self {
            is_rfc9783: payload.profile_name() == Some(Profile::Rfc9783.name()),
            instance_id: payload.instance_id()?,
            implementation_id: payload.implementation_id()?,
        })
    }
}

impl<'a> Payload<'a> {
    /// Decodes the claims map that fills an envelope's payload.
    pub fn decode(envelope: &Envelope<'a>) -> Result<Self, Fault> {
        Self::read(envelope.content())
    }

    fn read(mut reader: Reader<'a>) -> Result<Self, Fault> {
        let mut payload =
            Self { start: reader, values: [None; CLAIMS], generations: Generations::default() };
        let mut unknown = UnknownKeys::default();
        for _ in 0..reader.map()? {
            let at = reader.at();
            let key = reader.key()?;
            let known = match key {
                Key::Int(key) => Claim::from_key(key),
                _ => None,
            };
            let Some((claim, generation)) = known else {
                unknown.skip(&mut reader, key, at)?;
                continue;
            };
            match generation {
                Generation::First => payload.generations.first = true,
                Generation::Later => payload.generations.later = true,
            }
            // Once generations are mixed, `profile` refuses the token anyway.
            match payload.values.get_mut(claim as usize) {
                Some(value) if !payload.generations.mixed() => set_once(value, reader, at)?,
                _ => {}
            }
            reader.skip()?;
        }
        reader.finish()?;
        Ok(payload)
    }

    /// The token's generation, by the profile claim and the claim keys, which
    /// must agree. Profile 1 may leave the claim out.
    pub fn profile(&self) -> Result<Profile, Fault> {
        let fault = |reason| Claim::Profile.fault(self.start.fault(reason));
        if self.generations.mixed() {
            return Err(fault(Reason::MixedGenerations));
        }
        let first = self.generations.first;
        let Some(mut value) = self.value(Claim::Profile) else {
            return if first { Ok(Profile::Psa1) } else { Err(fault(Reason::Missing)) };
        };
        let unknown = Claim::Profile.fault(value.fault(Reason::UnknownProfile));
        let name = value.text().map_err(|fault| Claim::Profile.fault(fault))?;
        Profile::from_name(name)
            .filter(|&profile| first == (profile == Profile::Psa1))
            .ok_or(unknown)
    }

    /// What stands in the profile claim, known or not.
    pub fn profile_name(&self) -> Option<&'a str> {
        self.value(Claim::Profile)?.text().ok()
    }

    /// The challenge, whatever the profile, if it is one.
    pub fn nonce(&self) -> Result<&'a [u8], Fault> {
        self.claim(Claim::Nonce, |value| hash_sized(value))
    }

    /// The instance id, whatever the profile, if it is one.
    pub fn instance_id(&self) -> Result<&'a [u8; instance_id::LEN], Fault> {
        self.claim(Claim::InstanceId, |value| {
            let start = *value;
            match fixed::<{ instance_id::LEN }>(value)? {
                id if id.first() == Some(&instance_id::UEID_TYPE_RAND) => Ok(id),
                _ => Err(start.fault(Reason::Value)),
            }
        })
    }

    /// The implementation id, whatever the profile, if it is one.
    pub fn implementation_id(&self) -> Result<&'a [u8; 32], Fault> {
        self.claim(Claim::ImplementationId, |value| fixed(value))
    }

    /// The claims, checked against the profile's rules.
    pub fn claims(&self, profile: Profile) -> Result<Claims<'a>, Fault> {
        let mut warnings = Warnings::default();
        let is_first = profile == Profile::Psa1;

        let (seed, other_seed) = match profile {
            Profile::Psa2 => (Claim::OldBootSeed, Claim::BootSeed),
            _ => (Claim::BootSeed, Claim::OldBootSeed),
        };
        if self.value(other_seed).is_some() {
            warnings.add(Warning::BootSeedKey);
        }
        let boot_seed = self.optional(seed, |value| {
            let start = *value;
            match value.bytes()? {
                seed if seed.len() == 32 || !is_first && (8..32).contains(&seed.len()) => Ok(seed),
                _ => Err(start.fault(Reason::Length)),
            }
        })?;
        if is_first && boot_seed.is_none() {
            return Err(Claim::BootSeed.missing());
        }

        let certification_reference = self.optional(Claim::CertificationReference, |value| {
            let start = *value;
            let reference = value.text()?;
            match (profile, reference_form(reference)) {
                (Profile::Psa1, ReferenceForm::Ean13) => {}
                (Profile::Psa1, ReferenceForm::Ean13Plus5 | ReferenceForm::Digits) => {
                    warnings.add(Warning::CertificationReference);
                }
                (Profile::Psa2 | Profile::Rfc9783, ReferenceForm::Ean13Plus5) => {}
                _ => return Err(start.fault(Reason::Value)),
            }
            Ok(reference)
        })?;

        Ok(Claims {
            nonce: self.nonce()?,
            instance_id: self.instance_id()?,
            implementation_id: self.implementation_id()?,
            client_id: self.claim(Claim::ClientId, |value| {
                let start = *value;
                match i32::try_from(value.int()?) {
                    Ok(0) => Err(start.fault(Reason::Value)),
                    Ok(id) => Ok(id),
                    Err(_) => Err(start.fault(Reason::Range)),
                }
            })?,
            security_lifecycle: self.claim(Claim::SecurityLifecycle, |value| {
                let start = *value;
                Lifecycle::from_value(value.int()?).ok_or(start.fault(Reason::Value))
            })?,
            boot_seed,
            certification_reference,
            software_components: self.software_components(is_first, &mut warnings)?,
            verification_service_indicator: self
                .optional(Claim::VerificationServiceIndicator, |value| value.text())?,
            warnings,
        })
    }

    fn software_components(
        &self,
        is_first: bool,
        warnings: &mut Warnings,
    ) -> Result<SoftwareComponents<'a>, Fault> {
        let none = self.optional(Claim::NoSoftwareMeasurements, |value| {
            let start = *value;
            match value.int()? {
                1 => Ok(SoftwareComponents { reader: *value, left: 0 }),
                _ => Err(start.fault(Reason::Value)),
            }
        })?;
        let some = self.optional(Claim::SoftwareComponents, |value| {
            SoftwareComponents::decode(value, is_first, warnings)
        })?;
        match (some, none) {
            (Some(components), None) | (None, Some(components)) => Ok(components),
            (None, None) => Err(Claim::SoftwareComponents.missing()),
            (Some(_), Some(none)) => {
                Err(Claim::NoSoftwareMeasurements.fault(none.reader.fault(Reason::Value)))
            }
        }
    }

    fn value(&self, claim: Claim) -> Option<Reader<'a>> {
        *self.values.get(claim as usize)?
    }

    fn claim<T>(
        &self,
        claim: Claim,
        read: impl FnOnce(&mut Reader<'a>) -> Result<T, cbor::Fault>,
    ) -> Result<T, Fault> {
        self.optional(claim, read)?.ok_or(claim.missing())
    }

    fn optional<T>(
        &self,
        claim: Claim,
        read: impl FnOnce(&mut Reader<'a>) -> Result<T, cbor::Fault>,
    ) -> Result<Option<T>, Fault> {
        match self.value(claim) {
            None => Ok(None),
            Some(mut value) => read(&mut value).map(Some).map_err(|fault| claim.fault(fault)),
        }
    }
}

impl Claim {
    /// The claim's name in RFC 9783, without its `psa-`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Profile => "profile",
            Self::Nonce => "nonce",
            Self::InstanceId => "instance-id",
            Self::ImplementationId => "implementation-id",
            Self::ClientId => "client-id",
            Self::SecurityLifecycle => "security-lifecycle",
            Self::BootSeed | Self::OldBootSeed => "boot-seed",
            Self::CertificationReference => "certification-reference",
            Self::SoftwareComponents => "software-components",
            Self::NoSoftwareMeasurements => "no-software-measurements",
            Self::VerificationServiceIndicator => "verification-service-indicator",
        }
    }

    /// The claim that a key stands for. No key belongs to two generations.
    #[inline(never)]
    const fn from_key(key: i64) -> Option<(Self, Generation)> {
        use Generation::{First, Later};
        Some(match key {
            -75000 => (Self::Profile, First),
            -75001 => (Self::ClientId, First),
            -75002 => (Self::SecurityLifecycle, First),
            -75003 => (Self::ImplementationId, First),
            -75004 => (Self::BootSeed, First),
            -75005 => (Self::CertificationReference, First),
            -75006 => (Self::SoftwareComponents, First),
            -75007 => (Self::NoSoftwareMeasurements, First),
            -75008 => (Self::Nonce, First),
            -75009 => (Self::InstanceId, First),
            -75010 => (Self::VerificationServiceIndicator, First),
            10 => (Self::Nonce, Later),
            256 => (Self::InstanceId, Later),
            265 => (Self::Profile, Later),
            268 => (Self::BootSeed, Later),
            2394 => (Self::ClientId, Later),
            2395 => (Self::SecurityLifecycle, Later),
            2396 => (Self::ImplementationId, Later),
            2397 => (Self::OldBootSeed, Later),
            2398 => (Self::CertificationReference, Later),
            2399 => (Self::SoftwareComponents, Later),
            2400 => (Self::VerificationServiceIndicator, Later),
            _ => return None,
        })
    }

    const fn missing(self) -> Fault {
        Fault { claim: Some(self), reason: Reason::Missing, at: 0 }
    }

    const fn fault(self, fault: cbor::Fault) -> Fault {
        Fault { claim: Some(self), reason: fault.reason, at: fault.at }
    }
}

impl Profile {
    /// The name in the profile claim.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Psa1 => "PSA_IOT_PROFILE_1",
            Self::Psa2 => "http://arm.com/psa/2.0.0",
            Self::Rfc9783 => "tag:psacertified.org,2023:psa#tfm",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Psa1, Self::Psa2, Self::Rfc9783].into_iter().find(|profile| profile.name() == name)
    }
}

impl Lifecycle {
    /// Takes a value of one of the seven ranges `0xN000..=0xN0ff`.
    pub fn from_value(value: i64) -> Option<Self> {
        u16::try_from(value).ok().filter(|value| *value <= 0x60ff && value & 0x0f00 == 0).map(Self)
    }

    /// The value; its lower eight bits are the implementation's.
    pub const fn value(self) -> u16 {
        self.0
    }

    /// The state that the value stands for.
    pub const fn state(self) -> LifecycleState {
        match self.0 >> 12 {
            1 => LifecycleState::AssemblyAndTest,
            2 => LifecycleState::PsaRotProvisioning,
            3 => LifecycleState::Secured,
            4 => LifecycleState::NonPsaRotDebug,
            5 => LifecycleState::RecoverablePsaRotDebug,
            6 => LifecycleState::Decommissioned,
            _ => LifecycleState::Unknown,
        }
    }
}

impl LifecycleState {
    /// All states.
    pub const ALL: [Self; 7] = [
        Self::Unknown,
        Self::AssemblyAndTest,
        Self::PsaRotProvisioning,
        Self::Secured,
        Self::NonPsaRotDebug,
        Self::RecoverablePsaRotDebug,
        Self::Decommissioned,
    ];

    /// The state's name in RFC 9783.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::AssemblyAndTest => "assembly-and-test",
            Self::PsaRotProvisioning => "psa-rot-provisioning",
            Self::Secured => "secured",
            Self::NonPsaRotDebug => "non-psa-rot-debug",
            Self::RecoverablePsaRotDebug => "recoverable-psa-rot-debug",
            Self::Decommissioned => "decommissioned",
        }
    }
}

impl<'a> SoftwareComponents<'a> {
    /// Reads an array of one to [`MAX_SOFTWARE_COMPONENTS`] components. Each must
    /// have a signer id, but in profile 1, where a missing one is a warning.
    pub fn decode(
        reader: &mut Reader<'a>,
        is_first: bool,
        warnings: &mut Warnings,
    ) -> Result<Self, cbor::Fault> {
        let start = *reader;
        let left = reader.array()?;
        if left == 0 {
            return Err(start.fault(Reason::Missing));
        }
        if left > MAX_SOFTWARE_COMPONENTS as u64 {
            return Err(start.fault(Reason::TooMany));
        }
        let components = Self { reader: *reader, left };
        for _ in 0..left {
            let start = *reader;
            let component = SoftwareComponent::decode(reader)?;
            match component.signer_id {
                Some(_) => {}
                None if is_first => warnings.add(Warning::NoSignerId),
                None => return Err(start.fault(Reason::Missing)),
            }
        }
        Ok(components)
    }
}

impl<'a> Iterator for SoftwareComponents<'a> {
    type Item = SoftwareComponent<'a>;

    fn next(&mut self) -> Option<SoftwareComponent<'a>> {
        self.left = self.left.checked_sub(1)?;
        SoftwareComponent::decode(&mut self.reader).ok()
    }
}

impl<'a> SoftwareComponent<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, cbor::Fault> {
        let start = *reader;
        let (mut kind, mut value, mut version) = (None, None, None);
        let (mut signer_id, mut description) = (None, None);
        let mut unknown = UnknownKeys::default();
        for _ in 0..reader.map()? {
            let at = reader.at();
            match reader.key()? {
                Key::Int(1) => set_once(&mut kind, reader.text()?, at)?,
                Key::Int(2) => set_once(&mut value, hash_sized(reader)?, at)?,
                Key::Int(4) => set_once(&mut version, reader.text()?, at)?,
                Key::Int(5) => set_once(&mut signer_id, hash_sized(reader)?, at)?,
                Key::Int(6) => set_once(&mut description, reader.text()?, at)?,
                key => unknown.skip(reader, key, at)?,
            }
        }
        Ok(Self {
            measurement_type: kind,
            measurement_value: value.ok_or(start.fault(Reason::Missing))?,
            version,
            signer_id,
            measurement_description: description,
        })
    }
}

impl Warning {
    const ALL: [Self; 3] = [Self::CertificationReference, Self::NoSignerId, Self::BootSeedKey];

    /// The warning in words.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CertificationReference => "certification-reference is not an EAN-13",
            Self::NoSignerId => "a software component has no signer-id",
            Self::BootSeedKey => "boot-seed under another generation's key ignored",
        }
    }
}

impl Warnings {
    /// The warnings, one by one.
    pub fn iter(self) -> impl Iterator<Item = Warning> {
        Warning::ALL.into_iter().filter(move |&warning| self.0 & warning as u8 != 0)
    }

    fn add(&mut self, warning: Warning) {
        self.0 |= warning as u8;
    }
}

impl From<cbor::Fault> for Fault {
    fn from(cbor::Fault { reason, at }: cbor::Fault) -> Self {
        Self { claim: None, reason, at }
    }
}

impl From<cbor::Fault> for Error {
    fn from(fault: cbor::Fault) -> Self {
        Self::malformed(Item::Token, fault.at as usize)
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self::malformed(Item::Token, fault.at as usize)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(claim) = self.claim {
            write!(f, "{}: ", claim.name())?;
        }
        f.write_str(self.reason.name())?;
        if self.at > 0 { write!(f, " at byte {}", self.at) } else { Ok(()) }
    }
}

enum Generation {
    First,
    Later,
}

/// Which generations' keys were seen.
#[derive(Clone, Copy, Debug, Default)]
struct Generations {
    first: bool,
    later: bool,
}

impl Generations {
    const fn mixed(self) -> bool {
        self.first && self.later
    }
}

/// What a certification reference looks like.
enum ReferenceForm {
    /// `\d{13}`
    Ean13,
    /// `\d{13}-\d{5}`
    Ean13Plus5,
    /// Digits and hyphens otherwise: TF-M platforms cut or pad the number.
    Digits,
    Other,
}

fn reference_form(reference: &str) -> ReferenceForm {
    // By bytes: the search that `str` has links a panic.
    let bytes = reference.as_bytes();
    let hyphens = bytes.iter().filter(|byte| **byte == b'-').count();
    if bytes.is_empty() || !bytes.iter().all(|byte| byte.is_ascii_digit() || *byte == b'-') {
        return ReferenceForm::Other;
    }
    match (bytes.len(), hyphens) {
        (13, 0) => ReferenceForm::Ean13,
        (19, 1) if bytes.get(13) == Some(&b'-') => ReferenceForm::Ean13Plus5,
        _ => ReferenceForm::Digits,
    }
}

/// A byte string as long as a SHA-256, -384 or -512 digest (`psa-hash-type`).
fn hash_sized<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], cbor::Fault> {
    let start = *reader;
    match reader.bytes()? {
        bytes if matches!(bytes.len(), 32 | 48 | 64) => Ok(bytes),
        _ => Err(start.fault(Reason::Length)),
    }
}

fn fixed<'a, const N: usize>(reader: &mut Reader<'a>) -> Result<&'a [u8; N], cbor::Fault> {
    let start = *reader;
    reader.bytes()?.try_into().map_err(|_| start.fault(Reason::Length))
}
