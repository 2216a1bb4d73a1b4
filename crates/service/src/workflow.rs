// SPDX-License-Identifier: Apache-2.0
//! From a token to its verdict, with the registry on the way.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use devid_core::cose::Kind;
use devid_registry::{
    DeviceId, Error, EventKind, INSTANCE_ID_LEN, KnownKey, NewDevice, Registry, SeenSignature,
    State, Use,
};
use devid_verifier::ear::{Ear, Issuance, VerifierId};
use devid_verifier::keys::{Hint, Key, PublicKey, certificate_spki};
use devid_verifier::recovery::recover;
use devid_verifier::reuse::{Sighting, SignatureUse};
use devid_verifier::{
    Appraisal, Challenge, Check, KeySource, Outcome, Policy, Report, TrustAnchors, UnixTime,
    Verifier,
};
use zeroize::Zeroizing;

use crate::challenge::{self, Challenges, Refused};
use crate::metrics::{Metrics, count};
use crate::{Config, Limits, Signer, Unknown};

/// Keys looked up for one token, at most.
const MAX_WANTED: usize = 4;

/// A service that verifies tokens.
pub struct Service {
    config: Config,
    challenges: Challenges,
    metrics: Metrics,
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
        aws_lc_rs::rand::fill(&mut random).map_err(|_| Error::Shared("no randomness".into()))?;
        let key = config.registry.secret("challenge", || random.to_vec()).await?;
        let challenges = Challenges::new(&Zeroizing::new(key), config.challenge_lifetime);
        Ok(Arc::new(Self {
            config,
            challenges,
            metrics: Metrics::default(),
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
    /// Fails where the registry does: there is no verdict without it.
    pub async fn verify<'t>(&self, token: &'t [u8]) -> Result<Answer<'t>, Error> {
        let start = Instant::now();
        let answer = self.workflow(token).await?;
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
        let Wanted { instance_ids, nonce } = Wanted::of(token, &self.nothing);
        let mut known = Vec::new();
        for instance_id in &instance_ids {
            known.extend(self.config.registry.lookup(instance_id).await?);
        }
        let challenge = match nonce {
            Some(nonce) => self.challenges.check(nonce, challenge::now()).map(|()| nonce),
            None => Err(Refused::Foreign),
        };

        let mut report = self.checks(token, &known, challenge);
        let device = known.first().map(|key| (key.device, key.state));
        let mut answer = match known.first() {
            // Nothing that was said of it since counts.
            Some(key) if key.state == State::Revoked => {
                let revoked = format!("the registry has revoked device {}", key.device.0);
                report.set(Check::Signature, Outcome::fail(revoked));
                return Ok(Answer { report, device });
            }
            _ => Answer { report, device },
        };

        let signed = answer.report.outcome(Check::Signature).passed();
        let by_path = answer.report.outcome(Check::CertificatePath).passed();
        match (signed, challenge) {
            (true, Ok(nonce)) => {
                // A key's ids are hashes of it: there is one under each.
                let key = known.first().filter(|_| known.len() == 1);
                self.use_up(nonce, key, &mut answer).await?;
                if answer.report.outcome(Check::InstanceId).passed() {
                    self.record(&mut answer).await?;
                }
            }
            (false, Ok(nonce)) if !by_path => self.refuse(token, nonce, &mut answer).await?,
            _ => {}
        }
        Ok(answer)
    }

    /// All that the verifier can say.
    fn checks<'t>(
        &self,
        token: &'t [u8],
        known: &[KnownKey],
        challenge: Result<&[u8], Refused>,
    ) -> Report<'t> {
        let config = &self.config;
        let keys = Known {
            keys: known
                .iter()
                .filter(|key| key.state == State::Approved)
                .filter_map(|key| PublicKey::from_spki(&key.spki).ok())
                .collect(),
            endorsed: config.endorsements.as_ref().map(|endorsed| endorsed as &dyn KeySource),
        };
        let verifier = Verifier {
            keys: &keys,
            anchors: &config.anchors,
            policy: Policy {
                at: UnixTime::now(),
                allow_development_key: config.allow_development_key,
            },
            appraisal: Appraisal {
                policy: config.policy.as_ref(),
                endorsements: config.endorsements.as_ref(),
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
            Some((device, State::Pending)) => {
                registry.approve(device, why).await?;
                answer.device = Some((device, State::Approved));
            }
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

    /// Says why a device that is not trusted is refused, and holds it for an
    /// operator where that is wanted.
    async fn refuse(
        &self,
        token: &[u8],
        nonce: &[u8],
        answer: &mut Answer<'_>,
    ) -> Result<(), Error> {
        let registry = &self.config.registry;
        if let (None, Unknown::Hold { max_pending }) = (answer.device, self.config.unknown) {
            // The token must be fresh, and really signed by the key that it names.
            let Ok(key) = recover(token) else { return Ok(()) };
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
                    answer.device = held?;
                    count(&self.metrics.devices_held);
                }
            }
        }
        if let Some((DeviceId(device), State::Pending)) = answer.device {
            tracing::info!(device, "held for approval");
            let held = format!("device {device} waits for approval");
            answer.report.set(Check::Signature, Outcome::fail(held));
        }
        Ok(())
    }

    /// The answer as an attestation result, to be signed.
    pub(crate) fn ear(&self, answer: &Answer<'_>) -> Ear {
        let issuance = Issuance {
            names: self.config.ear_names,
            at: UnixTime::now(),
            lifetime_seconds: None,
            verifier_id: VerifierId {
                developer: "devid".into(),
                build: concat!("devid-service ", env!("CARGO_PKG_VERSION")).into(),
            },
            nonce: None,
            policy_id: self.config.policy.as_ref().and_then(|policy| policy.id.as_deref()),
        };
        Ear::new(&answer.report, &issuance)
    }

    pub(crate) async fn is_healthy(&self) -> Result<(), Error> {
        self.config.registry.lookup(&[0; INSTANCE_ID_LEN]).await.map(drop)
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

/// What a token asks for before it is verified.
#[derive(Default)]
struct Wanted<'t> {
    instance_ids: Vec<[u8; INSTANCE_ID_LEN]>,
    nonce: Option<&'t [u8]>,
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
        let instance_ids = asked.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        Self { instance_ids, nonce: report.nonce }
    }
}

#[derive(Default)]
struct Asked(Mutex<Vec<[u8; INSTANCE_ID_LEN]>>);

impl KeySource for Asked {
    fn offer(&self, hint: &Hint<'_>, _: &mut dyn FnMut(Key<'_>) -> bool) {
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Kind::Sign1, Some(id)) = (hint.kind, hint.instance_id)
            && asked.len() < MAX_WANTED
            && !asked.contains(id)
        {
            asked.push(*id);
        }
    }
}

/// What was looked up for one token, and what endorsers say.
struct Known<'e> {
    keys: Vec<PublicKey>,
    endorsed: Option<&'e dyn KeySource>,
}

impl KeySource for Known<'_> {
    fn offer(&self, hint: &Hint<'_>, accept: &mut dyn FnMut(Key<'_>) -> bool) {
        let taken =
            hint.kind == Kind::Sign1 && self.keys.iter().any(|key| accept(Key::Public(key)));
        if let (false, Some(endorsed)) = (taken, self.endorsed) {
            endorsed.offer(hint, accept);
        }
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
