// SPDX-License-Identifier: Apache-2.0
//! From a token to its verdict, with the registry on the way.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING,
    ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair, KeyPair,
};
use devid_core::cose::Kind;
use devid_registry::{
    DeviceId, Error, EventKind, INSTANCE_ID_LEN, KeyPurpose, KnownKey, NewDevice, Registry,
    SeenSignature, State, Use,
};
use devid_verifier::ear::{Ear, Issuance, VerifierId};
use devid_verifier::keys::{Hint, Key, KeyId, PublicKey, certificate_spki};
use devid_verifier::recovery::recover;
use devid_verifier::reuse::{Sighting, SignatureUse};
use devid_verifier::{
    Appraisal, Challenge, Check, KeySource, Outcome, Policy, Purpose, Report, TrustAnchors,
    UnixTime, Verifier,
};
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::challenge::{self, Challenges, Refused};
use crate::metrics::{Metrics, count};
use crate::{Config, Limits, Signer, Unknown};

/// Devices that one piece of evidence may be of.
const MAX_WANTED: usize = 4;

/// How long a request waits for the registry. The answer is out within two
/// seconds.
const REGISTRY_PATIENCE: Duration = Duration::from_millis(1500);

/// A service that verifies tokens.
pub struct Service {
    config: Config,
    challenges: Challenges,
    metrics: Metrics,
    decoys: Decoys,
    /// No anchor at all.
    nothing: TrustAnchors,
}

/// What became of a token.
pub struct Answer<'t> {
    /// What was found.
    pub report: Report<'t>,
    /// The registry's device that the token is of, if there is one.
    pub device: Option<(DeviceId, State)>,
}

impl Service {
    /// Makes a service over a registry, which keeps the secret that challenges
    /// are made with.
    pub async fn new(config: Config) -> Result<Arc<Self>, Error> {
        let mut random = Zeroizing::new(vec![0; challenge::KEY_LEN]);
        let no_randomness = || Error::Shared("no randomness".into());
        aws_lc_rs::rand::fill(&mut random).map_err(|_| no_randomness())?;
        let decoys = Decoys::generate().ok_or_else(no_randomness)?;
        let key = config.registry.secret("challenge", || random.to_vec()).await?;
        let challenges = Challenges::new(&Zeroizing::new(key), config.challenge_lifetime);
        Ok(Arc::new(Self {
            config,
            challenges,
            metrics: Metrics::default(),
            decoys,
            nothing: TrustAnchors::default(),
        }))
    }

    /// A new challenge of 32, 48 or 64 bytes and when it expires, in seconds since
    /// 1970. `None` for another length, or if there is no randomness.
    pub fn challenge(&self, len: usize) -> Option<(Vec<u8>, u64)> {
        if !challenge::LENGTHS.contains(&len) {
            return None;
        }
        let issued = self.challenges.issue(len, challenge::now())?;
        count(&self.metrics.challenges);
        Some(issued)
    }

    /// Verifies a token whose nonce must be one of our challenges.
    ///
    /// A challenge is used up by a token whose signature is that of a device's
    /// key. One that anybody could have made leaves it to be answered.
    ///
    /// Fails where the registry does, or does not answer in time: there is no
    /// verdict without it. The challenge may be used up then.
    pub async fn verify<'t>(&self, token: &'t [u8]) -> Result<Answer<'t>, Error> {
        let start = Instant::now();
        let answer = in_time(self.workflow(token)).await?;
        self.metrics.verified(&answer.report, start.elapsed());
        tracing::debug!(
            verdict = answer.report.verdict().name(),
            device = answer.device.map(|(device, _)| device.0),
            "verified"
        );
        Ok(answer)
    }

    /// The verdict on what cannot even be taken for a token.
    pub(crate) fn undecodable(&self, reason: &str) -> Answer<'static> {
        let report = Report::undecodable(reason.to_owned());
        self.metrics.verified(&report, Duration::ZERO);
        Answer { report, device: None }
    }

    async fn workflow<'t>(&self, token: &'t [u8]) -> Result<Answer<'t>, Error> {
        let Wanted { instance_ids, nonce, too_many } = Wanted::of(token, &self.nothing);
        let challenge = match nonce {
            Some(nonce) => self.challenges.check(nonce, challenge::now()).map(|()| nonce),
            None => Err(Refused::Foreign),
        };
        if too_many {
            let mut report = self.checks(token, &Offered::default(), challenge);
            let several = format!("evidence of more than {MAX_WANTED} devices");
            report.set(Check::Signature, Outcome::fail(several));
            return Ok(Answer { report, device: None });
        }
        let mut known = Vec::new();
        for instance_id in &instance_ids {
            known.extend(self.config.registry.lookup(instance_id).await?);
        }

        // An identity's key signs no tokens, in whatever state.
        let (known, identities): (Vec<_>, Vec<_>) =
            known.into_iter().partition(|key| key.purpose == KeyPurpose::Attestation);
        let identities = identities.iter().filter_map(public_key).map(|key| *key.id()).collect();
        let approved = known.iter().filter(|key| key.state == State::Approved);
        let keys = approved.filter_map(public_key).collect();
        let mut offered =
            Offered { keys, identities, endorsed: self.endorsers(), ..Offered::default() };
        let report = self.checks(token, &offered, challenge);
        if report.outcome(Check::Signature).passed() {
            return self.signed_by_trusted(report, &known, challenge).await;
        }
        if let Some(answer) = self.signed_by_untrusted(token, &known, challenge) {
            return Ok(answer);
        }
        // Nobody signed that the registry knows, so nothing of the registry goes
        // into the answer: whoever made the token learns nothing about it.
        offered.keys.clear();
        let report = self.checks(token, &offered, challenge);
        let mut answer = Answer { report, device: None };
        let by_path = answer.report.outcome(Check::CertificatePath).passed();
        if let (Ok(nonce), false) = (challenge, by_path) {
            self.hold(token, nonce, &mut answer).await?;
        }
        Ok(answer)
    }

    /// The signature is that of an approved device, or a path or an endorser
    /// vouches for the key.
    async fn signed_by_trusted<'t>(
        &self,
        report: Report<'t>,
        known: &[KnownKey],
        challenge: Result<&[u8], Refused>,
    ) -> Result<Answer<'t>, Error> {
        // Under another name than the key's, it was looked up for another device.
        let named = report.outcome(Check::InstanceId).passed();
        let signers = if named { known } else { &[] };
        let mut answer = Answer { report, device: None };
        if let Some(key) = signers.iter().find(|key| key.state == State::Revoked) {
            answer.refuse(key.device, State::Revoked);
            return Ok(answer);
        }
        // A key's ids are hashes of it: there is one under each.
        let signer = match signers {
            [one] => Some(one),
            _ => None,
        };
        answer.device = signer.map(|key| (key.device, key.state));
        if let Ok(nonce) = challenge {
            self.use_up(nonce, signer, &mut answer).await?;
            // The platform token of a key attestation bundle has a hash for a nonce
            // that every device answers, not this challenge.
            let is_fresh = answer.report.key_attestation.is_none();
            if named && is_fresh {
                self.record(&mut answer).await?;
            }
        }
        Ok(answer)
    }

    /// What to say where the signature is that of a device that was revoked or
    /// waits for approval. `None` where it is not.
    fn signed_by_untrusted<'t>(
        &self,
        token: &'t [u8],
        known: &[KnownKey],
        challenge: Result<&[u8], Refused>,
    ) -> Option<Answer<'t>> {
        let mut untrusted = known.iter().filter(|key| key.state != State::Approved);
        let offered = match known {
            // As long as it takes to try a key that there is.
            [] => Offered { decoys: &self.decoys.0, ..Offered::default() },
            _ => Offered {
                keys: untrusted.clone().filter_map(public_key).collect(),
                ..Offered::default()
            },
        };
        let report = self.checks(token, &offered, challenge);
        let key = untrusted.next().filter(|_| report.outcome(Check::Signature).passed())?;
        let mut answer = Answer { report, device: None };
        answer.refuse(key.device, key.state);
        Some(answer)
    }

    fn endorsers(&self) -> Option<&dyn KeySource> {
        self.config.endorsements.as_ref().map(|endorsed| endorsed as &dyn KeySource)
    }

    /// All that the verifier can say.
    fn checks<'t>(
        &self,
        token: &'t [u8],
        keys: &Offered<'_>,
        challenge: Result<&[u8], Refused>,
    ) -> Report<'t> {
        let config = &self.config;
        let verifier = Verifier {
            keys,
            anchors: &config.anchors,
            policy: Policy {
                at: UnixTime::now(),
                allow_development_key: config.allow_development_key,
            },
            appraisal: Appraisal {
                policy: config.policy.as_ref(),
                endorsements: config.endorsements.as_ref(),
                lifecycles: &config.lifecycles,
            },
        };
        match challenge {
            Ok(nonce) => verifier.verify(token, Challenge::Expected(nonce)),
            Err(refused) => {
                let mut report = verifier.verify(token, Challenge::Any);
                if report.outcome(Check::Decode).passed() {
                    let reason = match refused {
                        Refused::Foreign => "the nonce is no challenge of this service",
                        Refused::Expired => "the challenge has expired",
                    };
                    report.set(Check::Challenge, Outcome::fail(reason));
                }
                report
            }
        }
    }

    /// Uses the challenge up, remembers the signature, and makes the two checks
    /// that depend on what was before.
    async fn use_up(
        &self,
        nonce: &[u8],
        key: Option<&KnownKey>,
        answer: &mut Answer<'_>,
    ) -> Result<(), Error> {
        let registry = &self.config.registry;
        let signature = answer.report.signature_use.as_ref().map(seen);
        let used = registry
            .use_up(Use { nonce: nonce.to_vec(), signature: key.map(|key| key.key).zip(signature) })
            .await?;
        if !used.nonce_was_fresh {
            answer.report.set(Check::Challenge, was_used());
            return Ok(());
        }
        let (Some(_), Some(key)) = (answer.report.signature_use, key) else { return Ok(()) };
        let sighting = match used.r_was_reused {
            true => Sighting::Reused,
            false => Sighting::Distinct,
        };
        let stance = self.config.policy.as_ref().map(|policy| policy.nonce_reuse);
        answer.report.set(Check::NonceReuse, sighting.outcome(stance.unwrap_or_default()));
        if used.r_was_reused {
            tracing::warn!(device = key.device.0, "ECDSA nonce reused");
            registry.note(key.device, EventKind::NonceReused, "seen by the service").await?;
        }
        Ok(())
    }

    /// Records a device that answered a fresh challenge, where a path to an anchor
    /// or an endorser vouches for the key that signed and the registry did not.
    async fn record(&self, answer: &mut Answer<'_>) -> Result<(), Error> {
        let by_path = answer.report.outcome(Check::CertificatePath).passed();
        let why = match by_path {
            true => "a certificate path to a trust anchor",
            false => "a key that a CoRIM endorses",
        };
        if answer.report.outcome(Check::Challenge).failed() {
            return Ok(());
        }
        let registry = &self.config.registry;
        match answer.device {
            Some((device, State::Pending)) => match registry.approve(device, why).await {
                Ok(()) => answer.device = Some((device, State::Approved)),
                // Since it was looked up.
                Err(Error::Revoked) => answer.refuse(device, State::Revoked),
                Err(error) => return Err(error),
            },
            Some(_) => {}
            None => {
                let signature = answer.report.signature_use.as_ref();
                let Some(new) = signature.and_then(|signature| match by_path {
                    true => with_chain(signature, why),
                    false => self.endorsed(signature, why),
                }) else {
                    return Ok(());
                };
                answer.device = register(registry, new, 0).await?;
                if let Some((device, _)) = answer.device {
                    count(&self.metrics.devices_registered);
                    tracing::info!(device = device.0, why, "registered");
                }
            }
        }
        Ok(())
    }

    fn endorsed(&self, signature: &SignatureUse<'_>, detail: &str) -> Option<NewDevice> {
        let endorsements = self.config.endorsements.as_ref()?;
        let key = signature.key().instance_ids().iter().find_map(|id| endorsements.key(id))?;
        let new = new_device(State::Approved, key.spki(), detail)?;
        Some(NewDevice { signature: Some(seen(signature)), ..new })
    }

    /// Holds a device for an operator to approve, where that is wanted and its key
    /// can be had from the token.
    async fn hold(&self, token: &[u8], nonce: &[u8], answer: &mut Answer<'_>) -> Result<(), Error> {
        let Unknown::Hold { max_pending } = self.config.unknown else { return Ok(()) };
        // The token must be fresh, and really signed by the key that it names.
        let Ok(key) = recover(token) else { return Ok(()) };
        let registry = &self.config.registry;
        let used = registry.use_up(Use { nonce: nonce.to_vec(), signature: None }).await?;
        if !used.nonce_was_fresh {
            answer.report.set(Check::Challenge, was_used());
            return Ok(());
        }
        let spki = key.spki().to_vec();
        let Some(new) = new_device(State::Pending, spki, "key from its token") else {
            return Ok(());
        };
        match register(registry, new, max_pending).await {
            Err(Error::TooManyPending) => tracing::warn!("too many devices wait for approval"),
            held => {
                if let Some((device, state)) = held? {
                    tracing::info!(device = device.0, "held for approval");
                    count(&self.metrics.devices_held);
                    answer.refuse(device, state);
                }
            }
        }
        Ok(())
    }

    /// The answer as an attestation result, to be signed.
    pub(crate) fn ear(&self, answer: &Answer<'_>) -> Ear {
        let issuance = Issuance {
            names: self.config.ear_names,
            at: UnixTime::now(),
            lifetime_seconds: self.config.result_lifetime.as_secs(),
            verifier_id: VerifierId {
                developer: "devid".into(),
                build: concat!("devid-service ", env!("CARGO_PKG_VERSION")).into(),
            },
            // What a service verifies answers its own challenge, or fails.
            nonce: answer.report.nonce,
            policy_id: self.config.policy.as_ref().and_then(|policy| policy.id.as_deref()),
            bound_key: None,
        };
        Ear::new(&answer.report, &issuance)
    }

    /// Whether what a token needs of the registry can be had: a lookup and a
    /// write.
    pub(crate) async fn is_healthy(&self) -> Result<(), Error> {
        let registry = &self.config.registry;
        in_time(async {
            registry.lookup(&[0; INSTANCE_ID_LEN]).await?;
            registry.probe().await
        })
        .await
    }

    pub(crate) fn limits(&self) -> Limits {
        self.config.limits
    }

    pub(crate) fn signer(&self) -> Option<&Signer> {
        self.config.signer.as_ref()
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }
}

impl Answer<'_> {
    /// Says that a device that signed is not trusted, and why.
    fn refuse(&mut self, device: DeviceId, state: State) {
        let DeviceId(number) = device;
        let why = match state {
            State::Revoked => format!("the registry has revoked device {number}"),
            State::Pending | State::Approved => format!("device {number} waits for approval"),
        };
        self.report.set(Check::Signature, Outcome::fail(why));
        self.device = Some((device, state));
    }
}

/// What is asked of the registry for one request, or that it took too long.
async fn in_time<T>(asked: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    timeout(REGISTRY_PATIENCE, asked).await.unwrap_or(Err(Error::TimedOut))
}

/// What a token asks for before it is verified.
struct Wanted<'t> {
    instance_ids: Vec<[u8; INSTANCE_ID_LEN]>,
    nonce: Option<&'t [u8]>,
    /// There were more than [`MAX_WANTED`].
    too_many: bool,
}

impl<'t> Wanted<'t> {
    /// Lets the verifier look at a token without a key or an anchor, and notes
    /// which keys it asks for: whatever formats it knows, this knows.
    fn of(token: &'t [u8], nothing: &TrustAnchors) -> Self {
        let asked = Asked::default();
        let verifier = Verifier {
            keys: &asked,
            anchors: nothing,
            policy: Policy { at: UnixTime::now(), allow_development_key: false },
            appraisal: Appraisal::default(),
        };
        let report = verifier.verify(token, Challenge::Any);
        let mut instance_ids = asked.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        let too_many = instance_ids.len() > MAX_WANTED;
        instance_ids.truncate(MAX_WANTED);
        Self { instance_ids, nonce: report.nonce, too_many }
    }
}

#[derive(Default)]
struct Asked(Mutex<Vec<[u8; INSTANCE_ID_LEN]>>);

impl KeySource for Asked {
    fn offer(&self, hint: &Hint<'_>, _: &mut dyn FnMut(Key<'_>) -> bool) {
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Kind::Sign1, Some(id)) = (hint.kind, hint.instance_id)
            && asked.len() <= MAX_WANTED
            && !asked.contains(id)
        {
            asked.push(*id);
        }
    }

    fn purpose(&self, _: &KeyId) -> Option<Purpose> {
        None
    }
}

/// The keys that one token is tried with.
#[derive(Default)]
struct Offered<'k> {
    /// Attestation keys of the registry.
    keys: Vec<PublicKey>,
    /// Keys that the registry has for identities: they sign no tokens.
    identities: Vec<KeyId>,
    /// Of nobody.
    decoys: &'k [PublicKey],
    /// Of endorsers.
    endorsed: Option<&'k dyn KeySource>,
}

impl KeySource for Offered<'_> {
    fn offer(&self, hint: &Hint<'_>, accept: &mut dyn FnMut(Key<'_>) -> bool) {
        let named = |key: &&PublicKey| {
            hint.instance_id.is_some_and(|id| key.id().instance_ids().contains(id))
        };
        let taken = hint.kind == Kind::Sign1
            && self
                .keys
                .iter()
                .filter(named)
                .chain(self.decoys)
                .any(|key| accept(Key::Public(key)));
        if let (false, Some(endorsed)) = (taken, self.endorsed) {
            endorsed.offer(hint, accept);
        }
    }

    fn purpose(&self, key: &KeyId) -> Option<Purpose> {
        if self.identities.contains(key) {
            return Some(Purpose::Identity);
        }
        self.endorsed.and_then(|endorsed| endorsed.purpose(key))
    }
}

fn public_key(key: &KnownKey) -> Option<PublicKey> {
    PublicKey::from_spki(&key.spki).ok()
}

/// A key on each curve, whose private half was thrown away.
struct Decoys([PublicKey; 3]);

impl Decoys {
    fn generate() -> Option<Self> {
        let key = |algorithm| {
            let pair = EcdsaKeyPair::generate(algorithm).ok()?;
            PublicKey::from_point(pair.public_key().as_ref()).ok()
        };
        Some(Self([
            key(&ECDSA_P256_SHA256_FIXED_SIGNING)?,
            key(&ECDSA_P384_SHA384_FIXED_SIGNING)?,
            key(&ECDSA_P521_SHA512_FIXED_SIGNING)?,
        ]))
    }
}

/// `None` if the registry got that key from another token in between.
async fn register(
    registry: &Registry,
    new: NewDevice,
    max_pending: u32,
) -> Result<Option<(DeviceId, State)>, Error> {
    let state = new.state;
    match registry.register(new, max_pending).await {
        Ok(device) => Ok(Some((device, state))),
        Err(Error::Exists) => Ok(None),
        Err(error) => Err(error),
    }
}

fn new_device(state: State, spki: Vec<u8>, detail: &str) -> Option<NewDevice> {
    let key = PublicKey::from_spki(&spki).ok()?;
    Some(NewDevice {
        state,
        sku: None,
        serial: None,
        instance_ids: key.id().instance_ids().to_vec(),
        spki,
        purpose: KeyPurpose::Attestation,
        chain: Vec::new(),
        signature: None,
        detail: detail.into(),
    })
}

fn with_chain(signature: &SignatureUse<'_>, detail: &str) -> Option<NewDevice> {
    let chain: Vec<_> = signature.envelope().x5chain?.map(<[u8]>::to_vec).collect();
    let spki = certificate_spki(chain.first()?).ok()?.to_vec();
    let new = new_device(State::Approved, spki, detail)?;
    Some(NewDevice { chain, signature: Some(seen(signature)), ..new })
}

fn seen(signature: &SignatureUse<'_>) -> SeenSignature {
    SeenSignature { r: signature.r().to_vec(), signed_sha256: signature.signed_sha256() }
}

fn was_used() -> Outcome {
    Outcome::fail("the challenge was used before")
}
