// SPDX-License-Identifier: Apache-2.0
//! Name constraints (RFC 5280, 4.2.1.10): what names the issuers of a path allow
//! below them.
//!
//! A form of name that is not understood, or a name that cannot be read, fails
//! where a constraint is about it.

use super::name::{self, Name};
use crate::certificate::{Certificate, extension};
use crate::der::{Malformed, Reader, constructed, primitive, tag};

/// The constraints of the issuers so far.
#[derive(Default)]
pub(super) struct Constraints<'a> {
    /// Of each issuer; a name must be within one of its form in every one.
    permitted: Vec<Vec<GeneralName<'a>>>,
    excluded: Vec<GeneralName<'a>>,
}

/// A name or a constraint on such.
#[derive(Clone, Debug)]
enum GeneralName<'a> {
    Email(&'a [u8]),
    Dns(&'a [u8]),
    Directory(Name),
    Uri(&'a [u8]),
    Ip(&'a [u8]),
    /// A form by its tag, of which no two are compared.
    Other(u8),
}

/// Why the names of a certificate are refused.
pub(super) enum Refused {
    Malformed,
    Violated,
}

impl From<Malformed> for Refused {
    fn from(Malformed: Malformed) -> Self {
        Self::Malformed
    }
}

impl<'a> Constraints<'a> {
    /// Whether no issuer had any.
    pub(super) fn is_empty(&self) -> bool {
        self.permitted.is_empty() && self.excluded.is_empty()
    }

    /// Adds those of an issuer.
    pub(super) fn take(&mut self, issuer: &Certificate<'a>) -> Result<(), Malformed> {
        let Some(value) = issuer.extension(extension::NAME_CONSTRAINTS) else { return Ok(()) };
        let mut fields = Reader::sequence(value)?;
        let [permitted, excluded] =
            [fields.optional(constructed(0))?, fields.optional(constructed(1))?];
        fields.finish()?;
        if permitted.is_none() && excluded.is_none() {
            return Err(Malformed);
        }
        if let Some(permitted) = permitted {
            self.permitted.push(subtrees(permitted)?);
        }
        if let Some(excluded) = excluded {
            self.excluded.extend(subtrees(excluded)?);
        }
        Ok(())
    }

    /// Whether they allow a certificate's names.
    pub(super) fn check(&self, certificate: &Certificate<'a>) -> Result<(), Refused> {
        if self.is_empty() {
            return Ok(());
        }
        let subject = Name::read(certificate.subject)?;
        if !subject.is_empty() {
            self.check_name(&GeneralName::Directory(subject))?;
        }
        for email in name::email_addresses(certificate.subject)? {
            self.check_name(&GeneralName::Email(email))?;
        }
        if let Some(names) = certificate.extension(extension::SUBJECT_ALT_NAME) {
            let mut names = Reader::sequence(names)?;
            while !names.is_at_end() {
                self.check_name(&GeneralName::read(&mut names)?)?;
            }
        }
        Ok(())
    }

    fn check_name(&self, name: &GeneralName<'_>) -> Result<(), Refused> {
        for subtrees in &self.permitted {
            let mut of_form = subtrees.iter().filter(|subtree| subtree.is_form_of(name)).peekable();
            if of_form.peek().is_some() && !of_form.any(|subtree| subtree.permits(name)) {
                return Err(Refused::Violated);
            }
        }
        let mut excluded = self.excluded.iter().filter(|subtree| subtree.is_form_of(name));
        if excluded.any(|subtree| subtree.excludes(name)) {
            return Err(Refused::Violated);
        }
        Ok(())
    }
}

/// GeneralSubtrees; minimum is 0 and maximum absent, or it is malformed.
fn subtrees(contents: &[u8]) -> Result<Vec<GeneralName<'_>>, Malformed> {
    let mut list = Reader::new(contents);
    let mut read = Vec::new();
    while !list.is_at_end() {
        let mut subtree = list.within(tag::SEQUENCE)?;
        read.push(GeneralName::read(&mut subtree)?);
        subtree.finish()?;
    }
    if read.is_empty() { Err(Malformed) } else { Ok(read) }
}

impl<'a> GeneralName<'a> {
    const EMAIL: u8 = primitive(1);
    const DNS: u8 = primitive(2);
    const DIRECTORY: u8 = constructed(4);
    const URI: u8 = primitive(6);
    const IP: u8 = primitive(7);

    fn read(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let element = reader.any()?;
        Ok(match element.tag {
            Self::EMAIL => Self::Email(element.contents),
            Self::DNS => Self::Dns(element.contents),
            Self::DIRECTORY => Self::Directory(Name::read(element.contents)?),
            Self::URI => Self::Uri(element.contents),
            Self::IP => Self::Ip(element.contents),
            tag => Self::Other(tag),
        })
    }

    const fn tag(&self) -> u8 {
        match self {
            Self::Email(_) => Self::EMAIL,
            Self::Dns(_) => Self::DNS,
            Self::Directory(_) => Self::DIRECTORY,
            Self::Uri(_) => Self::URI,
            Self::Ip(_) => Self::IP,
            Self::Other(tag) => *tag,
        }
    }

    fn is_form_of(&self, name: &GeneralName<'_>) -> bool {
        self.tag() == name.tag()
    }

    /// Whether the name certainly lies within this subtree.
    fn permits(&self, name: &GeneralName<'_>) -> bool {
        self.holds(name) == Some(true)
    }

    /// Whether the name may lie within this subtree.
    fn excludes(&self, name: &GeneralName<'_>) -> bool {
        self.holds(name) != Some(false)
    }

    /// Whether a name of the same form lies within this subtree; `None` where
    /// that cannot be told.
    fn holds(&self, name: &GeneralName<'_>) -> Option<bool> {
        match (self, name) {
            (Self::Directory(subtree), GeneralName::Directory(name)) => {
                Some(name.is_within(subtree))
            }
            (Self::Dns(subtree), GeneralName::Dns(name)) => dns_holds(subtree, name),
            (Self::Uri(subtree), GeneralName::Uri(uri)) => host_holds(subtree, host_of_uri(uri)?),
            (Self::Email(subtree), GeneralName::Email(name)) => email_holds(subtree, name),
            (Self::Ip(subtree), GeneralName::Ip(name)) => ip_holds(subtree, name),
            _ => None,
        }
    }
}

/// Whether a domain lies within another. Of a wildcard it may not be told.
fn dns_holds(subtree: &[u8], name: &[u8]) -> Option<bool> {
    if subtree.is_empty() {
        return Some(true);
    }
    let subtree = domain(subtree)?;
    let (name, is_wildcard) = match name.strip_prefix(b"*.") {
        Some(parent) => (host(parent)?, true),
        None => (host(name)?, false),
    };
    match is_within_domain(subtree, name) {
        true => Some(true),
        // Some of what it stands for may be the subtree itself.
        false if is_wildcard && is_within_domain(name, subtree.trim_start_matches('.')) => None,
        false => Some(false),
    }
}

/// The constraint on URIs and on the hosts of mailboxes: one host, or with a dot
/// before it whatever lies below it and not itself.
fn host_holds(subtree: &[u8], host: &str) -> Option<bool> {
    let subtree = domain(subtree)?;
    Some(match subtree.starts_with('.') {
        true => is_within_domain(subtree, host),
        false => subtree.eq_ignore_ascii_case(host),
    })
}

fn is_within_domain(subtree: &str, name: &str) -> bool {
    let (subtree, name) = (subtree.as_bytes(), name.as_bytes());
    let Some((above, end)) = name.len().checked_sub(subtree.len()).map(|at| name.split_at(at))
    else {
        return false;
    };
    end.eq_ignore_ascii_case(subtree)
        && match subtree.first() {
            Some(b'.') => !above.is_empty(),
            _ => above.is_empty() || above.ends_with(b"."),
        }
}

/// A host's name, perhaps with a dot before it.
fn domain(name: &[u8]) -> Option<&str> {
    host(name.strip_prefix(b".").unwrap_or(name))?;
    str::from_utf8(name).ok()
}

/// A host's name, and no address.
fn host(name: &[u8]) -> Option<&str> {
    let name = str::from_utf8(name).ok()?;
    let is_label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_'))
    };
    let is_address = name.rsplit('.').next()?.bytes().all(|c| c.is_ascii_digit());
    (name.split('.').all(is_label) && !is_address).then_some(name)
}

fn host_of_uri(uri: &[u8]) -> Option<&str> {
    // What no URI has in it, readers of URIs take for different things.
    let uri = str::from_utf8(uri).ok()?;
    if !uri.bytes().all(|c| c.is_ascii_graphic() && c != b'\\') {
        return None;
    }
    let (_, rest) = uri.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host_and_port = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    host(host_and_port.split(':').next()?.as_bytes())
}

/// One mailbox, all of a host, or with a dot before it all of the hosts below it.
fn email_holds(subtree: &[u8], mailbox: &[u8]) -> Option<bool> {
    let [subtree, mailbox] = [str::from_utf8(subtree).ok()?, str::from_utf8(mailbox).ok()?];
    let (local, at) = mailbox.rsplit_once('@')?;
    let at = host(at.as_bytes())?;
    match subtree.rsplit_once('@') {
        Some((of_subtree, host)) => Some(of_subtree == local && host.eq_ignore_ascii_case(at)),
        None if subtree.is_empty() => Some(true),
        None => host_holds(subtree.as_bytes(), at),
    }
}

/// An address and a mask, in one.
fn ip_holds(subtree: &[u8], address: &[u8]) -> Option<bool> {
    let (network, mask) = match (subtree.len(), address.len()) {
        (8, 4) | (32, 16) => subtree.split_at(address.len()),
        (8, 16) | (32, 4) => return Some(false),
        _ => return None,
    };
    // Ones, then zeros.
    let ones: u32 = mask.iter().map(|octet| octet.count_ones()).sum();
    let leading: u32 = match mask.iter().position(|&octet| octet != 0xff) {
        None => 8 * mask.len() as u32,
        Some(at) => 8 * at as u32 + mask[at].leading_ones(),
    };
    (ones == leading).then(|| {
        let masked = |bytes: &[u8]| -> Vec<u8> {
            bytes.iter().zip(mask).map(|(byte, mask)| byte & mask).collect()
        };
        masked(network) == masked(address)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dns_names_within_and_outside() {
        for (subtree, name, expected) in [
            ("example.com", "example.com", Some(true)),
            ("example.com", "a.EXAMPLE.com", Some(true)),
            ("example.com", "notexample.com", Some(false)),
            ("example.com", "com", Some(false)),
            (".example.com", "a.example.com", Some(true)),
            (".example.com", "example.com", Some(false)),
            ("", "anything.at.all", Some(true)),
            ("example.com", "*.example.com", Some(true)),
            ("a.example.com", "*.example.com", None),
            ("a.example.com", "*.example.org", Some(false)),
            ("example.com", "example.com.", None),
            ("example.com", "exa\u{fc}mple.com", None),
        ] {
            assert_eq!(
                dns_holds(subtree.as_bytes(), name.as_bytes()),
                expected,
                "{subtree} {name}"
            );
        }
    }

    #[test]
    fn uris_by_their_host() {
        let holds =
            |subtree: &[u8], uri: &[u8]| GeneralName::Uri(subtree).holds(&GeneralName::Uri(uri));
        assert_eq!(holds(b"example.com", b"https://example.com/x"), Some(true));
        assert_eq!(holds(b"example.com", b"https://me@EXAMPLE.com:8443?x"), Some(true));
        assert_eq!(holds(b"example.com", b"https://a.example.com"), Some(false));
        assert_eq!(holds(b".example.com", b"https://a.example.com"), Some(true));
        assert_eq!(holds(b".example.com", b"https://example.com"), Some(false));
        assert_eq!(holds(b"example.com", b"https://evil.org/@example.com"), Some(false));
        assert_eq!(holds(b"example.com", b"https://evil.org#@example.com"), Some(false));
        assert_eq!(holds(b"example.com", b"https://evil.org\\@example.com"), None);
        for unclear in [
            &b"urn:dev:mac:0024"[..],
            b"https://192.0.2.1/",
            b"https://[2001:db8::1]/",
            b"https://",
        ] {
            assert_eq!(holds(b"example.com", unclear), None);
        }
    }

    #[test]
    fn mailboxes_and_addresses() {
        let email = |subtree: &str, name: &str| email_holds(subtree.as_bytes(), name.as_bytes());
        assert_eq!(email("me@example.com", "me@Example.com"), Some(true));
        assert_eq!(email("me@example.com", "Me@example.com"), Some(false));
        assert_eq!(email("example.com", "me@example.com"), Some(true));
        assert_eq!(email("example.com", "me@a.example.com"), Some(false));
        assert_eq!(email(".example.com", "me@a.example.com"), Some(true));
        assert_eq!(email("example.com", "nobody"), None);

        let network = [192, 0, 2, 0, 255, 255, 255, 0];
        assert_eq!(ip_holds(&network, &[192, 0, 2, 7]), Some(true));
        assert_eq!(ip_holds(&network, &[192, 0, 3, 7]), Some(false));
        assert_eq!(ip_holds(&network, &[0; 16]), Some(false));
        assert_eq!(ip_holds(&[192, 0, 2, 0, 255, 0, 255, 0], &[192, 0, 2, 7]), None);
        assert_eq!(ip_holds(&network[..7], &[192, 0, 2, 7]), None);
    }
}
