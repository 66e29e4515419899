from __future__ import annotations

import ipaddress
import stat
from pathlib import Path

from cryptography import x509

from project.tls import self_signed

NAMES = ["localhost", "127.0.0.1", "[::1]", "my-laptop.local"]


def subject_names(path: Path) -> x509.SubjectAlternativeName:
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value


def test_the_certificate_is_for_every_name(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path / "tls", NAMES)
    held = subject_names(certificate)
    assert held.get_values_for_type(x509.DNSName) == ["localhost", "my-laptop.local"]
    addresses = [ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("::1")]
    assert held.get_values_for_type(x509.IPAddress) == addresses
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_it_is_kept_until_the_names_change(tmp_path: Path) -> None:
    certificate, _ = self_signed(tmp_path, NAMES)
    first = certificate.read_bytes()
    self_signed(tmp_path, NAMES)
    assert certificate.read_bytes() == first
    self_signed(tmp_path, [*NAMES, "192.0.2.7"])
    assert certificate.read_bytes() != first
