// SPDX-License-Identifier: Apache-2.0
//! What devid costs on the device, and that it cannot panic.
//!
//! The archive for C applications is linked alone, with every function of
//! `devid.h` as a root and unused code removed; what PSA and Zephyr provide
//! stays undefined. Whole images are measured by [`crate::twister`].

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use object::{Object, ObjectSection, ObjectSymbol, SectionKind};
use serde::Deserialize;

use crate::tool::{
    DEVICE_TARGET, cargo, command, ensure_device_target, output, root, run, target_dir,
};

/// `budget.toml`.
#[derive(Deserialize)]
pub(crate) struct Budget {
    linked: LinkedBudgets,
    pub(crate) stack: u64,
    pub(crate) image: ImageBudgets,
}

/// Limits of what devid adds to an image.
#[derive(Deserialize)]
pub(crate) struct ImageBudgets {
    pub(crate) whole: MemoryBudget,
    pub(crate) without_updates: MemoryBudget,
}

/// Limits of devid linked alone.
#[derive(Deserialize)]
struct LinkedBudgets {
    api: MemoryBudget,
    shell: MemoryBudget,
    smp: MemoryBudget,
}

/// Limits in bytes.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
pub(crate) struct MemoryBudget {
    pub(crate) flash: u64,
    pub(crate) ram: u64,
}

impl Budget {
    pub(crate) fn read() -> Result<Self> {
        let text = fs::read_to_string(root().join("budget.toml")).context("budget.toml")?;
        toml::from_str(&text).context("budget.toml")
    }
}

/// A feature of the archive, and the function through which Zephyr reaches it.
type Feature = (&'static str, &'static str);

const SHELL: Feature = ("shell", "devid_console_run");
const SMP: Feature = ("smp", "devid_smp_run");

/// Measures and prints; fails over budget, and where panicking code is linked.
pub(crate) fn report() -> Result<()> {
    ensure_device_target()?;
    let budget = Budget::read()?;
    control()?;
    println!("{:24} {:>8} {:>8}   budget", "devid linked alone", "flash", "RAM");
    for (name, features, budget) in [
        ("C API", &[][..], budget.linked.api),
        ("C API and shell", &[SHELL], budget.linked.shell),
        ("C API and SMP", &[SMP], budget.linked.smp),
    ] {
        let measured = Linked::build(features)?;
        println!(
            "{name:24} {:8} {:8}   {}, {}",
            measured.flash, measured.ram, budget.flash, budget.ram
        );
        measured.judge(budget).with_context(|| name.to_owned())?;
    }
    if !crate::twister::report_last()? {
        println!("image and stack: not measured yet, `cargo xtask twister` does that");
    }
    Ok(())
}

/// A library that can panic must be found out, or the search proves nothing.
fn control() -> Result<()> {
    const SOURCE: &str = "#![no_std]\n\
        #[unsafe(no_mangle)] pub extern \"C\" fn devid_init(at: usize) -> u8 { [1, 2, 3][at] }\n\
        #[panic_handler] fn panic(_: &core::panic::PanicInfo<'_>) -> ! { loop {} }\n";
    let dir = target_dir().join("panic-control");
    fs::create_dir_all(&dir)?;
    let (source, archive) = (dir.join("control.rs"), dir.join("libcontrol.a"));
    fs::write(&source, SOURCE)?;
    run(command("rustc", &["--edition=2024", "--crate-type=staticlib", "-Copt-level=z"])
        .args(["-Cpanic=abort", "--target", DEVICE_TARGET, "-o"])
        .arg(&archive)
        .arg(&source))?;
    let image = dir.join("control.elf");
    link(&archive, &image, &[])?;
    if Linked::measure(&image)?.panics.is_empty() {
        bail!("the control, which panics, was not found out");
    }
    Ok(())
}

/// The archive as linked.
struct Linked {
    flash: u64,
    ram: u64,
    panics: Vec<String>,
}

impl Linked {
    /// Fails where code can panic, or takes more flash or RAM than it may.
    fn judge(&self, budget: MemoryBudget) -> Result<()> {
        if !self.panics.is_empty() {
            bail!("device code can panic: {}", self.panics.join(", "));
        }
        for (what, bytes, limit) in
            [("flash", self.flash, budget.flash), ("RAM", self.ram, budget.ram)]
        {
            if bytes > limit {
                bail!("{bytes} B of {what}, {} B over the limit in budget.toml", bytes - limit);
            }
        }
        Ok(())
    }

    fn build(features: &[Feature]) -> Result<Self> {
        let mut build = cargo(&["build", "--package", "devid-archive", "--profile", "device"]);
        build.args(["--target", DEVICE_TARGET, "--quiet"]);
        for (feature, _) in features {
            build.args(["--features", feature]);
        }
        run(&mut build)?;
        let archive = target_dir().join(DEVICE_TARGET).join("device/libdevid_archive.a");
        let image = target_dir().join(DEVICE_TARGET).join("device/devid-linked.elf");
        link(&archive, &image, features)?;
        Self::measure(&image)
    }

    fn measure(image: &Path) -> Result<Self> {
        let bytes = fs::read(image).with_context(|| image.display().to_string())?;
        let elf = object::File::parse(&*bytes)?;
        let mut linked = Self { flash: 0, ram: 0, panics: Vec::new() };
        for section in elf.sections() {
            match section.kind() {
                SectionKind::Text | SectionKind::ReadOnlyData => linked.flash += section.size(),
                SectionKind::Data => {
                    linked.flash += section.size();
                    linked.ram += section.size();
                }
                SectionKind::UninitializedData => linked.ram += section.size(),
                _ => {}
            }
        }
        for symbol in elf.symbols() {
            let name = symbol.name()?;
            if name.contains("panicking") {
                linked.panics.push(name.to_owned());
            } else if is_the_c_librarys(name) {
                linked.flash -= symbol.size();
            }
        }
        Ok(linked)
    }
}

/// memcpy and the like, which an image has from its C library.
fn is_the_c_librarys(symbol: &str) -> bool {
    symbol.contains("compiler_builtins")
        || symbol.starts_with("__aeabi_mem")
        || matches!(symbol, "memcpy" | "memmove" | "memset" | "memcmp" | "bcmp")
}

fn link(archive: &Path, image: &Path, features: &[Feature]) -> Result<()> {
    let mut link = command(linker()?, &["-flavor", "gnu", "--gc-sections", "--entry=devid_init"]);
    link.arg("--unresolved-symbols=ignore-all");
    for function in functions_of_the_header()? {
        link.arg(format!("--undefined={function}"));
    }
    for (_, entry) in features {
        link.arg(format!("--undefined={entry}"));
    }
    run(link.arg("-o").arg(image).arg(archive))
}

/// The linker that comes with the Rust toolchain.
fn linker() -> Result<PathBuf> {
    let sysroot = output(&mut command("rustc", &["--print", "sysroot"]))?;
    let version = output(&mut command("rustc", &["-vV"]))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.context("rustc -vV names no host")?;
    Ok(Path::new(sysroot.trim()).join("lib/rustlib").join(host).join("bin/rust-lld"))
}

fn functions_of_the_header() -> Result<Vec<String>> {
    let header = fs::read_to_string(root().join("include/devid/devid.h"))?;
    let declared = header.lines().filter_map(|line| {
        let name = line.strip_prefix("int ")?.split_once('(')?.0;
        name.starts_with("devid_").then(|| name.to_owned())
    });
    Ok(declared.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_a_byte_of_flash_or_ram_too_many() {
        let budget = MemoryBudget { flash: 100, ram: 10 };
        let judge = |flash, ram| Linked { flash, ram, panics: Vec::new() }.judge(budget);
        assert!(judge(100, 10).is_ok());
        assert!(judge(101, 10).is_err());
        assert!(judge(100, 11).is_err());
    }
}
