"""The telephony process: calls by SIP and RTP, streams for the service; `python -m voice_verify.telephony`."""
