// SPDX-License-Identifier: Apache-2.0
//! The static library for C applications: panic handler and re-export, nothing else.
