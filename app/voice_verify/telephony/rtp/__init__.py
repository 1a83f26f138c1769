"""RTP, SRTP and RTCP of incoming calls: ports, packets, codecs, blocks of audio on a timeline."""

from voice_verify.telephony.rtp.codecs import Codec, Output, find_codec
from voice_verify.telephony.rtp.media import Address, MediaFormat
from voice_verify.telephony.rtp.ports import NoPorts, PortPair, PortPool
from voice_verify.telephony.rtp.receiver import RtpReceiver
from voice_verify.telephony.rtp.srtp import SUITES, SrtpKeys, new_key
from voice_verify.telephony.rtp.stats import RtpStats
from voice_verify.telephony.rtp.stream import RtpStream

__all__ = [
    "SUITES",
    "Address",
    "Codec",
    "MediaFormat",
    "NoPorts",
    "Output",
    "PortPair",
    "PortPool",
    "RtpReceiver",
    "RtpStats",
    "RtpStream",
    "SrtpKeys",
    "find_codec",
    "new_key",
]
