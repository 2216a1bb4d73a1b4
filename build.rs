// SPDX-License-Identifier: Apache-2.0
//! Turns the Kconfig choices of the build at hand into the device's layout.
//!
//! `DOTCONFIG` names Zephyr's `.config`; without it the defaults of `Kconfig`
//! stand, which are `devid_core::layout::STANDARD`. `DEVID_BUILT` says when the
//! firmware was built, in seconds since 1970.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=DOTCONFIG");
    println!("cargo::rerun-if-env-changed=DEVID_BUILT");
    let config = match env::var_os("DOTCONFIG") {
        Some(path) => {
            println!("cargo::rerun-if-changed={}", path.display());
            let text = fs::read_to_string(&path)
                .unwrap_or_else(|error| panic!("DOTCONFIG {}: {error}", path.display()));
            Config::parse(&text)
        }
        None => Config::default(),
    };
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    fs::write(out.join("kconfig.rs"), config.layout()).expect("OUT_DIR is writable");
}

/// The `CONFIG_` lines of a `.config`; empty for the defaults.
#[derive(Default)]
struct Config(BTreeMap<String, String>);

impl Config {
    fn parse(text: &str) -> Self {
        let lines = text.lines().filter_map(|line| line.strip_prefix("CONFIG_")?.split_once('='));
        Self(lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    fn number(&self, name: &str, default: u32) -> u32 {
        let Some(value) = self.0.get(name) else { return default };
        let parsed = match value.strip_prefix("0x") {
            Some(hex) => u32::from_str_radix(hex, 16),
            None => value.parse(),
        };
        parsed.unwrap_or_else(|_| panic!("CONFIG_{name}={value} is not a number"))
    }

    /// A bool that is off is a comment in `.config`, so a default of `y` holds
    /// only where there is no configuration at all.
    fn flag(&self, name: &str, default: bool) -> bool {
        self.0.get(name).map_or(default && self.0.is_empty(), |value| value == "y")
    }

    fn text(&self, name: &str, default: &str) -> String {
        self.0.get(name).map_or(default, |value| value.trim_matches('"')).to_owned()
    }

    fn anchor_purpose(&self, n: u32) -> &'static str {
        if !self.flag("DEVID_UPDATES", true) {
            // Nobody commands the device.
            "Tls"
        } else if self.flag(&format!("DEVID_ANCHOR{n}_BOTH"), false) {
            "Both"
        } else if self.flag(&format!("DEVID_ANCHOR{n}_TLS"), false) {
            "Tls"
        } else {
            "Commands"
        }
    }

    fn layout(&self) -> String {
        let chain = self.number("DEVID_CHAIN_MAX_LEN", 1536);
        let mut slots = String::new();
        let mut slot =
            |id: u32, name: &str, kind: &str, operational: bool, secret: bool, max: u32| {
                let (kind, purpose) = kind.split_once(' ').unwrap_or((kind, "Commands"));
                let policy = if operational { "Operational" } else { "Factory" };
                writeln!(
                    slots,
                    "slot({id:#04x}, {name:?}, Kind::{kind}, Policy::{policy}, {secret}, {max})\
                     .purpose(Purpose::{purpose}),"
                )
                .expect("a string takes it");
            };

        slot(0x00, "idevid", "Identity", false, false, chain);
        for n in 0..self.number("DEVID_OPERATIONAL_IDENTITIES", 1) {
            slot(0x01 + n, &format!("ldevid{n}"), "Identity", true, false, chain);
        }
        if self.flag("DEVID_IAK_CHAIN", true) {
            slot(0x10, "iak", "Chain", false, false, chain);
        }
        for n in 0..self.number("DEVID_ANCHORS", 2) {
            let max = self.number("DEVID_ANCHOR_MAX_LEN", 768);
            slot(
                0x20 + n,
                &format!("anchor{n}"),
                &format!("Anchor {}", self.anchor_purpose(n)),
                false,
                false,
                max,
            );
        }
        let defaults = [("serial", 64, false), ("endpoint", 256, false), ("secret", 256, true)];
        for n in 0..self.number("DEVID_DATA_SLOTS", 3) {
            let numbered = format!("data{n}");
            let (name, max, secret) =
                defaults.get(n as usize).copied().unwrap_or((&numbered, 256, false));
            slot(
                0x30 + n,
                &self.text(&format!("DEVID_DATA{n}_NAME"), name),
                "Data",
                self.flag(&format!("DEVID_DATA{n}_OPERATIONAL"), n != 0),
                self.flag(&format!("DEVID_DATA{n}_SECRET"), secret),
                self.number(&format!("DEVID_DATA{n}_MAX_LEN"), max),
            );
        }

        let storage = if self.flag("DEVID_STORAGE_ITS", false) { "Its" } else { "Ps" };
        // The state is kept in both services where there are both.
        let second_copy = if self.flag("DEVID_HAS_PS", true) { "Ps" } else { "Its" };
        let asset_base = self.number("DEVID_STORAGE_ID_BASE", 0x2c00_4000);
        let key_base = self.number("DEVID_KEY_ID_BASE", 0x3000_4000);
        let group = self.text("DEVID_GROUP", "");
        let built = env::var("DEVID_BUILT").map_or(1_790_000_000, |text| {
            text.parse::<i64>().unwrap_or_else(|_| panic!("DEVID_BUILT={text} is not a time"))
        });
        let time_bound = self.number("DEVID_TIME_BOUND_DAYS", 730) * 86_400;
        let smp_group = self.number("DEVID_SMP_GROUP_ID", 0x6465);
        let console = self.flag("DEVID_SHELL_OPERATIONAL", true);
        let peer = self.flag("DEVID_SMP_OPERATIONAL", false);
        format!(
            "/// The slots that Kconfig chose.\n\
             pub const LAYOUT: Layout<'static> = Layout {{\n\
             slots: &[\n{slots}],\n\
             storage: Service::{storage},\n\
             state: [Service::Its, Service::{second_copy}],\n\
             asset_base: {asset_base:#x},\n\
             key_base: {key_base:#x},\n\
             group: {group:?},\n\
             built: UnixTime({built}),\n\
             time_bound: {time_bound},\n}};\n\
             /// Id of the group of mcumgr commands.\n\
             pub const SMP_GROUP: u16 = {smp_group};\n\
             /// Whether a console changes what is operational on a locked device.\n\
             pub const SHELL_OPERATIONAL: bool = {console};\n\
             /// Whether a peer does.\n\
             pub const SMP_OPERATIONAL: bool = {peer};\n"
        )
    }
}
