// SPDX-License-Identifier: Apache-2.0
//! Certificates and tokens as readable lines. Showing is not checking.

use core::fmt::{self, Write};

use devid_core::der::Reader;
use devid_core::token::Token;
use devid_core::x509::Certificate;

use crate::failure::Failure;
use crate::text::{Escaped, Hex};

/// The certificates of a chain, as far as they can be read.
pub(crate) fn certificates(chain: &[u8]) -> impl Iterator<Item = Certificate<'_>> {
    let mut reader = Reader::new(chain);
    core::iter::from_fn(move || Certificate::read(&mut reader).ok())
}

/// One line a certificate.
pub(crate) fn certificate(
    index: usize,
    certificate: &Certificate<'_>,
    out: &mut dyn Write,
) -> fmt::Result {
    write!(out, "CERTIFICATE: index={index} length={}", certificate.der.len())?;
    for (name, text) in [
        ("cn", certificate.subject.common_name()),
        ("serial", certificate.subject.serial_number()),
        ("o", certificate.subject.organization()),
    ] {
        if let Some(text) = text {
            write!(out, " {name}=\"{}\"", Escaped(text))?;
        }
    }
    let (from, until) = (certificate.not_before.0, certificate.not_after.0);
    writeln!(out, " ca={} from={from} until={until}", certificate.ca.is_some())
}

/// A token's claims, one a line; the signature is not looked at.
pub(crate) fn token(token: &[u8], out: &mut dyn Write) -> Result<(), Failure> {
    let Token { profile, claims, .. } = Token::decode(token)?;
    writeln!(out, "CLAIM: profile {}", profile.name())?;
    hex(out, "nonce", claims.nonce)?;
    hex(out, "instance-id", claims.instance_id)?;
    hex(out, "implementation-id", claims.implementation_id)?;
    writeln!(out, "CLAIM: client-id {}", claims.client_id)?;
    let lifecycle = claims.security_lifecycle;
    writeln!(
        out,
        "CLAIM: security-lifecycle 0x{:04x} {}",
        lifecycle.value(),
        lifecycle.state().name()
    )?;
    if let Some(seed) = claims.boot_seed {
        hex(out, "boot-seed", seed)?;
    }
    if let Some(reference) = claims.certification_reference {
        writeln!(out, "CLAIM: certification-reference {}", Escaped(reference))?;
    }
    for component in claims.software_components {
        write!(out, "CLAIM: software-component")?;
        for (name, text) in [
            ("type", component.measurement_type),
            ("version", component.version),
            ("hash", component.measurement_description),
        ] {
            if let Some(text) = text {
                write!(out, " {name}=\"{}\"", Escaped(text))?;
            }
        }
        write!(out, " value={}", Hex(component.measurement_value))?;
        if let Some(signer) = component.signer_id {
            write!(out, " signer-id={}", Hex(signer))?;
        }
        out.write_char('\n')?;
    }
    if let Some(service) = claims.verification_service_indicator {
        writeln!(out, "CLAIM: verification-service-indicator {}", Escaped(service))?;
    }
    out.write_str("NOTE: shown, not verified\n")?;
    Ok(())
}

fn hex(out: &mut dyn Write, name: &str, bytes: &[u8]) -> fmt::Result {
    writeln!(out, "CLAIM: {name} {}", Hex(bytes))
}
