// SPDX-License-Identifier: Apache-2.0
//! Safe wrappers over the PSA interfaces that implement devid-core's platform traits.
