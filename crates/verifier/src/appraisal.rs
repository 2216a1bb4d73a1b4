// SPDX-License-Identifier: Apache-2.0
//! The checks that compare claims with a policy and with endorsements.

use std::collections::{BTreeMap, BTreeSet};

use devid_core::instance_id;
use devid_core::token::{
    Claims, Lifecycle, LifecycleState, Profile, SoftwareComponent, SoftwareComponents,
};

use crate::cca;
use crate::endorsements::{Endorsements, ReferenceValues};
use crate::policy::{AppraisalPolicy, Need, Stance, Version};
use crate::report::Outcome;

/// What claims are compared with.
#[derive(Clone, Copy, Default)]
pub struct Appraisal<'k> {
    /// What is asked; `None` where nobody said.
    pub policy: Option<&'k AppraisalPolicy>,
    /// What is known of devices and their software.
    pub endorsements: Option<&'k Endorsements>,
    /// Lifecycle states that are let through where there is no policy, beside
    /// [`Secured`](LifecycleState::Secured).
    pub lifecycles: &'k [LifecycleState],
}

/// What is appraised of a token, whatever its family.
#[derive(Clone, Copy)]
pub(crate) struct Subject<'t> {
    pub(crate) instance_id: &'t [u8; instance_id::LEN],
    pub(crate) implementation_id: &'t [u8; 32],
    /// The caller; none in CCA's.
    client_id: Option<i32>,
    security_lifecycle: Lifecycle,
    software_components: SoftwareComponents<'t>,
}

impl<'t> From<&Claims<'t>> for Subject<'t> {
    fn from(claims: &Claims<'t>) -> Self {
        Self {
            instance_id: claims.instance_id,
            implementation_id: claims.implementation_id,
            client_id: Some(claims.client_id),
            security_lifecycle: claims.security_lifecycle,
            software_components: claims.software_components,
        }
    }
}

impl<'t> From<&cca::Platform<'t>> for Subject<'t> {
    fn from(claims: &cca::Platform<'t>) -> Self {
        Self {
            instance_id: claims.instance_id,
            implementation_id: claims.implementation_id,
            client_id: None,
            security_lifecycle: claims.security_lifecycle,
            software_components: claims.software_components,
        }
    }
}

impl Appraisal<'_> {
    /// Whether the policy takes a CCA profile: only where it names none.
    pub(crate) fn cca_profile(&self, profile: cca::Profile) -> Outcome {
        match self.policy.is_some_and(|policy| policy.profiles.is_some()) {
            true => Outcome::fail(format!("the policy does not take {}", profile.name())),
            false => Outcome::pass(profile.name()),
        }
    }

    /// Whether the policy takes that profile.
    pub(crate) fn profile(&self, profile: Profile) -> Outcome {
        let accepted = self.policy.and_then(|policy| policy.profiles.as_ref());
        match accepted {
            Some(accepted) if !accepted.contains(&profile) => {
                Outcome::fail(format!("the policy does not take {}", profile.name()))
            }
            _ => Outcome::pass(profile.name()),
        }
    }

    /// The checks lifecycle, client-id and software.
    pub(crate) fn checks(&self, claims: Option<&Subject<'_>>) -> [Outcome; 3] {
        match claims {
            Some(claims) => [self.lifecycle(claims), self.client_id(claims), self.software(claims)],
            None => [(); 3].map(|()| Outcome::not_performed("the claims cannot be read")),
        }
    }

    /// A secured device passes. One in another state is let through by a policy
    /// that lists the state, or without a policy by who names the state.
    fn lifecycle(&self, claims: &Subject<'_>) -> Outcome {
        let state = claims.security_lifecycle.state();
        let (taken, who) = match self.policy {
            Some(policy) => (policy.lifecycles.contains(&state), "by the policy"),
            None => {
                (state == LifecycleState::Secured || self.lifecycles.contains(&state), "on request")
            }
        };
        match (taken, state) {
            (true, LifecycleState::Secured) => Outcome::pass(state.name()),
            (true, _) => {
                Outcome::pass(format!("{}, let through {who}", state.name())).let_through()
            }
            (false, _) if self.policy.is_some() => {
                Outcome::fail(format!("the policy does not take {}", state.name()))
            }
            (false, _) => Outcome::fail(format!("{}, not secured", state.name())),
        }
    }

    /// Whether the policy takes that caller.
    fn client_id(&self, claims: &Subject<'_>) -> Outcome {
        let Some(id) = claims.client_id else {
            return Outcome::not_performed("a CCA token names no caller");
        };
        let Some(policy) = self.policy else { return Outcome::not_performed("there is no policy") };
        let (side, taken) = match id < 0 {
            true => ("non-secure", policy.client_id.non_secure),
            false => ("secure", policy.client_id.secure),
        };
        if !taken {
            return Outcome::fail(format!("the policy takes no {side} caller"));
        }
        match &policy.client_id.only {
            Some(only) if !only.contains(&id) => {
                Outcome::fail(format!("the policy does not take client {id}"))
            }
            _ => Outcome::pass(side),
        }
    }

    /// Software components against reference values and the policy. Everything
    /// that is wrong is said.
    fn software(&self, claims: &Subject<'_>) -> Outcome {
        let default = AppraisalPolicy::default().software;
        let policy = self.policy.map_or(&default, |policy| &policy.software);
        let endorsements = self.endorsements.filter(|known| known.has_reference_values());
        let values = endorsements.map(|known| known.reference_values(claims.implementation_id));
        let mut wrong = Vec::new();

        if self.endorsements.is_some_and(|known| known.contradicts(claims)) {
            wrong.push("the instance is endorsed under another implementation-id".to_owned());
        }
        match (values, policy.reference_values) {
            (Some(None), _) => {
                wrong.push("there are no reference values for this implementation-id".to_owned());
            }
            (None, Need::Required) => wrong.push("there are no reference values".to_owned()),
            _ => {}
        }
        let values = values.flatten();
        let mut let_through = Vec::new();
        for component in claims.software_components {
            let reference = values.and_then(|values| against_reference(values, &component));
            let reference = match (reference, policy.unexpected) {
                (Some(UNEXPECTED), Stance::Accept) => {
                    let name = component.measurement_type.unwrap_or("unnamed");
                    let_through.push(format!("{name}: {UNEXPECTED}"));
                    None
                }
                (reference, _) => reference,
            };
            let faults = [
                reference,
                against_signers(policy.signer_ids.as_deref(), &component),
                against_floor(&policy.minimum_versions, &component),
            ];
            wrong.extend(faults.into_iter().flatten().map(|fault| {
                format!("{}: {fault}", component.measurement_type.unwrap_or("unnamed"))
            }));
        }
        let is_there = |name: &str| {
            let mut components = claims.software_components;
            components.any(|component| component.measurement_type == Some(name))
        };
        let floors = policy.minimum_versions.keys().map(String::as_str);
        let missing = |names: &mut dyn Iterator<Item = &str>| -> BTreeSet<String> {
            let missing = names.filter(|name| !is_there(name));
            missing.map(|name| format!("{name}: missing")).collect()
        };
        let mut below_floor = missing(&mut floors.into_iter());
        let expected = missing(&mut values.into_iter().flat_map(ReferenceValues::names));
        match policy.missing {
            Stance::Refuse => below_floor.extend(expected),
            Stance::Accept => let_through.extend(expected),
        }
        wrong.extend(below_floor);

        let asked =
            values.is_some() || policy.signer_ids.is_some() || !policy.minimum_versions.is_empty();
        match (wrong.is_empty(), asked) {
            (false, _) => Outcome::fail(wrong.join("; ")),
            (true, false) => Outcome::not_performed("there are no reference values"),
            (true, true) if !let_through.is_empty() => {
                let detail = format!("let through by the policy: {}", let_through.join("; "));
                Outcome::pass(detail).let_through()
            }
            (true, true) => match values {
                Some(_) => Outcome::pass("as the reference values say"),
                None => {
                    Outcome::pass("as the policy says; there are no reference values").let_through()
                }
            },
        }
    }
}

/// What is wrong with a component that no reference value names.
const UNEXPECTED: &str = "unexpected";

fn against_reference(
    values: &ReferenceValues,
    component: &SoftwareComponent<'_>,
) -> Option<&'static str> {
    let mut candidates = values.with_digest(component.measurement_value).peekable();
    if candidates.peek().is_none() {
        let is_named = component.measurement_type.is_some_and(|name| values.has_name(name));
        return Some(if is_named { "its measurement has no reference value" } else { UNEXPECTED });
    }
    // Of several that share the measurement the nearest one says what is wrong.
    let mut nearest = "its measurement is another component's";
    for value in candidates {
        let is_same = |reference: &Option<String>, claimed: Option<&str>| {
            reference.as_deref().is_none_or(|reference| claimed == Some(reference))
        };
        if !is_same(&value.name, component.measurement_type) {
            continue;
        }
        let signer = component.signer_id;
        if value.signer_id.as_deref().is_some_and(|reference| signer != Some(reference)) {
            nearest = "signed by another than its reference value says";
        } else if !is_same(&value.version, component.version) {
            nearest = "of another version than its reference value says";
        } else {
            return None;
        }
    }
    Some(nearest)
}

fn against_signers(
    accepted: Option<&[Vec<u8>]>,
    component: &SoftwareComponent<'_>,
) -> Option<&'static str> {
    let accepted = accepted?;
    match component.signer_id {
        None => Some("it names no signer"),
        Some(signer) if accepted.iter().any(|id| id == signer) => None,
        Some(_) => Some("the policy does not take its signer"),
    }
}

fn against_floor(
    floors: &BTreeMap<String, Version>,
    component: &SoftwareComponent<'_>,
) -> Option<&'static str> {
    let floor = floors.get(component.measurement_type?)?;
    match component.version.map(Version::parse) {
        None => Some("it claims no version"),
        Some(None) => Some("its version cannot be compared"),
        Some(Some(version)) if version < *floor => Some("older than the policy takes"),
        Some(Some(_)) => None,
    }
}
