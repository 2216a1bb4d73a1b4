// SPDX-License-Identifier: Apache-2.0
//! The PSA functions in C over the simulator, so that the device crates run on the host.
