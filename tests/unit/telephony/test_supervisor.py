"""What the telephony process is started with."""

from __future__ import annotations

from unittest.mock import Mock

import pytest

from voice_verify.processes.wire import MAX_CONTENT
from voice_verify.telephony import supervisor
from voice_verify.telephony.agent import TelephonyConfig


def test_no_process_is_left_over_by_a_configuration_that_cannot_be_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    started = Mock()
    monkeypatch.setattr(supervisor, "Process", started)
    config = TelephonyConfig(
        host="127.0.0.1",
        port=0,
        tls_port=None,
        tls_certificate=None,
        tls_key=None,
        ca_file=None,
        advertised="",
        public_port=0,
        public_tls_port=None,
        edge="",
        peers=(),
        accounts={"trunk": "p" * MAX_CONTENT},
        rtp_host="",
        rtp_first=0,
        rtp_last=0,
        pbx=(),
    )
    service = supervisor.Supervisor(lambda: config, Mock())
    service.start(wait_s=0.2)
    service.stop()
    assert service.restarts
    started.assert_not_called()
