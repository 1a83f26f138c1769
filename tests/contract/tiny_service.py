"""`voice-verify`, with the tiny agent in its telephony process."""

from __future__ import annotations

from voice_verify.cli import main
from voice_verify.telephony import supervisor

if __name__ == "__main__":
    supervisor.MODULE = "tests.contract.tiny_agent"
    main()
