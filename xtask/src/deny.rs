// SPDX-License-Identifier: Apache-2.0
//! Licences and sources of every dependency, against `deny.toml`, offline.

use std::fs;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use spdx::{Expression, LicenseReq};

use crate::tool::{cargo, find, output, root, run};

#[derive(Deserialize)]
struct Policy {
    licenses: Licenses,
    bans: Bans,
}

#[derive(Deserialize)]
struct Licenses {
    allow: Vec<String>,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Ban>,
}

#[derive(Deserialize)]
struct Ban {
    name: String,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    source: Option<String>,
}

/// Checks all dependencies; asks cargo-deny too, advisories included, where it
/// is installed.
pub(crate) fn check() -> Result<()> {
    let policy = fs::read_to_string(root().join("deny.toml")).context("deny.toml")?;
    let policy: Policy = toml::from_str(&policy).context("deny.toml")?;
    let allowed = policy
        .licenses
        .allow
        .iter()
        .map(|license| {
            Ok(Expression::parse(license)?.requirements().map(|r| r.req.clone()).collect())
        })
        .collect::<Result<Vec<Vec<LicenseReq>>>>()
        .context("deny.toml names an unknown licence")?
        .concat();

    let metadata = output(&mut cargo(&["metadata", "--format-version", "1", "--locked"]))?;
    let metadata: Metadata = serde_json::from_str(&metadata)?;
    let faults: Vec<String> =
        metadata.packages.iter().filter_map(|package| package.fault(&policy, &allowed)).collect();
    if !faults.is_empty() {
        bail!("{}", faults.join("\n"));
    }
    println!("{} packages: licences and sources as deny.toml allows", metadata.packages.len());

    if find("cargo-deny").is_some() {
        run(&mut cargo(&["deny", "check"]))
    } else {
        println!("NOT CHECKED: advisories (cargo-deny is not installed here)");
        Ok(())
    }
}

impl Package {
    fn fault(&self, policy: &Policy, allowed: &[LicenseReq]) -> Option<String> {
        let fault = |what: &str| Some(format!("{} {}: {what}", self.name, self.version));
        // Ours come from no source; everything else from the one registry.
        let Some(source) = &self.source else { return None };
        if !source.starts_with("registry+") {
            return fault(&format!("comes from {source}"));
        }
        if policy.bans.deny.iter().any(|ban| ban.name == self.name) {
            return fault("is banned");
        }
        let Some(license) = &self.license else { return fault("has no licence") };
        match Expression::parse_mode(license, spdx::ParseMode::LAX) {
            Ok(license) if license.evaluate(|needed| allowed.contains(needed)) => None,
            Ok(_) => fault(&format!("its licence {license} is not allowed")),
            Err(error) => fault(&format!("its licence {license} cannot be read: {}", error.reason)),
        }
    }
}
