// SPDX-License-Identifier: Apache-2.0
//! Counters, in the text format of Prometheus.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use axum::http::StatusCode;
use devid_verifier::{Check, Report, Verdict};

/// Upper bounds of the histogram's buckets, in microseconds.
const BUCKETS: [u64; 9] = [500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 1_000_000];

/// What happened since the start.
#[derive(Default)]
pub(crate) struct Metrics {
    /// Open now.
    pub(crate) connections: AtomicU64,
    pub(crate) connections_failed: AtomicU64,
    pub(crate) connections_given_up: AtomicU64,
    pub(crate) registry_failures: AtomicU64,
    pub(crate) challenges: AtomicU64,
    pub(crate) devices_registered: AtomicU64,
    pub(crate) devices_held: AtomicU64,
    /// By the status's first digit.
    responses: [AtomicU64; 6],
    passed: AtomicU64,
    failed: AtomicU64,
    failed_checks: [AtomicU64; Check::ALL.len()],
    duration_buckets: [AtomicU64; BUCKETS.len()],
    duration_micros: AtomicU64,
}

impl Metrics {
    pub(crate) fn responded(&self, status: StatusCode) {
        if let Some(counter) = self.responses.get(usize::from(status.as_u16() / 100)) {
            count(counter);
        }
    }

    pub(crate) fn verified(&self, report: &Report<'_>, duration: Duration) {
        count(if report.verdict() == Verdict::Pass { &self.passed } else { &self.failed });
        for ((_, outcome), counter) in report.outcomes().zip(&self.failed_checks) {
            if outcome.failed() {
                count(counter);
            }
        }
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.duration_micros.fetch_add(micros, Relaxed);
        if let Some(at) = BUCKETS.iter().position(|&bound| micros <= bound) {
            count(&self.duration_buckets[at]);
        }
    }

    pub(crate) fn text(&self) -> String {
        let mut text = Text(String::new());
        let open = self.connections.load(Relaxed);
        text.family("devid_connections", "gauge", "Connections open now.");
        text.value("devid_connections", open);
        for (name, help, counter) in [
            (
                "devid_connections_failed_total",
                "Connections that ended in an error, a timeout or a failed handshake.",
                &self.connections_failed,
            ),
            (
                "devid_connections_given_up_total",
                "Connections that waited for their client and made room for others.",
                &self.connections_given_up,
            ),
            (
                "devid_registry_failures_total",
                "Requests without an answer because the registry failed or took too long.",
                &self.registry_failures,
            ),
            ("devid_challenges_total", "Challenges made.", &self.challenges),
            (
                "devid_devices_registered_total",
                "Devices recorded for their certificate path.",
                &self.devices_registered,
            ),
            ("devid_devices_held_total", "Devices held for approval.", &self.devices_held),
        ] {
            text.family(name, "counter", help);
            text.value(name, counter.load(Relaxed));
        }
        text.family("devid_responses_total", "counter", "Responses by class of status.");
        for (class, counter) in self.responses.iter().enumerate().skip(2) {
            let name = format!("devid_responses_total{{status=\"{class}xx\"}}");
            text.value(&name, counter.load(Relaxed));
        }
        text.family("devid_verdicts_total", "counter", "Verdicts.");
        for (verdict, counter) in [(Verdict::Pass, &self.passed), (Verdict::Fail, &self.failed)] {
            let name = format!("devid_verdicts_total{{verdict=\"{}\"}}", verdict.name());
            text.value(&name, counter.load(Relaxed));
        }
        text.family("devid_failed_checks_total", "counter", "Checks that failed.");
        for (check, counter) in Check::ALL.into_iter().zip(&self.failed_checks) {
            let name = format!("devid_failed_checks_total{{check=\"{}\"}}", check.name());
            text.value(&name, counter.load(Relaxed));
        }
        self.durations(&mut text);
        text.0
    }

    fn durations(&self, text: &mut Text) {
        const NAME: &str = "devid_verify_duration_seconds";
        text.family(NAME, "histogram", "From a token's arrival to its verdict.");
        let mut below = 0;
        for (bound, counter) in BUCKETS.iter().zip(&self.duration_buckets) {
            below += counter.load(Relaxed);
            text.value(&format!("{NAME}_bucket{{le=\"{}\"}}", *bound as f64 / 1e6), below);
        }
        let all = self.passed.load(Relaxed) + self.failed.load(Relaxed);
        text.value(&format!("{NAME}_bucket{{le=\"+Inf\"}}"), all);
        let sum = self.duration_micros.load(Relaxed) as f64 / 1e6;
        text.value(&format!("{NAME}_sum"), sum);
        text.value(&format!("{NAME}_count"), all);
    }
}

pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}

struct Text(String);

impl Text {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}"));
    }

    fn value(&mut self, name: &str, value: impl std::fmt::Display) {
        self.line(format_args!("{name} {value}"));
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _written = writeln!(self.0, "{line}");
    }
}
