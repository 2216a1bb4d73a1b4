// SPDX-License-Identifier: Apache-2.0
//! The commands over a simulated device.

use devid_console::access::{Caller, Rules};
use devid_console::{COMMANDS, Console, Failure};
use devid_core::device::{Device, scratch_len};
use devid_core::error::Errno;
use devid_core::layout::STANDARD;
use devid_core::time::UnixTime;
use devid_core::token::{Profile, Token};
use devid_core::x509::Certificate;
use devid_core::{Error, platform::Crypto};
use devid_sim::ca::{ThrowAwayAnchor, ThrowAwayCa};
use devid_sim::{Config, Sim, development_iak};
use proptest::prelude::*;

const RULES: Rules = Rules { console: true, peer: false };
const NOW: UnixTime = UnixTime(1_795_000_000);
const CHALLENGE: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// A console and its device.
struct Bench {
    device: Device<'static, Sim>,
    console: Console<'static>,
}

impl Bench {
    fn new() -> Self {
        Self::with(Profile::Rfc9783)
    }

    fn with(profile: Profile) -> Self {
        let sim = Sim::in_memory(Config { profile, seed: Some([7; 32]), ..Config::default() });
        let scratch = vec![0; scratch_len(&STANDARD)].leak();
        let device = Device::open(sim, STANDARD, scratch).unwrap();
        let console = Console::new(RULES, vec![0; scratch_len(&STANDARD)].leak());
        Self { device, console }
    }

    fn try_run(&mut self, line: &str) -> Result<String, Failure> {
        let words: Vec<&str> = line.split(' ').filter(|word| !word.is_empty()).collect();
        let mut out = String::new();
        let answer = self.console.run(&mut self.device, Caller::Console, &words)?;
        self.console.print(&answer, &mut out).map(|()| out)
    }

    fn run(&mut self, line: &str) -> String {
        self.try_run(line).unwrap_or_else(|failure| panic!("{line}: {failure}"))
    }

    /// The error line, which has one form everywhere.
    fn refuse(&mut self, line: &str) -> String {
        let failure = self.try_run(line).expect_err(line);
        let text = failure.to_string();
        let name = failure.errno().name();
        assert!(text.starts_with(&format!("error: {name}: ")), "{text}");
        assert!(text.contains("; ") && !text.contains('\n'), "{text}");
        text
    }

    /// Loads bytes in pieces as a script does.
    fn load(&mut self, bytes: &[u8]) {
        let digest = hex(&self.device.platform().sha256(&[bytes]).unwrap());
        self.run(&format!("load begin {} {digest}", bytes.len()));
        for (n, piece) in bytes.chunks(60).enumerate() {
            match n % 3 {
                0 => self.run(&format!("load data {}", hex(piece))),
                1 => self.run(&format!("load data hex:{}", hex(piece))),
                _ => self.run(&format!("load data base64:{}", devid_console::Base64(piece))),
            };
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    devid_console::Hex(bytes).to_string()
}

/// Reads a block as a script does: every line under the prefix, and the closing
/// line's length and digest.
fn block(out: &str, prefix: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut lines = out.lines();
    for line in lines.by_ref() {
        if let Some(end) = line.strip_prefix(&format!("{prefix}-END: ")) {
            let digest = Sim::in_memory(Config::default()).sha256(&[&bytes]).unwrap();
            assert_eq!(end, format!("{} {}", bytes.len(), hex(&digest)));
            assert_eq!(lines.next(), None);
            return bytes;
        }
        let text = line.strip_prefix(&format!("{prefix}: ")).unwrap();
        assert!(text.len() <= 64);
        bytes.extend(from_base64(text));
    }
    panic!("{prefix} has no end:\n{out}");
}

/// By the definition in RFC 4648, not by the console's code.
fn from_base64(text: &str) -> Vec<u8> {
    const DIGITS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bits = String::new();
    for digit in text.trim_end_matches('=').chars() {
        bits += &format!("{:06b}", DIGITS.find(digit).unwrap());
    }
    bits.as_bytes()
        .chunks_exact(8)
        .map(|byte| u8::from_str_radix(std::str::from_utf8(byte).unwrap(), 2).unwrap())
        .collect()
}

#[test]
fn a_device_goes_through_its_life() {
    let mut bench = Bench::new();
    assert!(bench.run("status").contains("STATUS: 3 error idevid: no key; 'id gen'\n"));
    let spki = block(&bench.run("id gen idevid"), "SPKI");
    assert_eq!(block(&bench.run("id pub 0x00"), "SPKI"), spki);
    assert!(bench.run("status").contains("STATUS: 4 error idevid: no certificate;"));

    let csr = block(&bench.run("id csr idevid serial=SN-1 cn=widget o=ACME"), "CSR");
    let ca = ThrowAwayCa::new(NOW);
    let chain = ca.issue(&csr).unwrap();
    bench.load(&chain);
    let installed = bench.run(&format!("id install idevid - {}", NOW.0));
    assert_eq!(installed, "OK: certificates=2 validity=checked\n");
    assert!(bench.refuse("load status").contains("ENOENT"), "the loaded value is used up");

    assert_eq!(block(&bench.run("id chain idevid"), "CHAIN"), chain);
    let leaf = block(&bench.run("id cert idevid"), "CERT");
    let issuing = block(&bench.run("id cert idevid 1"), "CERT");
    assert_eq!([leaf.as_slice(), &issuing].concat(), chain);
    let parsed = Certificate::parse(&leaf).unwrap();
    assert_eq!(parsed.public_key.spki().as_slice(), spki);
    assert_eq!(parsed.subject.serial_number(), Some("SN-1"));
    let info = bench.run("slot info idevid");
    assert!(info.contains("CERTIFICATE: index=0 length="), "{info}");
    assert!(info.contains("cn=\"widget\" serial=\"SN-1\" o=\"ACME\" ca=false"), "{info}");
    assert!(info.contains("CERTIFICATE: index=1 length="), "{info}");
    assert!(bench.run("status").contains("STATUS-END: errors=0 "));

    let iak = block(&bench.run("iak"), "IAK");
    assert_eq!(iak, development_iak().spki());
    bench.load(&ca.certify(&development_iak(), "IAK"));
    assert_eq!(bench.run("slot write iak -"), "OK\n");
    let token = block(&bench.run(&format!("token get {CHALLENGE}")), "TOKEN");
    assert_eq!(bench.run("token size"), format!("TOKEN-SIZE: {}\n", token.len()));
    let evidence = block(&bench.run(&format!("evidence hex:{CHALLENGE}")), "EVIDENCE");
    assert!(evidence.len() > token.len() + chain.len() / 2);
    assert_eq!(Token::decode(&evidence).unwrap().claims.nonce[..3], [0, 1, 2]);

    assert_eq!(bench.run("id erase idevid"), "OK\n");
    assert!(bench.refuse("id pub idevid").contains("ENOENT"));
    assert!(bench.refuse("id chain idevid").contains("ENOENT"));
}

#[test]
fn slots_are_written_read_and_erased() {
    let mut bench = Bench::new();
    for (value, bytes) in [
        ("text:SN-0001", b"SN-0001".as_slice()),
        ("hex:00fF", &[0x00, 0xff]),
        ("base64:AP8=", &[0x00, 0xff]),
        ("text:a:b", b"a:b"),
    ] {
        let line = format!("slot write serial {value} {}", bytes.len());
        assert_eq!(bench.run(&line), "OK\n");
        assert_eq!(block(&bench.run("slot read serial"), "VALUE"), bytes);
    }
    let info = bench.run("slot info 0x30");
    assert_eq!(
        info,
        "SLOT: id=0x30 name=serial kind=data policy=factory secrecy=public limit=64 \
         state=present length=3 generation=4\n"
    );
    assert!(bench.run("slot list").contains(&info));
    assert_eq!(bench.run("slot list").lines().count(), STANDARD.slots.len());
    assert_eq!(bench.run("slot erase serial"), "OK\n");
    assert!(bench.refuse("slot read serial").contains("ENOENT"));
    assert!(bench.refuse("slot erase serial").contains("ENOENT"));
}

#[test]
fn a_secret_is_never_shown() {
    let mut bench = Bench::new();
    bench.run("slot write secret text:hunter2hunter2 14");
    let digest = bench.device.platform().sha256(&[b"hunter2hunter2"]).unwrap();
    assert_eq!(bench.run("slot read secret"), format!("SECRET: 14 {}\n", hex(&digest)));
    for line in ["slot read secret", "slot info secret", "slot list", "status"] {
        let out = bench.run(line);
        assert!(!out.contains("hunter2"), "{line}");
        assert!(!out.contains(&devid_console::Base64(b"hunter2hunter2").to_string()), "{line}");
        assert!(!out.contains(&hex(b"hunter2hunter2")), "{line}");
    }
}

/// A terminal loses characters: one that overran, one that is no ASCII. What
/// arrived is not stored then, and the refusal tells how much it was.
#[test]
fn a_typed_value_of_another_length_is_not_stored() {
    let mut bench = Bench::new();
    bench.run("slot write serial text:kept 4");
    for line in [
        "slot write serial text:Gerte-7 8",
        "slot write serial text:Gerte-7",
        "slot write serial hex:0001 3",
        "slot write serial base64:AAEC 6",
    ] {
        let error = bench.refuse(line);
        assert!(error.contains("bytes arrived; write after the value how many"), "{error}");
    }
    assert_eq!(block(&bench.run("slot read serial"), "VALUE"), b"kept");
}

#[test]
fn a_locked_console_does_what_the_product_chose() {
    for chosen in [false, true] {
        let mut bench = Bench::new();
        bench.console = Console::new(
            Rules { console: chosen, peer: false },
            vec![0; scratch_len(&STANDARD)].leak(),
        );
        bench.run("slot write secret text:hunter2 7");
        let ca = ThrowAwayCa::new(NOW);
        let csr = block(
            &{
                bench.run("id gen idevid");
                bench.run("id csr idevid")
            },
            "CSR",
        );
        bench.load(&ca.issue(&csr).unwrap());
        bench.run("id install idevid -");
        bench.load(ThrowAwayAnchor::new("anchor", NOW, true).certificate());
        bench.run("slot write anchor0 -");
        bench.run("lock yes");
        assert!(bench.refuse("slot read secret").contains("EACCES"));
        assert!(bench.refuse("lock yes").contains("EACCES"));
        for line in ["id gen ldevid0", "slot write endpoint text:x 1", "reset yes"] {
            assert_eq!(bench.try_run(line).is_ok(), chosen, "{line}");
        }
        for line in ["status", "info", "id csr idevid", "slot list", "nonce"] {
            bench.run(line);
        }
    }
}

#[test]
fn a_peers_shell_is_held_to_the_peers_rules() {
    let mut bench = Bench::new();
    let ca = ThrowAwayCa::new(NOW);
    bench.run("id gen idevid");
    let csr = block(&bench.run("id csr idevid"), "CSR");
    bench.load(&ca.issue(&csr).unwrap());
    bench.run("id install idevid -");
    bench.load(ThrowAwayAnchor::new("anchor", NOW, true).certificate());
    bench.run("slot write anchor0 -");
    bench.run("lock yes");
    for line in ["id gen ldevid0", "slot write endpoint text:x 1", "reset yes", "status"] {
        let words: Vec<&str> = line.split(' ').collect();
        let answer = bench.console.run(&mut bench.device, Caller::Peer, &words);
        assert_eq!(answer.err(), Some(Failure::Device(Error::Denied)), "{line}");
    }
    let answer = bench.console.run(&mut bench.device, Caller::Peer, &["info"]);
    assert!(answer.is_ok());
}

#[test]
fn an_answer_leaves_a_load_alone_or_is_refused() {
    let mut bench = Bench::new();
    let value = vec![7; 64];
    let digest = hex(&bench.device.platform().sha256(&[&value]).unwrap());
    bench.run(&format!("load begin 64 {digest}"));
    bench.run(&format!("load data {}", hex(&value[..32])));
    bench.run("iak");
    bench.run(&format!("load data {}", hex(&value[32..])));
    assert_eq!(bench.run("slot write serial -"), "OK\n");

    let all = scratch_len(&STANDARD);
    bench.run(&format!("load begin {all} {digest}"));
    assert!(bench.refuse("iak").contains("EBUSY"));
    assert_eq!(bench.run("load status"), format!("LOADED: 0 of {all}\n"));
}

#[test]
fn a_value_longer_than_its_slot_is_refused_by_one_byte() {
    let mut bench = Bench::new();
    bench.run(&format!("slot write serial text:{} 64", "x".repeat(64)));
    let error = bench.refuse(&format!("slot write serial text:{} 65", "y".repeat(65)));
    assert!(error.contains("EFBIG: longer than 64 bytes"), "{error}");
    assert_eq!(block(&bench.run("slot read serial"), "VALUE"), [b'x'; 64]);
}

#[test]
fn words_that_are_no_command_are_refused() {
    let mut bench = Bench::new();
    for line in ["", "frobnicate", "slot", "slot frobnicate", "SLOT list", "id", "list slot"] {
        assert_eq!(bench.try_run(line), Err(Failure::UnknownCommand), "{line}");
        bench.refuse(line);
    }
}

#[test]
fn every_command_refuses_an_argument_too_few_and_one_too_many() {
    let mut bench = Bench::new();
    for command in COMMANDS {
        let name = format!("{} {}", command.group, command.name);
        let counts = [command.min.checked_sub(1), Some(command.max + 1)];
        for count in counts.into_iter().flatten() {
            let line = name.clone() + &" x".repeat(usize::from(count));
            assert_eq!(bench.try_run(&line), Err(Failure::Arguments(command)), "{line}");
            assert!(bench.refuse(&line).contains(&format!("usage: {command}")), "{line}");
        }
    }
}

#[test]
fn help_lists_every_command() {
    let help = Bench::new().run("help");
    for command in COMMANDS {
        assert!(help.contains(&command.to_string()) && help.contains(command.help), "{command}");
    }
}

#[test]
fn unknown_slots_are_refused_everywhere() {
    let mut bench = Bench::new();
    for slot in ["nosuch", "0x77", "0x", "0xZZ", "0x100", "48", "Serial", "-"] {
        for line in ["slot info S", "slot read S", "slot write S text:x 1", "slot erase S"]
            .into_iter()
            .chain(["id gen S", "id pub S", "id csr S", "id install S -", "id cert S"])
            .chain(["id chain S", "id erase S"])
        {
            let line = line.replace('S', slot);
            assert!(bench.refuse(&line).starts_with("error: ENXIO: "), "{line}");
        }
    }
}

#[test]
fn bad_encodings_are_refused_and_nothing_is_written() {
    let mut bench = Bench::new();
    bench.run("slot write serial text:kept 4");
    for (value, says) in [
        ("hex:abc", "odd number of hex digits"),
        ("hex:0g", "character 2 is no hex digit"),
        ("base64:Zm9", "truncated base64"),
        ("base64:Zg=", "truncated base64"),
        ("base64:Z*==", "character 2 is not base64"),
        ("base64:Zh==", "is not base64"),
        ("41424344", "encoding is not named"),
        ("ABC", "encoding is not named"),
        ("b64:Zg==", "encoding is not named"),
        ("-", "nothing is loaded"),
        ("hex:", "EINVAL"),
        ("text:", "EINVAL"),
    ] {
        let length = if value == "-" { "" } else { " 0" };
        let error = bench.refuse(&format!("slot write serial {value}{length}"));
        assert!(error.contains(says), "{value}: {error}");
    }
    let long = format!("slot write endpoint hex:{} 193", "00".repeat(193));
    assert!(bench.refuse(&long).contains("'load'"));
    assert_eq!(block(&bench.run("slot read serial"), "VALUE"), b"kept");
}

#[test]
fn challenges_that_psa_refuses_are_named_by_length() {
    let mut bench = Bench::new();
    for command in ["token get", "token show", "evidence"] {
        for len in [0, 1, 31, 33, 47, 49, 63, 65] {
            let error = bench.refuse(&format!("{command} hex:{}", "00".repeat(len)));
            assert!(error.contains(&format!("a challenge of {len} bytes")), "{error}");
        }
        bench.refuse(&format!("{command} {}", &CHALLENGE[1..]));
        for len in [32, 48, 64] {
            bench.run(&format!("{command} {}", "5a".repeat(len)));
        }
    }
    assert!(bench.refuse("token size 33").contains("a challenge of 33 bytes"));
    assert!(bench.refuse("token size x").contains("not a number"));
    bench.run("token size 64");
}

#[test]
fn a_token_is_shown_readably_in_every_profile() {
    for profile in [Profile::Psa1, Profile::Psa2, Profile::Rfc9783] {
        let shown = Bench::with(profile).run(&format!("token show {CHALLENGE}"));
        assert!(shown.contains(&format!("CLAIM: profile {}\n", profile.name())), "{shown}");
        assert!(shown.contains(&format!("CLAIM: nonce {CHALLENGE}\n")), "{shown}");
        assert!(shown.contains("CLAIM: client-id -1\n"), "{shown}");
        assert!(shown.contains("CLAIM: security-lifecycle 0x1000 "), "{shown}");
        assert!(shown.contains("development token, never trust\n"), "{shown}");
        assert!(shown.contains("software-component type=\"devid-sim\""), "{shown}");
        assert!(shown.ends_with("NOTE: shown, not verified\n"), "{shown}");
    }
}

#[test]
fn a_load_is_checked_at_its_end() {
    let mut bench = Bench::new();
    let digest = hex(&bench.device.platform().sha256(&[&[1, 2, 3, 4]]).unwrap());
    assert!(bench.refuse("load data 00").contains("nothing is loaded"));
    let room = scratch_len(&STANDARD);
    let range = format!("1 to {room}");
    assert!(bench.refuse(&format!("load begin 0 {digest}")).contains(&range));
    assert!(bench.refuse(&format!("load begin {} {digest}", room + 1)).contains(&range));
    assert!(bench.refuse(&format!("load begin 4 {}", &digest[1..])).contains("64 hex digits"));
    assert!(bench.refuse(&format!("load begin 4 {digest}00")).contains("64 hex digits"));
    assert!(bench.refuse(&format!("load begin -4 {digest}")).contains("not a number"));
    assert!(bench.refuse("load status").contains("nothing is loaded"));

    assert_eq!(bench.run(&format!("load begin 4 {digest}")), "LOADED: 0 of 4\n");
    assert_eq!(bench.run("load data 0102"), "LOADED: 2 of 4\n");
    // None of these takes a byte.
    assert!(bench.refuse("load data 030405").contains("only 2 bytes are missing"));
    assert!(bench.refuse("load data 030").contains("odd"));
    assert!(bench.refuse("load data base64:AwQ").contains("truncated"));
    assert!(bench.refuse("slot write serial -").contains("2 bytes are still missing"));
    assert_eq!(bench.run("load status"), "LOADED: 2 of 4\n");
    assert_eq!(bench.run("load data base64:AwQ="), "LOADED: 4 of 4\n");
    assert!(bench.refuse("load data 05").contains("only 0 bytes are missing"));
    assert_eq!(bench.run("slot write serial -"), "OK\n");
    assert_eq!(block(&bench.run("slot read serial"), "VALUE"), [1, 2, 3, 4]);

    bench.run(&format!("load begin 4 {digest}"));
    bench.run("load data 01020305");
    let failure = bench.try_run("slot write serial -").unwrap_err();
    assert_eq!((failure, failure.errno()), (Failure::LoadDigest, Errno::EBADMSG));
    assert!(bench.refuse("load status").contains("nothing is loaded"), "it was dropped");
    assert_eq!(block(&bench.run("slot read serial"), "VALUE"), [1, 2, 3, 4]);

    bench.run(&format!("load begin 4 {digest}"));
    assert_eq!(bench.run("load abort"), "OK\n");
    assert!(bench.refuse("load status").contains("nothing is loaded"));
}

#[test]
fn a_loaded_chain_that_is_refused_can_be_tried_again() {
    let mut bench = Bench::new();
    let chain = ThrowAwayCa::new(NOW).certify(&development_iak(), "other key");
    bench.load(&chain);
    assert!(bench.refuse("id install idevid -").contains("ENOENT"), "there is no key yet");
    bench.run("id gen idevid");
    let failure = bench.try_run("id install idevid -").unwrap_err();
    assert_eq!(failure.errno(), Errno::EPERM);
    assert!(failure.to_string().contains("the leaf certifies another key"));
    assert_eq!(bench.run("slot write iak -"), "OK\n");
}

#[test]
fn validity_is_checked_when_a_time_is_given() {
    let mut bench = Bench::new();
    bench.run("id gen idevid");
    let csr = block(&bench.run("id csr idevid"), "CSR");
    bench.load(&ThrowAwayCa::new(NOW).issue(&csr).unwrap());
    let late = NOW.0 + 31 * 86_400;
    assert!(bench.refuse(&format!("id install idevid - {late}")).contains("expired"));
    assert!(bench.refuse(&format!("id install idevid - {}", NOW.0 - 1)).contains("not yet valid"));
    assert!(bench.refuse("id install idevid - now").contains("not a number"));
    assert_eq!(bench.run("id install idevid -"), "OK: certificates=2 validity=not-checked\n");
}

#[test]
fn identities_are_left_alone_by_slot_commands() {
    let mut bench = Bench::new();
    bench.run("id gen idevid");
    for line in ["slot erase idevid", "slot write idevid text:x 1", "slot erase 0x00"] {
        assert_eq!(bench.try_run(line), Err(Failure::Identity), "{line}");
    }
    bench.run("id pub idevid");
    assert!(bench.refuse("id gen idevid").contains("'id erase' first"));
    for line in ["id gen serial", "id pub iak", "id csr anchor0", "id erase serial"] {
        assert_eq!(bench.try_run(line), Err(Failure::Device(Error::NotSupported)), "{line}");
    }
}

#[test]
fn a_subject_takes_each_attribute_once() {
    let mut bench = Bench::new();
    bench.run("id gen idevid");
    for line in ["cn=a cn=b", "CN=a", "cn", "=a", "x=1 o=2"] {
        let error = bench.refuse(&format!("id csr idevid {line}"));
        assert!(error.contains("usage: id csr"), "{line}: {error}");
    }
    for line in ["cn=", "serial=a_b", &format!("o={}", "x".repeat(65))] {
        assert!(bench.refuse(&format!("id csr idevid {line}")).contains("EINVAL"), "{line}");
    }
}

#[test]
fn certificates_say_what_is_wrong() {
    let mut bench = Bench::new();
    let chain = ThrowAwayCa::new(NOW).certify(&development_iak(), "IAK");
    for bad in [&chain[..chain.len() - 1], &[chain.as_slice(), &[0]].concat()] {
        bench.load(bad);
        assert!(bench.refuse("slot write iak -").contains("EBADMSG: malformed certificate"));
    }
    assert!(bench.refuse("slot write anchor0 text:x 1").contains("EBADMSG"));
    assert!(bench.refuse("id cert idevid 0").contains("ENOENT"));
    assert!(bench.refuse("id cert idevid 256").contains("not a number in range"));
    bench.load(&chain);
    bench.run("slot write iak -");
    assert!(bench.refuse("id cert iak 2").contains("ENOENT"));
}

#[test]
fn names_from_certificates_cannot_command_a_terminal() {
    let mut bench = Bench::new();
    let name = "a\x1b[2J\"\u{202e}";
    bench.load(&ThrowAwayCa::new(NOW).certify(&development_iak(), name));
    bench.run("slot write iak -");
    let info = bench.run("slot info iak");
    assert!(info.contains(r#"cn="a\x1b[2J\x22\xe2\x80\xae""#), "{info}");
}

#[test]
fn a_writer_that_fails_is_an_io_error() {
    struct Closed;
    impl std::fmt::Write for Closed {
        fn write_str(&mut self, _: &str) -> std::fmt::Result {
            Err(std::fmt::Error)
        }
    }
    let mut bench = Bench::new();
    let answer = bench.console.run(&mut bench.device, Caller::Console, &["status"]).unwrap();
    assert_eq!(bench.console.print(&answer, &mut Closed), Err(Failure::Output));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is typed: no panic, one error line, and the device still works.
    #[test]
    fn no_line_breaks_the_console(lines in prop::collection::vec(line(), 1..12)) {
        let mut bench = Bench::new();
        for line in &lines {
            if bench.try_run(line).is_err() {
                bench.refuse(line);
            }
        }
        bench.run("slot write serial text:alive 5");
        prop_assert_eq!(block(&bench.run("slot read serial"), "VALUE"), b"alive");
    }

    #[test]
    fn every_value_comes_out_as_it_went_in(bytes in prop::collection::vec(any::<u8>(), 1..256)) {
        let mut bench = Bench::new();
        bench.load(&bytes);
        bench.run("slot write endpoint -");
        prop_assert_eq!(block(&bench.run("slot read endpoint"), "VALUE"), bytes);
    }
}

/// Words that are commands, nearly commands, and anything else.
fn line() -> impl Strategy<Value = String> {
    let known = COMMANDS.iter().flat_map(|command| [command.group, command.name]);
    let of = |words: Vec<&'static str>| prop::sample::select(words).prop_map(str::to_owned);
    let word = prop_oneof![
        4 => of(known.collect()),
        2 => of(vec!["serial", "secret", "iak", "idevid", "anchor0", "0x31", "-"]),
        1 => of(vec!["hex:00", "text:x", "base64:AA==", "1", "32", CHALLENGE]),
        1 => "\\PC{0,8}",
    ];
    prop::collection::vec(word, 0..5).prop_map(|words| words.join(" "))
}
