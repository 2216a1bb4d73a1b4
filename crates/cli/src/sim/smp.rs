// SPDX-License-Identifier: Apache-2.0
//! `devid sim --smp`: what mcumgr's server is to the device, over UDP.

use std::io;
use std::net::{SocketAddr, UdpSocket};

use devid_console::smp::{Config, Packet, Smp};
use devid_core::device::{Device, scratch_len};
use devid_core::layout::STANDARD;
use devid_sim::Sim;

use super::RULES;
use crate::Exit;

/// The group's id that Kconfig's default gives.
const GROUP: u16 = 25701;

/// Longest datagram, as samples/smp has it.
const MTU: usize = 1024;

/// Length of a packet's header: operation and version, flags, length (2),
/// group (2), sequence, command.
const HEADER_LEN: usize = 8;

const READ: u8 = 0;
const WRITE: u8 = 2;

/// mcumgr's `MGMT_ERR_ENOTSUP`.
const ENOTSUP: u8 = 8;

/// Answers requests until the process is ended.
pub(super) fn serve(device: &mut Device<'_, Sim>, address: SocketAddr) -> io::Result<Exit> {
    let socket = UdpSocket::bind(address)?;
    eprintln!("SMP at udp:{}, group {GROUP}", socket.local_addr()?);
    let mut buffer = vec![0; scratch_len(&STANDARD)];
    let mut smp = Smp::new(Config { group: GROUP, rules: RULES }, &mut buffer);
    let mut request = [0; MTU];
    loop {
        let (len, client) = socket.recv_from(&mut request)?;
        if let Some(response) = answer(&mut smp, device, &request[..len]) {
            // A client that is gone does not end the service.
            let _ = socket.send_to(&response, client);
        }
    }
}

/// The response to a packet; none to what is no request.
fn answer(smp: &mut Smp<'_>, device: &mut Device<'_, Sim>, packet: &[u8]) -> Option<Vec<u8>> {
    let (header, payload) = packet.split_first_chunk::<HEADER_LEN>()?;
    let [first, _, len_high, len_low, group_high, group_low, sequence, command] = *header;
    let payload = payload.get(..u16::from_be_bytes([len_high, len_low]).into())?;
    let (operation, version) = (first & 0x7, (first >> 3) & 0x3);
    if operation != READ && operation != WRITE {
        return None;
    }
    let mut out = [0; MTU - HEADER_LEN];
    let answered = match u16::from_be_bytes([group_high, group_low]) {
        GROUP => {
            let packet = Packet { version, write: operation == WRITE, command, payload };
            smp.run(Ok(device), &packet, &mut out)
        }
        _ => Err(ENOTSUP),
    };
    let response = match answered {
        Ok(len) => out[..len].to_vec(),
        // {"rc": code}, codes being less than 24.
        Err(code) => vec![0xa1, 0x62, b'r', b'c', code],
    };
    let [len_high, len_low] = u16::try_from(response.len()).ok()?.to_be_bytes();
    let header = [first + 1, 0, len_high, len_low, group_high, group_low, sequence, command];
    Some([&header[..], &response].concat())
}
