// SPDX-License-Identifier: Apache-2.0
//! The service under load, with registries of three sizes. The measuring is
//! `crates/service/benches/service.rs`'s.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::tool::{cargo, root, run, target_dir};

/// Verified requests a second, with the load generator on the same machine.
const LEAST_PER_S: f64 = 8_000.0;
/// How much of that may be lost from the smallest registry to the largest.
const MOST_LOST: f64 = 0.15;

/// Measures and prints; fails where a target is missed.
pub(crate) fn run_all(as_json: bool) -> Result<()> {
    let mut figures = measure(&[])?;
    figures["load_average"] = load_average().into();
    if as_json {
        println!("{figures}");
        return Ok(());
    }

    let sizes = figures["sizes"].as_array().context("sizes")?;
    println!("{} connections; load average {}", figures["connections"], figures["load_average"]);
    println!(
        "{:>12} {:>12} {:>8} {:>8} {:>8} {:>12}",
        "devices", "requests/s", "p50 ms", "p99 ms", "RSS MB", "registry MB"
    );
    let mut rates = Vec::new();
    for size in sizes {
        let figure = |key: &str| size[key].as_f64().with_context(|| format!("no figure {key}"));
        rates.push(figure("requests_per_s")?);
        println!(
            "{:>12} {:>12.0} {:>8.1} {:>8.1} {:>8.0} {:>12.0}",
            figure("registry_devices")?,
            figure("requests_per_s")?,
            figure("p50_ms")?,
            figure("p99_ms")?,
            figure("rss_mb")?,
            figure("registry_mb")?
        );
    }
    let (Some(first), Some(last)) = (rates.first(), rates.last()) else {
        anyhow::bail!("no sizes");
    };
    let lost = 1.0 - last / first;
    println!("lost from the smallest registry to the largest: {:.1} %", 100.0 * lost);
    ensure!(rates.iter().all(|rate| *rate >= LEAST_PER_S), "below {LEAST_PER_S} requests/s");
    ensure!(lost <= MOST_LOST, "more than {} % lost", 100.0 * MOST_LOST);
    Ok(())
}

/// The same with hostile clients: what must hold is asserted there. Prints one
/// JSON object.
pub(crate) fn run_mixed() -> Result<()> {
    let mut figures = measure(&["--mixed"])?;
    figures["load_average"] = load_average().into();
    println!("{figures:#}");
    Ok(())
}

fn measure(options: &[&str]) -> Result<Value> {
    run(&mut cargo(&["build", "--release", "--quiet", "--package=devid-cli"]))?;
    let output = cargo(&["bench", "--quiet", "--package=devid-service", "--bench=service", "--"])
        .arg("--program")
        .arg(target_dir().join("release/devid"))
        .arg("--dir")
        .arg(target_dir())
        .args(options)
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(output.status.success(), "the benchmark failed");
    serde_json::from_slice(&output.stdout).context("the benchmark's figures")
}

/// What else the machine was doing, for the record.
fn load_average() -> String {
    let uptime = Command::new("uptime").current_dir(root()).output();
    let text = uptime.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let text = text.unwrap_or_default();
    text.rsplit_once("load average:").map_or("unknown", |(_, load)| load.trim()).to_owned()
}
