// SPDX-License-Identifier: Apache-2.0
//! Verification against the bare signature check, and the program as a whole
//! process. The measuring is `crates/verifier/benches/verify.rs`'s.

use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::tool::{cargo, output, root, run, target_dir};

/// Starts of the program that are timed.
const PROCESSES: usize = 201;

/// What each ratio must reach, and what its line in the table says.
const RATIOS: &[(&str, f64, &str)] = &[
    ("ratio", 0.95, "a keyed token, all checks / one raw verification"),
    ("two_thread_ratio", 1.9, "two threads / one"),
    ("x5chain_ratio", 0.9, "x5chain of two certificates / three raw verifications"),
    ("x5chain_cached_ratio", 0.9, "the same, chain validated before / one raw verification"),
];
const MAX_PROCESS_MS: f64 = 3.0;

/// Measures and prints; fails where a target is missed.
pub(crate) fn run_all(as_json: bool) -> Result<()> {
    let mut bench =
        cargo(&["bench", "--quiet", "--package=devid-verifier", "--bench=verify", "--", "--json"]);
    let mut figures: Value =
        serde_json::from_str(&output(&mut bench)?).context("the benchmark's figures")?;
    figures["process_ms"] = json!(process_ms()?);

    if as_json {
        println!("{figures}");
        return Ok(());
    }
    let figure = |key: &str| figures[key].as_f64().with_context(|| format!("no figure {key}"));
    println!(
        "{} tokens, {} keys, {} forged",
        figures["tokens"], figures["keys"], figures["forged"]
    );
    println!("{:<58} {:>9} {:>7}", "", "measured", "target");
    for (key, what) in [
        ("raw_per_s", "raw aws-lc-rs P-256 verifications a second, one thread"),
        ("devid_per_s", "keyed tokens a second, one thread"),
        ("two_thread_per_s", "keyed tokens a second, two threads"),
        ("x5chain_per_s", "tokens with x5chain a second, one thread"),
        ("x5chain_cached_per_s", "the same, chain validated before"),
    ] {
        println!("{what:<58} {:>9.0}", figure(key)?);
    }
    let mut missed = Vec::new();
    for &(key, least, what) in RATIOS {
        println!("{what:<58} {:>9.3} {:>7}", figure(key)?, format!(">={least}"));
        missed.extend((figure(key)? < least).then_some(key));
    }
    let process = figure("process_ms")?;
    let what = "devid verify, a whole process, ms";
    println!("{what:<58} {process:>9.2} {:>7}", format!("<={MAX_PROCESS_MS}"));
    missed.extend((process > MAX_PROCESS_MS).then_some("process_ms"));
    ensure!(missed.is_empty(), "targets missed: {}", missed.join(", "));
    Ok(())
}

/// The median time from starting `devid verify` for one token to its end.
fn process_ms() -> Result<f64> {
    run(&mut cargo(&["build", "--release", "--quiet", "--package=devid-cli"]))?;
    let program = target_dir().join("release/devid");
    let mut times = Vec::with_capacity(PROCESSES);
    for _ in 0..PROCESSES {
        let start = Instant::now();
        let status = Command::new(&program)
            .args(["verify", "--key", "vectors/token/iak.pem", "--challenge", "any"])
            .arg("vectors/token/rfc9783.cbor")
            .current_dir(root())
            .stdout(Stdio::null())
            .status()?;
        times.push(start.elapsed().as_secs_f64() * 1000.0);
        ensure!(status.success(), "devid verify failed");
    }
    times.sort_by(f64::total_cmp);
    Ok(times[PROCESSES / 2])
}
