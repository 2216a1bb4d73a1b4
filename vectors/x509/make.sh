#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes the certificates beside it with OpenSSL 3, under new keys. See README.md.
set -eu
cd "$(dirname "$0")"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

for key in root intermediate sub leaf other; do
    openssl ecparam -name prime256v1 -genkey -noout -out "$tmp/$key.key"
done
openssl ecparam -name secp384r1 -genkey -noout -out "$tmp/p384.key"
openssl genrsa -out "$tmp/rsa.key" 2048 2>/dev/null

cat >"$tmp/openssl.cnf" <<'CNF'
[ca]
default_ca = factory
[factory]
database = $ENV::TMP_CA/index.txt
new_certs_dir = $ENV::TMP_CA
rand_serial = yes
default_md = sha256
policy = anything
unique_subject = no
preserve = yes
[anything]
organizationName = optional
commonName = optional
serialNumber = optional
[req]
distinguished_name = dn
prompt = no
string_mask = utf8only
utf8 = yes
[dn]
[root]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[intermediate]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[ca-plain]
basicConstraints = CA:TRUE
[ca-without-sign]
basicConstraints = critical, CA:TRUE
keyUsage = critical, digitalSignature
[no-ca]
keyUsage = critical, keyCertSign
[ca-false]
basicConstraints = critical, CA:FALSE
[leaf]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = clientAuth
subjectAltName = URI:urn:example:device:0001
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
certificatePolicies = 1.3.6.1.4.1.32473.1
[leaf-critical]
keyUsage = critical, digitalSignature, decipherOnly, keyAgreement
extendedKeyUsage = critical, clientAuth
subjectAltName = critical, URI:urn:example:device:0001
[leaf-plain]
subjectKeyIdentifier = none
authorityKeyIdentifier = none
[leaf-unknown]
1.3.6.1.4.1.32473.2 = DER:0500
[leaf-unknown-critical]
1.3.6.1.4.1.32473.2 = critical, DER:0500
[leaf-name-constraints]
nameConstraints = critical, permitted;DNS:example.org
[leaf-no-sign]
keyUsage = critical, keyAgreement
CNF
export TMP_CA="$tmp"
export OPENSSL_CONF="$tmp/openssl.cnf"

# issue FILE SUBJECT KEY ISSUER-FILE ISSUER-KEY EXTENSIONS [more arguments for openssl ca]
issue() {
    file=$1 subject=$2 key=$3 issuer=$4 issuer_key=$5 extensions=$6
    shift 6
    : >"$tmp/index.txt"
    openssl req -new -key "$tmp/$key.key" -subj "$subject" -out "$tmp/csr.pem"
    if [ "$issuer" = self ]; then
        set -- -selfsign "$@"
    else
        openssl x509 -inform DER -in "$issuer.der" -out "$tmp/issuer.pem"
        set -- -cert "$tmp/issuer.pem" "$@"
    fi
    # The last -startdate and -enddate count.
    openssl ca -batch -notext -in "$tmp/csr.pem" -keyfile "$tmp/$issuer_key.key" \
        -extensions "$extensions" -startdate 260101000000Z -enddate 20551231235959Z \
        "$@" -out "$tmp/out.pem" 2>"$tmp/log" || { cat "$tmp/log" >&2; exit 1; }
    openssl x509 -in "$tmp/out.pem" -outform DER -out "$file.der"
}

ROOT="/O=Example/CN=Example Root"
INTERMEDIATE="/O=Example/CN=Example Factory 1"
DEVICE="/O=Example/CN=Gerät 0001/serialNumber=0001-AB"

issue root "$ROOT" root self root root -enddate 99991231235959Z
issue root-other-key "$ROOT" other self other root
issue intermediate "$INTERMEDIATE" intermediate root root intermediate
issue sub "/O=Example/CN=Example Line 2" sub intermediate intermediate ca-plain
issue intermediate-next "$INTERMEDIATE" other intermediate intermediate ca-plain
issue leaf-of-intermediate-next "/CN=next" leaf intermediate-next other leaf-plain
issue leaf-of-sub "/CN=below" leaf sub sub leaf-plain
issue leaf-of-root "/CN=direct" leaf root root leaf-plain
issue leaf "$DEVICE" leaf intermediate intermediate leaf -enddate 99991231235959Z
issue leaf-plain "/CN=plain" leaf intermediate intermediate leaf-plain
issue leaf-no-subject "/" leaf intermediate intermediate leaf-critical
issue leaf-critical "/CN=critical" leaf intermediate intermediate leaf-critical
issue leaf-unknown "/CN=unknown" leaf intermediate intermediate leaf-unknown
issue leaf-unknown-critical "/CN=unknown" leaf intermediate intermediate leaf-unknown-critical
issue leaf-name-constraints "/CN=constrained" leaf intermediate intermediate leaf-name-constraints
issue leaf-no-sign "/CN=agreement" leaf intermediate intermediate leaf-no-sign
issue leaf-expired "/CN=expired" leaf intermediate intermediate leaf -enddate 261001000000Z
issue leaf-future "/CN=future" leaf intermediate intermediate leaf -startdate 20510101000000Z
issue leaf-p384 "/CN=p384" p384 intermediate intermediate leaf-plain
issue leaf-rsa "/CN=rsa" rsa intermediate intermediate leaf-plain
issue leaf-sha384 "/CN=sha384" leaf intermediate intermediate leaf-plain -md sha384
issue leaf-self "/CN=alone" leaf self leaf leaf-plain
issue root-rsa "/CN=Example RSA" rsa self rsa root
issue leaf-by-rsa "/CN=by rsa" leaf root-rsa rsa leaf-plain
for name in no-ca ca-false ca-without-sign ca-plain; do
    issue "$name" "/CN=$name" other root root "$name"
    issue "leaf-of-$name" "/CN=below $name" leaf "$name" other leaf-plain
done

# Version 1: what `openssl x509 -req` makes without extensions.
openssl req -new -key "$tmp/leaf.key" -subj "/CN=v1" |
    openssl x509 -req -key "$tmp/leaf.key" -sha256 -days 3650 -outform DER -out v1.der 2>/dev/null
# A negative serial number.
openssl req -new -x509 -key "$tmp/leaf.key" -subj "/CN=negative" -set_serial -5 -sha256 -days 3650 \
    -extensions leaf-plain -outform DER -out negative-serial.der
