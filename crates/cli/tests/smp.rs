// SPDX-License-Identifier: Apache-2.0
//! The group of mcumgr commands, reached by the crate `mcumgr-toolkit`: of
//! `devid sim --smp`, and of the device that `DEVID_SMP_UDP` (address and port)
//! or `DEVID_SMP_SERIAL` (a serial port) names; `samples/smp` sets them.

use std::env;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use ciborium::cbor;
use ciborium::value::Value;
use mcumgr_toolkit::MCUmgrClient;
use mcumgr_toolkit::client::MCUmgrClientError;
use mcumgr_toolkit::commands::McuMgrCommand;
use mcumgr_toolkit::connection::ExecuteError;
use mcumgr_toolkit::smp_errors::DeviceError;
use p256::pkcs8::DecodePublicKey;

const GROUP: u16 = 25701;
const TIMEOUT: Duration = Duration::from_secs(20);

const SLOTS: u8 = 1;
const VALUE: u8 = 3;
const KEY: u8 = 5;
const CSR: u8 = 6;
const LOAD: u8 = 22;
const RESULT: u8 = 24;

/// A command of the group.
struct Ask {
    write: bool,
    id: u8,
    data: Value,
}

impl McuMgrCommand for Ask {
    type Payload = Value;
    type Response = Value;

    fn is_write_operation(&self) -> bool {
        self.write
    }

    fn group_id(&self) -> u16 {
        GROUP
    }

    fn command_id(&self) -> u8 {
        self.id
    }

    fn data(&self) -> &Value {
        &self.data
    }
}

struct Client(MCUmgrClient);

impl Client {
    fn ask(&self, write: bool, id: u8, data: Value) -> Result<Value, (u16, i32)> {
        match self.0.raw_command(&Ask { write, id, data }) {
            Ok(response) => Ok(response),
            Err(MCUmgrClientError::ExecuteError(ExecuteError::ErrorResponse(
                DeviceError::V2 { group, rc },
            ))) => Err((group, rc)),
            Err(error) => panic!("command {id}: {error}"),
        }
    }

    fn read(&self, id: u8, data: Value) -> Value {
        self.ask(false, id, data).unwrap()
    }

    fn write(&self, id: u8, data: Value) -> Value {
        self.ask(true, id, data).unwrap()
    }

    /// A long value's other pieces.
    fn rest(&self, first: &Value) -> Vec<u8> {
        let len = usize::try_from(get(first, "len").as_integer().unwrap()).unwrap();
        let mut value = get(first, "data").as_bytes().unwrap().clone();
        while value.len() < len {
            let sha = get(first, "sha").clone();
            let piece = self.read(RESULT, cbor!({ "sha" => sha, "off" => value.len() }).unwrap());
            value.extend(get(&piece, "data").as_bytes().unwrap());
        }
        value
    }
}

fn get<'v>(map: &'v Value, key: &str) -> &'v Value {
    let entries = map.as_map().unwrap();
    &entries.iter().find(|(name, _)| name.as_text() == Some(key)).expect(key).1
}

fn bytes(bytes: &[u8]) -> Value {
    Value::Bytes(bytes.to_vec())
}

/// SHA-256 of "a value that comes in three pieces", made by sha256sum.
const PIECES: [&[u8]; 3] = [b"a value that ", b"comes in ", b"three pieces"];
const PIECES_SHA: &str = "27a63925193ba5b26239021bc69e663b8813dd990809772115752415c6e5a7d4";

/// What a factory does first.
fn provision(client: &Client) {
    let slots = client.read(SLOTS, cbor!({}).unwrap());
    assert!(get(&slots, "slots").as_array().unwrap().contains(&Value::from(0x30)));

    let _ = client.ask(true, 9, cbor!({ "slot" => "idevid" }).unwrap());
    let key = client.rest(&client.write(KEY, cbor!({ "slot" => "idevid" }).unwrap()));
    p256::PublicKey::from_public_key_der(&key).unwrap();
    let refused = client.ask(true, KEY, cbor!({ "slot" => "idevid" }).unwrap());
    assert_eq!(refused, Err((GROUP, 5)), "there is a key already");

    let subject = cbor!({ "slot" => 0, "cn" => "a device that has a long name", "serial" => "1" });
    let csr = client.rest(&client.read(CSR, subject.unwrap()));
    assert!(csr.windows(key.len()).any(|part| part == key), "the request is for the key");

    let sha = bytes(&data_encoding::HEXLOWER.decode(PIECES_SHA.as_bytes()).unwrap());
    let mut off = 0;
    for piece in PIECES {
        let data = bytes(piece);
        let request = match off {
            0 => {
                cbor!({ "sha" => sha, "off" => 0, "len" => PIECES.concat().len(), "data" => data })
            }
            _ => cbor!({ "sha" => sha, "off" => off, "data" => data }),
        };
        let answer = client.write(LOAD, request.unwrap());
        off += piece.len();
        assert_eq!(get(&answer, "off"), &Value::from(off as u64));
    }
    client.write(VALUE, cbor!({ "slot" => "serial", "sha" => sha }).unwrap());
    let value = client.rest(&client.read(VALUE, cbor!({ "slot" => "serial" }).unwrap()));
    assert_eq!(value, PIECES.concat());
    client.write(4, cbor!({ "slot" => "serial" }).unwrap());
}

/// `devid sim --smp`, ended with the test.
struct Sim {
    child: Child,
    address: String,
}

impl Sim {
    fn start() -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_devid"))
            .args(["sim", "--smp", "127.0.0.1:0"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.strip_prefix("SMP at udp:").and_then(|rest| rest.split(',').next());
        let address = address.expect(&line).to_owned();
        Self { child, address }
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_toolkit_provisions_the_simulator() {
    let sim = Sim::start();
    provision(&Client(MCUmgrClient::new_from_udp(&sim.address, TIMEOUT).unwrap()));
}

#[test]
fn the_toolkit_provisions_the_device_that_the_environment_names() {
    if let Ok(address) = env::var("DEVID_SMP_UDP") {
        provision(&Client(MCUmgrClient::new_from_udp(address, TIMEOUT).unwrap()));
        println!("provisioned over UDP");
    }
    if let Ok(port) = env::var("DEVID_SMP_SERIAL") {
        let serial = serialport::new(port, 115_200).timeout(TIMEOUT).open().unwrap();
        provision(&Client(MCUmgrClient::new_from_serial(serial)));
        println!("provisioned over a serial port");
    }
}
