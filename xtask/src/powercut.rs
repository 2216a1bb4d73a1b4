// SPDX-License-Identifier: Apache-2.0
//! The explorer of power cuts: `crates/sim/examples/explore`.

use anyhow::Result;

use crate::tool::{cargo, run};

/// Explores; fails where a state is lost.
pub(crate) fn explore() -> Result<()> {
    run(&mut cargo(&["run", "--release", "--quiet", "--package=devid-sim", "--example=explore"]))
}
