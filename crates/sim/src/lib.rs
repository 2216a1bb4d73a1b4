// SPDX-License-Identifier: Apache-2.0
//! A device in software: devid-core's platform traits over files, with power cuts on demand.
