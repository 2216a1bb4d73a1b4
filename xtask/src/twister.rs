// SPDX-License-Identifier: Apache-2.0
//! Twister in a Zephyr workspace: the device tests where they count.

use std::collections::BTreeMap;
use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::size::{Budget, MemoryBudget};
use crate::tool::{
    cargo, command, ensure_device_target, find, root, run as run_command, target_dir,
};

/// Platforms whose tests run here, and platforms that are built alone.
const RUN: [&str; 2] = ["mps2/an521/cpu0/ns", "native_sim/native/64"];
const BUILD: [&str; 2] = ["nrf5340dk/nrf5340/cpuapp/ns", "nrf9160dk/nrf9160/ns"];

/// What devid costs is the difference of each of the first two to the third.
const WHOLE: &str = "sample.devid.minimal.tfm";
const WITHOUT_UPDATES: &str = "sample.devid.minimal.without_updates";
const WITHOUT_DEVID: &str = "sample.devid.minimal.without_devid";

/// A configuration that must end with a sentence.
struct Refused {
    application: &'static str,
    board: &'static str,
    /// What CMake is given.
    options: &'static [&'static str],
    environment: Option<(&'static str, &'static str)>,
    /// What the sentence names.
    told: &'static str,
}

const fn refused(
    board: &'static str,
    options: &'static [&'static str],
    told: &'static str,
) -> Refused {
    Refused { application: "samples/minimal", board, options, environment: None, told }
}

/// The arithmetic is cmake/storage.cmake's, and cmake/layout.cmake's.
const REFUSED: [Refused; 19] = [
    // Storage that does not suffice once an option is set.
    refused(
        RUN[0],
        &["CONFIG_DEVID_CHAIN_MAX_LEN=960"],
        "CONFIG_DEVID_CHAIN_MAX_LEN from 960 to 912",
    ),
    refused(
        RUN[0],
        &["CONFIG_DEVID_OPERATIONAL_IDENTITIES=3"],
        "CONFIG_DEVID_TFM_PS_SIZE from 0x5000 to 0x7000",
    ),
    refused(
        RUN[1],
        &["CONFIG_DEVID_CHAIN_MAX_LEN=1536"],
        "CONFIG_DEVID_CHAIN_MAX_LEN from 1536 to 864",
    ),
    refused(
        RUN[1],
        &["CONFIG_SECURE_STORAGE_ITS_MAX_DATA_SIZE=128"],
        "CONFIG_SECURE_STORAGE_ITS_MAX_DATA_SIZE from 128 to 916",
    ),
    // Blocks so small that no area suffices: the search for one ends.
    refused(
        RUN[0],
        &["CONFIG_DEVID_CHAIN_MAX_LEN=1900", "CONFIG_DEVID_TFM_BLOCK_SIZE=0x800"],
        "lower CONFIG_DEVID_CHAIN_MAX_LEN from 1900 to 848.",
    ),
    refused("qemu_x86", &[], "does not fit a sector of the settings, of 1024 bytes"),
    // Slots.
    refused(
        RUN[1],
        &["CONFIG_DEVID_ASSET_MAX_LEN=512", "CONFIG_DEVID_CHAIN_MAX_LEN=4096"],
        "raise CONFIG_DEVID_ASSET_MAX_LEN from 512 to 519",
    ),
    refused(
        RUN[1],
        &["CONFIG_DEVID_DATA1_NAME=\"serial\""],
        "CONFIG_DEVID_DATA1_NAME=\"serial\" is the name of another data slot",
    ),
    refused(
        RUN[1],
        &["CONFIG_DEVID_DATA1_NAME=\"anchor3\""],
        "CONFIG_DEVID_DATA1_NAME=\"anchor3\" is the name of one of devid's own slots",
    ),
    refused(
        RUN[1],
        &["CONFIG_DEVID_DATA1_NAME=\"twenty-four-characters--\""],
        "CONFIG_DEVID_DATA1_NAME=\"twenty-four-characters--\" is not a slot's name",
    ),
    refused(
        RUN[1],
        &["CONFIG_DEVID_DATA1_NAME=\"Endpoint\""],
        "CONFIG_DEVID_DATA1_NAME=\"Endpoint\" is not a slot's name",
    ),
    refused(
        RUN[1],
        &[
            "CONFIG_DEVID_DATA_SLOTS=8",
            "CONFIG_DEVID_ANCHORS=4",
            "CONFIG_DEVID_OPERATIONAL_IDENTITIES=3",
        ],
        "Kconfig asks for 17 slots and devid has at most 16",
    ),
    refused(
        RUN[1],
        &["CONFIG_DEVID_GROUP=\"a-group-of-devices-in-33-bytes---\""],
        "CONFIG_DEVID_GROUP has 33 bytes",
    ),
    // TF-M, or what stands in for it.
    refused(RUN[0], &["CONFIG_BUILD_WITH_TFM=n"], "set CONFIG_BUILD_WITH_TFM=y"),
    refused(
        RUN[0],
        &["CONFIG_TFM_PROFILE_TYPE_SMALL=y"],
        "asymmetric keys, which TF-M's profile small has not",
    ),
    Refused {
        application: "tests/out_of_tree",
        ..refused(
            RUN[0],
            &["GIVE_HEADER_TO_TFM=y"],
            "name that header by CONFIG_DEVID_TFM_CONFIG_HEADER",
        )
    },
    refused(
        RUN[0],
        &["CONFIG_DEVID_TFM_CONFIG_HEADER=\"nowhere.h\""],
        "nowhere.h, which does not exist",
    ),
    refused(
        RUN[1],
        &["CONFIG_SECURE_STORAGE_ITS_STORE_IMPLEMENTATION_NONE=y"],
        "devid needs a store behind the secure storage subsystem",
    ),
    // The host's programs.
    Refused {
        environment: Some(("LIBCLANG_PATH", "/nowhere")),
        ..refused(RUN[1], &[], "devid needs libclang")
    },
];

/// A Zephyr workspace.
pub(crate) struct Workspace {
    base: PathBuf,
}

impl Workspace {
    /// `ZEPHYR_BASE`, or Zephyr's own default place.
    pub(crate) fn find() -> Option<Self> {
        let named = env::var_os("ZEPHYR_BASE").map(PathBuf::from);
        let default = || Some(PathBuf::from(env::var_os("HOME")?).join("zephyrproject/zephyr"));
        let base = named.or_else(default)?;
        base.join("scripts/twister").is_file().then_some(Self { base })
    }

    pub(crate) fn base(&self) -> &Path {
        &self.base
    }

    /// The PATH with the workspace's virtual environment first, where it has
    /// one at the place that Zephyr's guide gives it.
    fn path(&self) -> OsString {
        let venv = self.base.parent().map(|top| top.join(".venv/bin")).filter(|bin| bin.is_dir());
        let path = env::var_os("PATH").unwrap_or_default();
        env::join_paths(venv.into_iter().chain(env::split_paths(&path))).unwrap_or(path)
    }

    /// A program of the workspace's, with the compilers that are here.
    fn command(&self, program: impl AsRef<OsStr>, args: &[&str]) -> Command {
        let mut command = command(program, args);
        command.env("PATH", self.path()).env("ZEPHYR_BASE", &self.base);
        if env::var_os("ZEPHYR_TOOLCHAIN_VARIANT").is_none()
            && let Some(prefix) =
                find("arm-none-eabi-gcc").as_deref().and_then(Path::ancestor_prefix)
        {
            command
                .env("ZEPHYR_TOOLCHAIN_VARIANT", "gnuarmemb")
                .env("GNUARMEMB_TOOLCHAIN_PATH", prefix);
        }
        // Zephyr finds ccache by itself; this is for TF-M's own build.
        if find("ccache").is_some() && env::var_os("CMAKE_C_COMPILER_LAUNCHER").is_none() {
            command.env("CMAKE_C_COMPILER_LAUNCHER", "ccache");
            command.env("CCACHE_BASEDIR", "/").env("CCACHE_NOHASHDIR", "1");
        }
        command
    }
}

/// What Twister executed.
#[derive(Default)]
pub(crate) struct Outcome {
    /// Per platform: configurations run and passed, configurations built.
    platforms: BTreeMap<String, (usize, usize)>,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Twister:")?;
        for (place, (platform, (run, built))) in self.platforms.iter().enumerate() {
            let comma = if place == 0 { "" } else { ";" };
            write!(f, "{comma} {platform}: {run} run and passed, {built} built alone")?;
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct Report {
    testsuites: Vec<Suite>,
}

#[derive(Deserialize)]
struct Suite {
    name: String,
    platform: String,
    status: String,
    #[serde(default)]
    runnable: bool,
    used_rom: Option<u64>,
    used_ram: Option<u64>,
}

impl Report {
    fn read(out: &Path) -> Result<Self> {
        let path = out.join("twister.json");
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        serde_json::from_str(&text).with_context(|| path.display().to_string())
    }

    /// Prints what the suites told and measured, and holds it to the budget.
    /// False where the image's price was not measured.
    fn print(&self, out: &Path) -> Result<bool> {
        let budget = Budget::read()?;
        report_told(out, budget.stack)?;
        Ok(self.print_price(WHOLE, &budget.image.whole)?
            && self.print_price(WITHOUT_UPDATES, &budget.image.without_updates)?)
    }

    /// A minimal image with devid less the same image without it.
    fn print_price(&self, scenario: &str, budget: &MemoryBudget) -> Result<bool> {
        let size = |scenario: &str| {
            let suites = &mut self.testsuites.iter();
            let suite = suites.find(|suite| {
                suite.platform == RUN[0] && suite.name.rsplit('/').next() == Some(scenario)
            })?;
            Some((suite.used_rom?, suite.used_ram?))
        };
        let (Some(with), Some(without)) = (size(scenario), size(WITHOUT_DEVID)) else {
            return Ok(false);
        };
        let (flash, ram) = (with.0.saturating_sub(without.0), with.1.saturating_sub(without.1));
        println!(
            "devid in {scenario} on {}: flash {flash} B (budget {}), RAM {ram} B (budget {})",
            RUN[0], budget.flash, budget.ram
        );
        if flash > budget.flash || ram > budget.ram {
            bail!("{scenario}: devid is over the budget of budget.toml");
        }
        Ok(true)
    }
}

impl Suite {
    /// The platform without the board's revision, which Twister adds.
    fn board(&self) -> String {
        match (self.platform.split_once('@'), self.platform.split_once('/')) {
            (Some((board, _)), Some((_, qualifiers))) => format!("{board}/{qualifiers}"),
            _ => self.platform.clone(),
        }
    }
}

/// Runs Twister in the workspace found.
pub(crate) fn run(only: Option<&str>) -> Result<()> {
    let workspace = Workspace::find()
        .context("no Zephyr workspace: set ZEPHYR_BASE, or lay one out in ~/zephyrproject")?;
    let outcome = run_in(&workspace, only)?;
    println!("{outcome}");
    Ok(())
}

/// Runs Twister over `tests` and `samples`, or over one folder.
pub(crate) fn run_in(workspace: &Workspace, only: Option<&str>) -> Result<Outcome> {
    ensure_device_target()?;
    // The other side of the samples' sessions.
    run_command(&mut cargo(&["build", "--quiet", "--package=devid-cli"]))?;
    let out = target_dir().join("twister");
    let mut twister =
        workspace.command("python3", &[&*workspace.base.join("scripts/twister").to_string_lossy()]);
    twister.env("DEVID", target_dir().join("debug/devid"));
    for folder in only.map_or(vec!["tests", "samples"], |folder| vec![folder]) {
        twister.arg("--testsuite-root").arg(root().join(folder));
    }
    for platform in RUN.iter().chain(&BUILD) {
        twister.args(["--platform", platform]);
    }
    twister.arg("--enable-size-report").arg("--outdir").arg(&out).arg("--clobber-output");
    twister.arg(format!("--extra-args={}", extra_module()));
    run_command(&mut twister).with_context(|| format!("the logs are in {}", out.display()))?;

    let report = Report::read(&out)?;
    let outcome = Outcome::of(&report)?;
    let is_priced = report.print(&out)?;
    if only.is_none() {
        outcome.is_whole()?;
        if !is_priced {
            bail!("Twister did not measure what devid costs");
        }
    }
    if only.is_none_or(|folder| folder == "tests/storage") {
        check_refusals(workspace)?;
    }
    Ok(outcome)
}

fn extra_module() -> String {
    format!("EXTRA_ZEPHYR_MODULES={}", root().display())
}

/// Twister knows no build that must fail, so these are configured here.
fn check_refusals(workspace: &Workspace) -> Result<()> {
    for refused in &REFUSED {
        let out = target_dir().join("refused");
        let mut cmake = workspace.command("cmake", &["-GNinja", "-S", refused.application, "-B"]);
        cmake.arg(&out).arg(format!("-DBOARD={}", refused.board));
        cmake.args(refused.options.iter().map(|option| format!("-D{option}")));
        cmake.envs(refused.environment).arg(format!("-D{}", extra_module()));
        let output = cmake.output()?;
        fs::remove_dir_all(&out)?;
        // CMake breaks its lines where it likes.
        let told = String::from_utf8_lossy(&output.stderr);
        let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
        if output.status.success() || !told.contains(refused.told) {
            let (board, options) = (refused.board, refused.options);
            bail!("{board} with {options:?} was not refused by \"{}\": {told}", refused.told);
        }
    }
    println!("refused as they must be: {} configurations", REFUSED.len());
    Ok(())
}

/// Prints what Twister measured when it last ran here; false if it never did.
pub(crate) fn report_last() -> Result<bool> {
    let out = target_dir().join("twister");
    if !out.join("twister.json").is_file() {
        return Ok(false);
    }
    println!("as Twister measured when it last ran here:");
    Report::read(&out)?.print(&out)?;
    Ok(true)
}

trait AncestorPrefix {
    /// `/usr` of `/usr/bin/arm-none-eabi-gcc`.
    fn ancestor_prefix(&self) -> Option<&Path>;
}

impl AncestorPrefix for Path {
    fn ancestor_prefix(&self) -> Option<&Path> {
        self.parent()?.parent()
    }
}

impl Outcome {
    fn of(report: &Report) -> Result<Self> {
        let mut outcome = Self::default();
        for suite in &report.testsuites {
            let counts = outcome.platforms.entry(suite.board()).or_default();
            match suite.status.as_str() {
                "passed" if suite.runnable => counts.0 += 1,
                "passed" | "not run" => counts.1 += 1,
                "filtered" => {}
                // The machine lacks what the suite needs: its tests say what.
                "skipped" => println!("SKIPPED: {} on {}", suite.name, suite.platform),
                other => bail!("{} on {}: {other}", suite.name, suite.platform),
            }
        }
        Ok(outcome)
    }

    /// Twister is content when everything was filtered out. We are not.
    fn is_whole(&self) -> Result<()> {
        let count = |platform: &str| self.platforms.get(platform).copied().unwrap_or_default();
        if let Some(platform) = RUN.iter().find(|platform| count(platform).0 == 0) {
            bail!("Twister ran nothing on {platform}");
        }
        if let Some(platform) = BUILD.iter().find(|platform| count(platform).1 == 0) {
            bail!("Twister built nothing for {platform}");
        }
        Ok(())
    }
}

/// Prints what the suites told of the contract's cases and of the stack. Every
/// run of the contract must have held all cases of the table.
fn report_told(out: &Path, stack_budget: u64) -> Result<()> {
    let table = fs::read_to_string(root().join("tests/contract/src/cases.inc"))?;
    let cases = table.matches("\nCASE(").count();
    let all = format!("contract: {cases} of {cases} cases hold");
    for (suite, log) in handler_logs(out)? {
        for line in log.lines().map(str::trim) {
            let is_contract = line.starts_with("contract: ");
            if is_contract && line != all {
                bail!("{suite}: {line}, the table has {cases}");
            }
            let deepest = line.strip_prefix("STACK-DEEPEST: ");
            if is_contract || deepest.is_some() {
                println!("{suite}: {line}");
            }
            let deepest = deepest.and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
            if deepest.is_some_and(|deepest| deepest > stack_budget) {
                bail!("{suite}: over the stack budget of {stack_budget}");
            }
        }
    }
    Ok(())
}

/// What each suite printed: `<out>/<platform>/<toolchain>/.../handler.log`.
fn handler_logs(out: &Path) -> Result<Vec<(String, String)>> {
    let mut logs = Vec::new();
    let mut folders = vec![out.to_owned()];
    // Suites lie at most so deep; their builds are not searched further.
    for _ in 0..5 {
        let mut below = Vec::new();
        for folder in folders {
            match fs::read(folder.join("handler.log")) {
                Ok(log) => {
                    let suite = folder.strip_prefix(out)?.display().to_string();
                    logs.push((suite, String::from_utf8_lossy(&log).into_owned()));
                }
                Err(_) => {
                    for entry in fs::read_dir(&folder)? {
                        below.push(entry?.path());
                    }
                }
            }
        }
        folders = below;
        folders.retain(|path| path.is_dir());
    }
    logs.sort();
    Ok(logs)
}
