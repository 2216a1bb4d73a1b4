// SPDX-License-Identifier: Apache-2.0
//! What `devid verify` and `devid serve` compare claims with: CoRIMs and a policy.

use std::fs;
use std::path::PathBuf;

use devid_core::token::LifecycleState;
use devid_verifier::corim::{self, CorimProfile};
use devid_verifier::{Appraisal, AppraisalPolicy, Endorsements, UnixTime};

use crate::document::{named, read_keys};
use crate::input::read_at_most;

/// The arguments.
#[derive(clap::Args)]
pub(crate) struct AppraisalArgs {
    /// CoRIM with reference values or attestation keys; trusted as it is, unless
    /// it is signed
    #[arg(long = "corim", value_name = "FILE")]
    corims: Vec<PathBuf>,

    /// Public key that CoRIMs must be signed with: PEM, DER, JWK or COSE_Key
    #[arg(long = "corim-key", value_name = "FILE", requires = "corims")]
    corim_keys: Vec<PathBuf>,

    /// Appraisal policy: TOML
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,

    /// Lifecycle state to let through beside `secured`, where there is no policy:
    /// `unknown`, `assembly-and-test`, `psa-rot-provisioning`, `non-psa-rot-debug`,
    /// `recoverable-psa-rot-debug` or `decommissioned`
    #[arg(
        long = "allow-lifecycle",
        value_name = "STATE",
        value_parser = parse_lifecycle,
        conflicts_with = "policy"
    )]
    lifecycles: Vec<LifecycleState>,
}

/// What the files said.
#[derive(Default)]
pub(crate) struct Known {
    pub(crate) policy: Option<AppraisalPolicy>,
    pub(crate) endorsements: Endorsements,
    pub(crate) lifecycles: Vec<LifecycleState>,
}

impl AppraisalArgs {
    /// Reads the files. An error names the file.
    pub(crate) fn read(&self, at: UnixTime) -> Result<Known, String> {
        let mut known = Known { lifecycles: self.lifecycles.clone(), ..Known::default() };
        let signers = read_keys(&self.corim_keys)?;
        for path in &self.corims {
            let document =
                read_at_most(path, corim::MAX_CORIM_LEN).map_err(|error| named(path, &error))?;
            let read = corim::verify(&document, &signers, at).into_content();
            let corim = read.map_err(|error| named(path, &error))?;
            if let CorimProfile::Other(_) = corim.profile {
                return Err(named(path, &"its profile is not one of PSA's"));
            }
            corim.add_to(&mut known.endorsements).map_err(|error| named(path, &error))?;
        }
        if let Some(path) = &self.policy {
            let file = fs::read(path).map_err(|error| named(path, &error))?;
            let policy = AppraisalPolicy::from_toml(&file).map_err(|error| named(path, &error))?;
            known.policy = Some(policy);
        }
        Ok(known)
    }
}

impl Known {
    pub(crate) fn appraisal(&self) -> Appraisal<'_> {
        Appraisal {
            policy: self.policy.as_ref(),
            endorsements: Some(&self.endorsements),
            lifecycles: &self.lifecycles,
        }
    }

    /// The policy's name, if it has one.
    pub(crate) fn policy_id(&self) -> Option<&str> {
        self.policy.as_ref()?.id.as_deref()
    }
}

fn parse_lifecycle(text: &str) -> Result<LifecycleState, String> {
    let mut states = LifecycleState::ALL.into_iter();
    states.find(|state| state.name() == text).ok_or_else(|| {
        let names = LifecycleState::ALL.map(LifecycleState::name).join(", ");
        format!("not a lifecycle state; give one of {names}")
    })
}
