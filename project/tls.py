"""A self-signed certificate for trying things out: browsers give the microphone to secure origins only."""

from __future__ import annotations

import datetime
import ipaddress
import os
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFETIME = datetime.timedelta(days=397)  # the longest that browsers accept
RENEW_BEFORE = datetime.timedelta(days=7)


def self_signed(folder: Path, names: list[str]) -> tuple[Path, Path]:
    """The paths of a certificate for `names` (hosts and addresses) and of its key, made when missing or outdated."""
    certificate_path, key_path = folder / "certificate.pem", folder / "key.pem"
    if not (key_path.exists() and certificate_path.exists() and _still_good(certificate_path, names)):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        certificate_path.unlink(missing_ok=True)
        key = ec.generate_private_key(ec.SECP256R1())
        _write_private(key_path, key)
        certificate_path.write_bytes(_certificate(key, names).public_bytes(serialization.Encoding.PEM))
    return certificate_path, key_path


def _subject_names(names: list[str]) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([_general_name(name.strip("[]")) for name in dict.fromkeys(names)])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _still_good(path: Path, names: list[str]) -> bool:
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    held = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    now = datetime.datetime.now(datetime.UTC)
    return held == _subject_names(names) and now + RENEW_BEFORE < certificate.not_valid_after_utc


def _certificate(key: ec.EllipticCurvePrivateKey, names: list[str]) -> x509.Certificate:
    itself = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Repartee on this machine")])
    now = datetime.datetime.now(datetime.UTC)
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    return (
        x509.CertificateBuilder()
        .subject_name(itself)
        .issuer_name(itself)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + LIFETIME)
        .add_extension(_subject_names(names), critical=False)
        .add_extension(usage, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )


def _write_private(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(pem)
