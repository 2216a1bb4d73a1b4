// SPDX-License-Identifier: Apache-2.0
//! `devid serve`: the verification service.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use devid_service::{Config, Limits, Service, Signer, TlsConfig, Unknown, serve};
use devid_verifier::ear::Names;
use devid_verifier::{TrustAnchors, UnixTime};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::anchors::{AnchorArgs, load};
use crate::appraisal::{AppraisalArgs, Known};
use crate::input::printable;
use crate::{Exit, wrong_usage};

/// Verify tokens as a service over HTTP
///
/// Prints the address that it listens at, then logs to standard error, one JSON
/// object a line. SIGTERM or Ctrl-C ends it when the requests in flight are
/// answered.
#[derive(clap::Args)]
#[command(after_help = "\
Environment:
  RUST_LOG  what is logged: a level (off, error, warn, info, debug, trace), or levels
            of modules, as in warn,devid_service=debug [default: info]

Exit status:
  0  it was told to stop
  1  the address or the registry cannot be used
  2  wrong usage
  3  a file could not be read")]
pub(crate) struct Args {
    /// Address and port to listen at; port 0 for any that is free
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,

    #[command(flatten)]
    registry: super::registry::File,

    #[command(flatten)]
    anchors: AnchorArgs,

    #[command(flatten)]
    appraisal: AppraisalArgs,

    /// P-256 private key that results are signed with: PEM
    #[arg(long, value_name = "FILE")]
    signing_key: Option<PathBuf>,

    /// How long signed results may be used, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
    result_lifetime: u64,

    /// Use Project Veraison's names in signed results, not the draft's
    #[arg(long)]
    veraison_names: bool,

    /// Certificate chain for TLS: PEM
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_chain: Option<PathBuf>,

    /// Private key for TLS: PEM
    #[arg(long, value_name = "FILE", requires = "tls_chain")]
    tls_key: Option<PathBuf>,

    /// How long a challenge can be answered, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    challenge_lifetime: u64,

    /// Hold unknown devices for `devid registry approve`; the policy can say so too
    #[arg(long)]
    hold_unknown: bool,

    /// Most devices that are held at once
    #[arg(long, value_name = "NUMBER", default_value_t = 1000)]
    max_pending: u32,

    /// Let keys through that everybody has
    #[arg(long)]
    allow_development_key: bool,

    /// Longest request body, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = Limits::default().body_len)]
    max_body: usize,

    /// Most connections at once; for another one, the peer that has most loses one
    /// that waits for its client
    #[arg(long, value_name = "NUMBER", default_value_t = Limits::default().connections)]
    max_connections: usize,

    /// How long a client may take for a part of a request, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = Limits::default().patience.as_secs())]
    patience: u64,
}

/// Serves until it is told to stop.
pub(crate) fn run(args: &Args) -> io::Result<Exit> {
    let material = match Material::read(args) {
        Ok(material) => material,
        Err(error) => {
            eprintln!("devid: {error}");
            return Ok(Exit::Unreadable);
        }
    };
    init_log(log_filter());
    Runtime::new()?.block_on(async {
        match run_service(args, material).await {
            Ok(()) => Ok(Exit::Success),
            Err(error) => {
                eprintln!("devid: {error}");
                Ok(Exit::Failure)
            }
        }
    })
}

async fn run_service(args: &Args, material: Material) -> Result<(), String> {
    // Where files may not grow beyond a limit, a write is an error like that of a
    // full disk then, and not our end.
    let _writes_fail =
        signal(SignalKind::from_raw(libc::SIGXFSZ)).map_err(|error| error.to_string())?;
    let registry = args.registry.open().await?;
    let Material { anchors, known: Known { policy, endorsements, lifecycles }, signer, tls } =
        material;
    let hold =
        args.hold_unknown || policy.as_ref().is_some_and(|policy| policy.registration.hold_unknown);
    let config = Config {
        registry,
        anchors,
        policy,
        endorsements: Some(endorsements),
        lifecycles,
        allow_development_key: args.allow_development_key,
        unknown: match hold {
            true => Unknown::Hold { max_pending: args.max_pending },
            false => Unknown::Refuse,
        },
        challenge_lifetime: Duration::from_secs(args.challenge_lifetime),
        signer,
        result_lifetime: Duration::from_secs(args.result_lifetime),
        ear_names: if args.veraison_names { Names::Veraison } else { Names::Draft },
        limits: Limits {
            body_len: args.max_body,
            patience: Duration::from_secs(args.patience),
            connections: args.max_connections,
            ..Limits::default()
        },
    };
    let service = Service::new(config).await.map_err(|error| error.to_string())?;
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    let listening = async {
        let listener = TcpListener::bind(args.listen).await?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let mut out = io::stdout().lock();
        writeln!(out, "{scheme}://{}", listener.local_addr()?)?;
        out.flush()?;
        Ok(listener)
    };
    let listener =
        listening.await.map_err(|error: io::Error| format!("{}: {error}", args.listen))?;
    tracing::info!(address = %args.listen, tls = tls.is_some(), "serving");
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            // Without a handler for Ctrl-C it ends us by itself.
            Ok(()) = tokio::signal::ctrl_c() => {}
        }
    };
    serve(listener, tls, Arc::clone(&service), stop).await;
    Ok(())
}

/// What the files say.
struct Material {
    anchors: TrustAnchors,
    known: Known,
    signer: Option<Signer>,
    tls: Option<TlsConfig>,
}

impl Material {
    fn read(args: &Args) -> Result<Self, String> {
        let signer = args.signing_key.as_deref();
        let tls = match (&args.tls_chain, &args.tls_key) {
            (Some(chain), Some(key)) => {
                let chain = load(chain, |chain| Ok::<_, String>(chain.to_vec()))?;
                Some(load(key, |key| TlsConfig::from_pem(&chain, key))?)
            }
            _ => None,
        };
        Ok(Self {
            anchors: args.anchors.read()?,
            known: args.appraisal.read(UnixTime::now())?,
            signer: signer.map(|path| load(path, Signer::from_pem)).transpose()?,
            tls,
        })
    }
}

/// What RUST_LOG asks for.
fn log_filter() -> Targets {
    let info = || Targets::new().with_default(LevelFilter::INFO);
    let Some(text) = std::env::var_os("RUST_LOG").filter(|text| !text.is_empty()) else {
        return info();
    };
    text.to_str().and_then(parse_filter).unwrap_or_else(|| {
        let text = printable(&text.to_string_lossy());
        wrong_usage(&format!("RUST_LOG is {text:?}, not a level or MODULE=LEVEL,..."))
    })
}

fn parse_filter(text: &str) -> Option<Targets> {
    let parts: Vec<_> = text.split(',').map(str::trim).collect();
    // A word that is no level would turn everything else off.
    let is_level = |part: &str| !part.is_empty() && part.parse::<LevelFilter>().is_ok();
    let is_directive = |part: &&str| part.contains('=') || is_level(part);
    parts.iter().all(is_directive).then(|| parts.join(",").parse().ok())?
}

fn init_log(filter: Targets) {
    let lines = tracing_subscriber::fmt::layer().json().with_writer(io::stderr);
    tracing_subscriber::registry().with(lines.with_filter(filter)).init();
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn takes_levels_alone_and_of_modules() {
        for (text, service, others) in [
            ("debug", LevelFilter::DEBUG, LevelFilter::DEBUG),
            ("WARN", LevelFilter::WARN, LevelFilter::WARN),
            ("off", LevelFilter::OFF, LevelFilter::OFF),
            ("devid_service=debug", LevelFilter::DEBUG, LevelFilter::OFF),
            ("warn, devid_service=trace", LevelFilter::TRACE, LevelFilter::WARN),
        ] {
            let filter = parse_filter(text).expect(text);
            for (target, most) in [("devid_service::workflow", service), ("hyper", others)] {
                for level in [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE] {
                    let expected = level <= most;
                    assert_eq!(filter.would_enable(target, &level), expected, "{text} {target}");
                }
            }
        }
        for text in ["verbose", "debug,", "devid_service=loud", "info;warn"] {
            assert!(parse_filter(text).is_none(), "{text}");
        }
    }
}
