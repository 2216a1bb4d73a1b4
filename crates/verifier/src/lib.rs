// SPDX-License-Identifier: Apache-2.0
//! Checks what a device says: tokens, certificate paths, instance ids.
