// SPDX-License-Identifier: Apache-2.0
//! Declarations of the PSA interfaces of the build at hand.
