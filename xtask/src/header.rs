// SPDX-License-Identifier: Apache-2.0
//! `include/devid/devid.h`, made from `src/capi` by cbindgen.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::tool::{command, find, root, run, target_dir};

/// Writes the header.
pub(crate) fn write() -> Result<()> {
    fs::write(path(), generate()?).context("include/devid/devid.h cannot be written")
}

/// Fails where the committed header is not what cbindgen makes.
pub(crate) fn check() -> Result<()> {
    let committed = fs::read(path()).context("include/devid/devid.h cannot be read")?;
    if committed != generate()? {
        bail!("include/devid/devid.h differs from src/capi: run `cargo xtask header`, commit it");
    }
    Ok(())
}

/// Compiles the header alone as C11 and as C++17, warnings denied.
pub(crate) fn compile() -> Result<()> {
    let dir = target_dir().join("header");
    fs::create_dir_all(&dir)?;
    let include = root().join("include");
    for (compiler, standard, file) in [("cc", "c11", "header.c"), ("c++", "c++17", "header.cpp")] {
        if find(compiler).is_none() {
            bail!("the header cannot be compiled as {standard}: there is no `{compiler}` here");
        }
        let source = dir.join(file);
        fs::write(&source, "#include <devid/devid.h>\n#include <devid/devid.h>\n")?;
        run(command(compiler, &["-fsyntax-only", "-Wall", "-Wextra", "-Wpedantic", "-Werror"])
            .arg(format!("-std={standard}"))
            .arg("-I")
            .arg(&include)
            .arg(&source))?;
    }
    Ok(())
}

fn path() -> PathBuf {
    root().join("include/devid/devid.h")
}

fn generate() -> Result<Vec<u8>> {
    let config = cbindgen::Config::from_file(root().join("cbindgen.toml"))
        .map_err(|error| anyhow::anyhow!("cbindgen.toml: {error}"))?;
    let bindings = cbindgen::Builder::new()
        .with_config(config)
        .with_src(root().join("src/capi/mod.rs"))
        .generate()
        .context("cbindgen cannot read src/capi")?;
    let mut header = Vec::new();
    bindings.write(&mut header);
    Ok(header)
}
