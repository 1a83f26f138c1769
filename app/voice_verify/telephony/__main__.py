"""`python -m voice_verify.telephony SOCKET`: started by the service with one end of a socket pair."""

from __future__ import annotations

from voice_verify.telephony.host import run
from voice_verify.telephony.uas import TelephonyAgent

if __name__ == "__main__":
    run(TelephonyAgent())
