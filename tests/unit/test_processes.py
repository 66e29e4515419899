"""The ports that tests give to servers."""

from __future__ import annotations

import random
import socket
from pathlib import Path

import pytest

from tests.processes import PORTS, free_port

LENT = Path("/proc/sys/net/ipv4/ip_local_port_range")


def test_no_outgoing_connection_takes_a_chosen_port() -> None:
    if not LENT.exists() or int(LENT.read_text().split()[0]) < max(PORTS):
        pytest.skip("a system that lends other ports than Linux unless it is told to")
    assert free_port() in PORTS


def test_a_port_on_which_somebody_listens_is_not_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", free_port())) as taken:
        monkeypatch.setattr("tests.processes.PORTS", [taken.getsockname()[1]] * 100)
        with pytest.raises(OSError, match="no free port"):
            free_port()


def test_processes_that_are_seeded_alike_choose_different_ports() -> None:
    chosen = set()
    for _ in range(20):
        random.seed(0)
        chosen.add(free_port())
    assert len(chosen) > 1
