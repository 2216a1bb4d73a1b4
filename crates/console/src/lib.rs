// SPDX-License-Identifier: Apache-2.0
//! The device's commands, one parser and handler set for the Zephyr shell and the simulator.
