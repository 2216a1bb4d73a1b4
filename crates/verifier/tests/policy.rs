// SPDX-License-Identifier: Apache-2.0
//! Policies: which are taken, and what lifecycle, client id, software and keys
//! are let through under them.

mod common;

use std::path::Path;

use common::cbor::Value::{Array, Bytes, Int, Map, Text};
use common::{NONCE, RFC_9783, Signer, later_claims, sign};
use devid_core::token::LifecycleState;
use devid_verifier::endorsements::ReferenceValue;
use devid_verifier::policy::{NonceReuse, Version};
use devid_verifier::{
    Appraisal, AppraisalPolicy, Challenge, Check, CheckResult, Endorsements, KeySet, Policy,
    TrustAnchors, UnixTime, Verdict, Verifier,
};

const IMPLEMENTATION: [u8; 32] = [0x11; 32];

fn policy(text: &str) -> AppraisalPolicy {
    AppraisalPolicy::from_toml(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Name, version, first byte of the measurement, first byte of the signer.
type Component = (&'static str, Option<&'static str>, u8, u8);

const BL: Component = ("BL", Some("1.0.0"), 0x33, 0x44);
const SPE: Component = ("SPE", Some("1.0.0"), 0x34, 0x44);

fn token(lifecycle: i64, client_id: i64, components: &[Component]) -> Vec<u8> {
    let iak = Signer::p256("iak");
    let mut claims = later_claims(RFC_9783, iak.instance_id());
    for (key, value) in &mut claims {
        match key {
            Int(2394) => *value = Int(client_id),
            Int(2395) => *value = Int(lifecycle),
            Int(2399) => {
                let component = |(name, version, measurement, signer): &Component| {
                    let mut component = vec![
                        (Int(1), Text(name)),
                        (Int(2), Bytes(vec![*measurement; 32])),
                        (Int(5), Bytes(vec![*signer; 32])),
                    ];
                    component.extend(version.map(|version| (Int(4), Text(version))));
                    Map(component)
                };
                *value = Array(components.iter().map(component).collect());
            }
            _ => {}
        }
    }
    sign(&iak, vec![], claims)
}

/// The outcome of a check, and the verdict.
fn check(
    token: &[u8],
    check: Check,
    policy: Option<&AppraisalPolicy>,
    endorsements: Option<&Endorsements>,
) -> (CheckResult, String) {
    let appraisal = Appraisal { policy, endorsements, lifecycles: &[] };
    check_by(token, check, appraisal)
}

fn check_by(token: &[u8], check: Check, appraisal: Appraisal<'_>) -> (CheckResult, String) {
    let mut keys = KeySet::default();
    keys.add_public(Signer::p256("iak").public());
    let verifier = Verifier {
        keys: &keys,
        anchors: &TrustAnchors::default(),
        policy: Policy { at: UnixTime::now(), allow_development_key: false },
        appraisal,
    };
    let report = verifier.verify(token, Challenge::Expected(&NONCE));
    let outcome = report.outcome(check);
    // No other check stands in the way.
    assert_eq!(report.verdict() == Verdict::Fail, outcome.failed(), "{report:?}");
    (outcome.result, outcome.detail.to_string())
}

fn endorsed(components: &[Component]) -> Endorsements {
    let mut endorsements = Endorsements::default();
    for (name, version, measurement, signer) in components {
        let value = ReferenceValue {
            implementation_id: IMPLEMENTATION,
            name: Some((*name).into()),
            version: version.map(str::to_owned),
            signer_id: Some(vec![*signer; 32]),
            digests: vec![vec![*measurement; 32]],
        };
        endorsements.add_reference_value(value).unwrap();
    }
    endorsements
}

#[track_caller]
fn software_fails(token: &[u8], policy: &str, endorsements: &Endorsements, detail: &str) {
    let policy = self::policy(policy);
    let outcome = check(token, Check::Software, Some(&policy), Some(endorsements));
    assert_eq!(outcome, (CheckResult::Fail, detail.to_owned()));
}

#[track_caller]
fn software_passes(token: &[u8], policy: &str, endorsements: &Endorsements) {
    let policy = self::policy(policy);
    let (result, detail) = check(token, Check::Software, Some(&policy), Some(endorsements));
    assert_eq!(result, CheckResult::Pass, "{detail}");
}

#[test]
fn reads_the_documented_example_and_the_committed_one() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let document = std::fs::read_to_string(folder.join("docs/policy.md")).unwrap();
    let example = document.split("```toml").nth(1).unwrap().split("```").next().unwrap();
    let policy = policy(example);
    assert_eq!(policy.client_id.only, Some(vec![-1, -2]));
    assert_eq!(policy.software.minimum_versions["SPE"], Version::parse("2.1.0+4").unwrap());
    assert!(policy.registration.hold_unknown);
    assert_eq!(policy.nonce_reuse, NonceReuse::Refuse);
    let strict = std::fs::read(folder.join("vectors/policy/strict.toml")).unwrap();
    assert!(AppraisalPolicy::from_toml(&strict).is_ok());
    assert!(AppraisalPolicy::from_toml(b"").is_ok());
}

#[test]
fn refuses_policies_that_say_nothing_known_or_let_nothing_pass() {
    for text in [
        "lifecycle = ['secured']",
        "lifecycles = ['Secured']",
        "lifecycles = 'secured'",
        "lifecycles = []",
        "profiles = []",
        "profiles = ['psa']",
        "client-id = -1",
        "client-id.only = []",
        "client-id.only = [2147483648]",
        "client-id.secure = false\nclient-id.non-secure = false",
        "software.signer-ids = []",
        "software.signer-ids = ['44']",
        "software.signer-ids = ['zz']",
        "software.missing = 'ignore'",
        "software.reference-values = 'always'",
        "software.minimum-versions.BL = 1",
        "software.minimum-versions.BL = '1.x'",
        "software.floor.BL = '1'",
        "nonce-reuse = 'accept'",
        "registration.hold = true",
        "development-keys = [{name = 'x'}]",
        "development-keys = [{name = 'x', instance-ids = []}]",
        "development-keys = [{name = 'x', instance-ids = ['02']}]",
        "id = 'a'\nid = 'b'",
        "= 1",
        "[",
    ] {
        assert!(AppraisalPolicy::from_toml(text.as_bytes()).is_err(), "{text}");
    }
    assert!(AppraisalPolicy::from_toml(&[0xff]).is_err());
    assert!(AppraisalPolicy::from_toml(&vec![b'\n'; (1 << 20) + 1]).is_err());
}

#[test]
fn takes_the_lifecycles_that_the_policy_names() {
    use CheckResult::{Fail, Pass};
    let default = policy("");
    let debug = policy("lifecycles = ['secured', 'non-psa-rot-debug']");
    for (lifecycle, by_default, with_debug) in [
        (0x0000, Fail, Fail),
        (0x1000, Fail, Fail),
        (0x20ff, Fail, Fail),
        (0x3000, Pass, Pass),
        (0x30ff, Pass, Pass),
        (0x4012, Fail, Pass),
        (0x5000, Fail, Fail),
        (0x6000, Fail, Fail),
    ] {
        let token = token(lifecycle, -1, &[BL]);
        let result = |policy| check(&token, Check::Lifecycle, policy, None).0;
        assert_eq!(result(None), by_default, "{lifecycle:#x}");
        assert_eq!(result(Some(&default)), by_default, "{lifecycle:#x}");
        assert_eq!(result(Some(&debug)), with_debug, "{lifecycle:#x}");
    }
}

#[test]
fn takes_the_lifecycles_that_an_option_names_where_there_is_no_policy() {
    use LifecycleState::{AssemblyAndTest, NonPsaRotDebug};
    let token = |lifecycle| token(lifecycle, -1, &[BL]);
    let check = |lifecycle, policy, lifecycles: &[LifecycleState]| {
        let appraisal = Appraisal { policy, endorsements: None, lifecycles };
        check_by(&token(lifecycle), Check::Lifecycle, appraisal)
    };
    let passed = |detail: &str| (CheckResult::Pass, detail.to_owned());
    let failed = |detail: &str| (CheckResult::Fail, detail.to_owned());
    let named = [NonPsaRotDebug];
    let let_through = "non-psa-rot-debug, let through on request";
    assert_eq!(check(0x4000, None, &named), passed(let_through));
    assert_eq!(check(0x3000, None, &named), passed("secured"));
    assert_eq!(check(0x1000, None, &named), failed("assembly-and-test, not secured"));
    assert_eq!(check(0x4000, None, &[AssemblyAndTest]), failed("non-psa-rot-debug, not secured"));
    // A policy says it all.
    let reason = "the policy does not take non-psa-rot-debug";
    let (default, debug) = (policy(""), policy("lifecycles = ['non-psa-rot-debug']"));
    assert_eq!(check(0x4000, Some(&default), &named), failed(reason));
    let let_through = "non-psa-rot-debug, let through by the policy";
    assert_eq!(check(0x4000, Some(&debug), &[]), passed(let_through));
}

#[test]
fn takes_the_callers_that_the_policy_names() {
    use CheckResult::{Fail, NotPerformed, Pass};
    let result = |client_id, text: Option<&str>| {
        let policy = text.map(policy);
        check(&token(0x3000, client_id, &[BL]), Check::ClientId, policy.as_ref(), None).0
    };
    assert_eq!(result(-1, None), NotPerformed);
    for (text, non_secure, secure) in [
        ("", Pass, Pass),
        ("client-id.non-secure = false", Fail, Pass),
        ("client-id.secure = false", Pass, Fail),
        ("client-id.only = [-1]", Pass, Fail),
        ("client-id.only = [7, -1]", Pass, Pass),
        ("client-id.only = [-2]", Fail, Fail),
        ("client-id.only = [-1]\nclient-id.non-secure = false", Fail, Fail),
    ] {
        assert_eq!(result(-1, Some(text)), non_secure, "{text}");
        assert_eq!(result(7, Some(text)), secure, "{text}");
    }
}

#[test]
fn takes_the_profiles_that_the_policy_names() {
    let token = token(0x3000, -1, &[BL]);
    let others = policy("profiles = ['PSA_IOT_PROFILE_1', 'http://arm.com/psa/2.0.0']");
    let own = policy("profiles = ['tag:psacertified.org,2023:psa#tfm']");
    assert_eq!(check(&token, Check::Profile, Some(&others), None).0, CheckResult::Fail);
    assert_eq!(check(&token, Check::Profile, Some(&own), None).0, CheckResult::Pass);
}

#[test]
fn compares_software_with_reference_values() {
    let known = endorsed(&[BL, SPE]);
    let token = |components: &[Component]| token(0x3000, -1, components);
    software_passes(&token(&[SPE, BL]), "", &known);
    for (components, detail) in [
        (&[BL][..], "SPE: missing"),
        (&[BL, SPE, ("NSPE", None, 0x35, 0x44)], "NSPE: unexpected"),
        (&[BL, ("SPE", Some("1.0.0"), 0x35, 0x44)], "SPE: its measurement has no reference value"),
        (
            &[BL, ("SPE", Some("1.0.0"), 0x34, 0x45)],
            "SPE: signed by another than its reference value says",
        ),
        (
            &[BL, ("SPE", Some("1.0.1"), 0x34, 0x44)],
            "SPE: of another version than its reference value says",
        ),
        (&[BL, ("SPE", None, 0x34, 0x44)], "SPE: of another version than its reference value says"),
        (
            &[BL, SPE, ("SPE", Some("1.0.0"), 0x33, 0x44)],
            "SPE: its measurement is another component's",
        ),
        (
            &[("BL", Some("1.0.0"), 0x99, 0x44)],
            "BL: its measurement has no reference value; SPE: missing",
        ),
    ] {
        software_fails(&token(components), "", &known, detail);
    }
    software_passes(&token(&[BL]), "software.missing = 'accept'", &known);
    let accepting = "software.unexpected = 'accept'";
    software_passes(&token(&[BL, SPE, ("NSPE", None, 0x35, 0x44)]), accepting, &known);
    let mismatch = [BL, ("SPE", Some("1.0.0"), 0x35, 0x44)];
    let detail = "SPE: its measurement has no reference value";
    software_fails(&token(&mismatch), accepting, &known, detail);
}

#[test]
fn takes_any_of_several_reference_values() {
    let known = endorsed(&[BL, SPE, ("SPE", Some("1.1.0"), 0x36, 0x46)]);
    for spe in [SPE, ("SPE", Some("1.1.0"), 0x36, 0x46)] {
        software_passes(&token(0x3000, -1, &[BL, spe]), "", &known);
    }
    // The version of the one with the measurement of the other.
    let mixed = token(0x3000, -1, &[BL, ("SPE", Some("1.1.0"), 0x34, 0x44)]);
    let detail = "SPE: of another version than its reference value says";
    software_fails(&mixed, "", &known, detail);
}

#[test]
fn refuses_devices_without_reference_values_once_there_are_some() {
    let token = token(0x3000, -1, &[BL]);
    let mut others = Endorsements::default();
    let value = ReferenceValue {
        implementation_id: [0x12; 32],
        name: None,
        version: None,
        signer_id: None,
        digests: vec![vec![0x33; 32]],
    };
    others.add_reference_value(value).unwrap();
    let detail = "there are no reference values for this implementation-id";
    software_fails(&token, "", &others, detail);
    let none = Endorsements::default();
    let required = "software.reference-values = 'required'";
    software_fails(&token, required, &none, "there are no reference values");
    let outcome = check(&token, Check::Software, Some(&policy("")), Some(&none));
    assert_eq!(outcome.0, CheckResult::NotPerformed);
    assert_eq!(check(&token, Check::Software, None, None).0, CheckResult::NotPerformed);
}

#[test]
fn asks_for_signers_and_versions_without_reference_values_too() {
    let none = Endorsements::default();
    let token = |version| token(0x3000, -1, &[("BL", version, 0x33, 0x44)]);
    let signer = |byte: &str| format!("software.signer-ids = ['{}']", byte.repeat(32));
    software_passes(&token(None), &signer("44"), &none);
    let detail = "BL: the policy does not take its signer";
    software_fails(&token(None), &signer("45"), &none, detail);
    let floor = "software.minimum-versions.BL = '1.2.3+4'";
    for version in ["1.2.3+4", "1.2.3+10", "1.2.4", "1.10.0", "2"] {
        software_passes(&token(Some(version)), floor, &none);
    }
    for version in ["1.2.3+3", "1.2.3", "1.2", "0.9.9+9"] {
        software_fails(&token(Some(version)), floor, &none, "BL: older than the policy takes");
    }
    software_fails(&token(None), floor, &none, "BL: it claims no version");
    software_fails(&token(Some("1.2.3-rc1")), floor, &none, "BL: its version cannot be compared");
    software_fails(&token(None), "software.minimum-versions.X = '1'", &none, "X: missing");
}

#[test]
fn refuses_listed_keys_by_name() {
    let iak = Signer::p256("iak");
    let token = token(0x3000, -1, &[BL]);
    for derived in iak.public().id().instance_ids() {
        let id = data_encoding::HEXLOWER.encode(derived);
        let text = format!("development-keys = [{{name = 'a lost key', instance-ids = ['{id}']}}]");
        let outcome = check(&token, Check::DevelopmentKey, Some(&policy(&text)), None);
        assert_eq!(outcome.0, CheckResult::Fail);
        assert!(outcome.1.contains("a lost key"));
    }
}
