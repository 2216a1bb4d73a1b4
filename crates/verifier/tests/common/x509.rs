// SPDX-License-Identifier: Apache-2.0
//! Certificates for tests, well-formed or wrong in one place.

use super::Signer;

/// A certificate to be.
#[derive(Clone)]
pub(crate) struct Template {
    pub(crate) subject: &'static str,
    pub(crate) not_before: &'static str,
    pub(crate) not_after: &'static str,
    /// basicConstraints: cA TRUE and a pathLenConstraint.
    pub(crate) ca: Option<Option<u8>>,
    /// keyUsage's first octet.
    pub(crate) key_usage: Option<u8>,
    /// extKeyUsage, where there are purposes.
    pub(crate) purposes: &'static [&'static [u8]],
    /// An extension that nobody knows, critical.
    pub(crate) unknown_critical: bool,
    /// serialNumber.
    pub(crate) serial: u8,
    /// More extensions: the last octet of 2.5.29.n, critical, value.
    pub(crate) more: &'static [(u8, bool, Vec<u8>)],
}

/// tcg-kp-AIKCertificate, 2.23.133.8.3: an attestation key.
pub(crate) const ATTESTATION: &[u8] = &[0x67, 0x81, 0x05, 0x08, 0x03];
/// id-kp-clientAuth: an identity.
pub(crate) const CLIENT_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 2];
/// anyExtendedKeyUsage
pub(crate) const ANY_PURPOSE: &[u8] = &[0x55, 0x1d, 37, 0];

/// An end entity that signs tokens.
pub(crate) const LEAF: Template = Template {
    subject: "IAK of device 1",
    not_before: "20200101000000Z",
    not_after: "99991231235959Z",
    ca: None,
    key_usage: Some(0x80),
    purposes: &[ATTESTATION],
    unknown_critical: false,
    serial: 7,
    more: &[],
};

/// A CA.
pub(crate) const CA: Template =
    Template { subject: "Root", ca: Some(None), key_usage: Some(0x06), purposes: &[], ..LEAF };

impl Template {
    /// Issues the certificate for the key of `subject`.
    pub(crate) fn issue(&self, subject: &Signer, issuer: (&str, &Signer)) -> Vec<u8> {
        let (issuer_name, issuer_key) = issuer;
        let algorithm = match issuer_key {
            Signer::P256(_) => tlv(0x30, &[&oid(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2])]),
            Signer::P384(_) => tlv(0x30, &[&oid(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3])]),
            _ => panic!("not a key of a CA here"),
        };
        let validity = tlv(0x30, &[&time(self.not_before), &time(self.not_after)]);
        let tbs = tlv(
            0x30,
            &[
                &tlv(0xa0, &[&[2, 1, 2]]),
                &[2, 1, self.serial],
                &algorithm,
                &name(issuer_name),
                &validity,
                &name(self.subject),
                &spki(subject),
                &tlv(0xa3, &[&self.extensions()]),
            ],
        );
        let signature = tlv(0x03, &[&[0], &der_signature(&issuer_key.sign(&tbs))]);
        tlv(0x30, &[&tbs, &algorithm, &signature])
    }

    fn extensions(&self) -> Vec<u8> {
        let mut extensions = Vec::new();
        let mut add = |id: &[u8], critical: bool, value: &[u8]| {
            let critical: &[u8] = if critical { &[0x01, 0x01, 0xff] } else { &[] };
            extensions.extend(tlv(0x30, &[&oid(id), critical, &tlv(0x04, &[value])]));
        };
        if let Some(path_len) = self.ca {
            let length = path_len.map(|length| vec![2, 1, length]).unwrap_or_default();
            add(&[0x55, 0x1d, 19], true, &tlv(0x30, &[&[1, 1, 0xff], &length]));
        }
        if let Some(bits) = self.key_usage {
            let unused = bits.trailing_zeros().min(7) as u8;
            add(&[0x55, 0x1d, 15], true, &[3, 2, unused, bits]);
        }
        if !self.purposes.is_empty() {
            let purposes: Vec<_> = self.purposes.iter().flat_map(|purpose| oid(purpose)).collect();
            add(&[0x55, 0x1d, 37], false, &tlv(0x30, &[&purposes]));
        }
        if self.unknown_critical {
            add(&[0x55, 0x1d, 99], true, &[5, 0]);
        }
        for (id, critical, value) in self.more {
            add(&[0x55, 0x1d, *id], *critical, value);
        }
        tlv(0x30, &[&extensions])
    }

    /// The same with one more extension.
    pub(crate) fn with(&self, id: u8, critical: bool, value: Vec<u8>) -> Self {
        // So that templates can be constants.
        let more = [self.more, &[(id, critical, value)]].concat().leak();
        Self { more, ..self.clone() }
    }
}

/// A CRL that lists certificates by serial number.
pub(crate) fn crl(issuer: (&str, &Signer), updates: [&str; 2], serials: &[u8]) -> Vec<u8> {
    crl_with(issuer, updates, serials, 1, &[])
}

/// The same with a number, and with more extensions: the last octet of 2.5.29.n,
/// critical, value.
pub(crate) fn crl_with(
    issuer: (&str, &Signer),
    updates: [&str; 2],
    serials: &[u8],
    number: u8,
    more: &[(u8, bool, Vec<u8>)],
) -> Vec<u8> {
    let algorithm = tlv(0x30, &[&oid(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2])]);
    let entries: Vec<u8> = serials
        .iter()
        .flat_map(|&serial| tlv(0x30, &[&[2, 1, serial], &time("20260101000000Z")]))
        .collect();
    let revoked = if entries.is_empty() { vec![] } else { tlv(0x30, &[&entries]) };
    let mut extensions = tlv(0x30, &[&oid(&[0x55, 0x1d, 20]), &tlv(0x04, &[&[2, 1, number]])]);
    for (id, critical, value) in more {
        let critical: &[u8] = if *critical { &[0x01, 0x01, 0xff] } else { &[] };
        let id = oid(&[0x55, 0x1d, *id]);
        extensions.extend(tlv(0x30, &[&id, critical, &tlv(0x04, &[value])]));
    }
    let tbs = tlv(
        0x30,
        &[
            &[2, 1, 1],
            &algorithm,
            &name(issuer.0),
            &time(updates[0]),
            &time(updates[1]),
            &revoked,
            &tlv(0xa0, &[&tlv(0x30, &[&extensions])]),
        ],
    );
    let signature = tlv(0x03, &[&[0], &der_signature(&issuer.1.sign(&tbs))]);
    tlv(0x30, &[&tbs, &algorithm, &signature])
}

/// A self-signed CA.
pub(crate) fn root(template: &Template, key: &Signer) -> Vec<u8> {
    template.issue(key, (template.subject, key))
}

/// The SubjectPublicKeyInfo of a key.
pub(crate) fn spki(key: &Signer) -> Vec<u8> {
    let curve: &[u8] = match key {
        Signer::P256(_) => &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7],
        Signer::P384(_) => &[0x2b, 0x81, 0x04, 0, 34],
        _ => &[0x2b, 0x81, 0x04, 0, 35],
    };
    let algorithm = tlv(0x30, &[&oid(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1]), &oid(curve)]);
    tlv(0x30, &[&algorithm, &tlv(0x03, &[&[0], &key.point()])])
}

/// PEM, for files.
pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in der.chunks(3) {
        let bits = group.iter().fold(0, |bits, &byte| bits << 8 | u32::from(byte))
            << (8 * (3 - group.len()));
        for place in 0..4 {
            let index = (bits >> (18 - 6 * place)) as usize & 63;
            text.push(if place > group.len() { '=' } else { ALPHABET[index] as char });
        }
    }
    let lines: Vec<_> = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// A Name: a common name, or `O=Acme/CN=Line 1`.
pub(crate) fn name(text: &str) -> Vec<u8> {
    let text = if text.contains('=') { text.to_owned() } else { format!("CN={text}") };
    let attributes: Vec<u8> = text
        .split('/')
        .flat_map(|part| {
            let (kind, value) = part.split_once('=').unwrap();
            let kind = match kind {
                "CN" => 3,
                "O" => 10,
                "OU" => 11,
                other => panic!("{other}"),
            };
            let value = tlv(0x0c, &[value.as_bytes()]);
            tlv(0x31, &[&tlv(0x30, &[&oid(&[0x55, 0x04, kind]), &value])])
        })
        .collect();
    tlv(0x30, &[&attributes])
}

/// UTCTime before 2050, as RFC 5280 wants it.
pub(crate) fn time(text: &str) -> Vec<u8> {
    if text < "2050" { tlv(0x17, &[&text.as_bytes()[2..]]) } else { tlv(0x18, &[text.as_bytes()]) }
}

pub(crate) fn oid(content: &[u8]) -> Vec<u8> {
    tlv(0x06, &[content])
}

/// `r || s` as ECDSA-Sig-Value.
pub(crate) fn der_signature(raw: &[u8]) -> Vec<u8> {
    let (r, s) = raw.split_at(raw.len() / 2);
    let integer = |value: &[u8]| {
        let start = value.iter().take_while(|&&byte| byte == 0).count();
        let value = &value[start..];
        let sign: &[u8] = if value[0] >= 0x80 { &[0] } else { &[] };
        tlv(0x02, &[sign, value])
    };
    tlv(0x30, &[&integer(r), &integer(s)])
}

pub(crate) fn tlv(tag: u8, contents: &[&[u8]]) -> Vec<u8> {
    let contents = contents.concat();
    let length = contents.len();
    let mut out = match length {
        0..=0x7f => vec![tag, length as u8],
        0x80..=0xff => vec![tag, 0x81, length as u8],
        0x100..=0xffff => vec![tag, 0x82, (length >> 8) as u8, length as u8],
        _ => vec![tag, 0x83, (length >> 16) as u8, (length >> 8) as u8, length as u8],
    };
    out.extend(contents);
    out
}
