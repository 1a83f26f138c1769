"""What the callers say: Debian's Asterisk prompts in turns, comfort noise while the other side talks."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from voice_verify.engine import SAMPLE_RATE
from voice_verify.engine.model import VAD_CONTEXT, VAD_WINDOW, VadNetwork
from voice_verify.engine.pipeline import SPEECH_THRESHOLD

PROMPTS = Path("/usr/share/asterisk/sounds")
VOICES = ("en_US_f_Allison", "fr_CA_f_June", "it_IT_f_Menardi", "it_IT_m_Carlo", "ru_RU_f_IvrvoiceRU")
SPEECH_SHARE = 0.63
"""Net speech in a caller's leg, as the incumbent's sizing assumes it."""
LOOP_S = 180
"""A call that lasts longer hears its conversation again; calls of one voice begin at different places of it."""
TURN_S = (2.0, 12.0)
ENROLMENT_S = 28
# Of each voice, to find its share of speech.
PROBE_S = 100
# Comfort noise as a gateway makes it, well below speech.
NOISE_DBFS = -62
# Shorter prompts are digits, beeps and noises.
MINIMUM_PROMPT_S = 1.5
# Prompts to enrol with; a conversation is made of others.
ENROLMENT_PROMPTS = "vm-*.wav"


@dataclass(frozen=True)
class Conversation:
    """The leg of one caller: `samples` is 16-bit PCM at 8 kHz, `turns` are the seconds where talking begins."""

    voice: str
    samples: NDArray[np.int16]
    turns: tuple[float, ...]

    def alaw(self) -> bytes:
        """One byte a sample."""
        file = io.BytesIO()
        soundfile.write(file, self.samples, SAMPLE_RATE, format="RAW", subtype="ALAW")
        return file.getvalue()


def conversations(vad: VadNetwork) -> list[Conversation]:
    """One conversation a voice in which the engine's own VAD finds SPEECH_SHARE of speech."""
    randoms = [np.random.default_rng(index) for index in range(len(VOICES))]
    talks = [_talk(voice, random) for voice, random in zip(VOICES, randoms, strict=True)]
    # Prompts hold pauses of their own, and voices differ in that.
    shares = _speech_shares(vad, np.stack([talk[: PROBE_S * SAMPLE_RATE] for talk in talks]))
    return [
        _conversation(voice, talk, float(share) / SPEECH_SHARE - 1, random)
        for voice, talk, share, random in zip(VOICES, talks, shares, randoms, strict=True)
    ]


def enrolment(voice: str) -> bytes:
    """A recording (WAV) to enrol `voice` with: more than 20 s of net speech."""
    file = io.BytesIO()
    joined = np.concatenate(_prompts(voice, enrol=True))[: ENROLMENT_S * SAMPLE_RATE]
    soundfile.write(file, joined, SAMPLE_RATE, format="WAV", subtype="PCM_16")
    return file.getvalue()


def _conversation(
    voice: str, talk: NDArray[np.int16], pause_per_talk: float, random: np.random.Generator
) -> Conversation:
    parts: list[NDArray[np.int16]] = []
    turns: list[float] = []
    position = length = 0
    while length < LOOP_S * SAMPLE_RATE:
        turn = talk[position : position + int(random.uniform(*TURN_S) * SAMPLE_RATE)]
        turns.append(length / SAMPLE_RATE)
        parts += [turn, _noise(int(len(turn) * pause_per_talk), random)]
        position = (position + len(turn)) % (len(talk) - int(TURN_S[1] * SAMPLE_RATE))
        length += len(parts[-2]) + len(parts[-1])
    return Conversation(voice, np.concatenate(parts), tuple(turns))


def _speech_shares(vad: VadNetwork, talks: NDArray[np.int16]) -> NDArray[np.float64]:
    """The share of speech in each of `talks` (n, samples)."""
    audio = np.pad(talks.astype(np.float32) / np.float32(32768), ((0, 0), (VAD_CONTEXT, 0)))
    states = np.stack([vad.initial_state()] * len(talks))
    speech = []
    for start in range(0, talks.shape[1] - VAD_WINDOW, VAD_WINDOW):
        window = np.ascontiguousarray(audio[:, start : start + VAD_CONTEXT + VAD_WINDOW])
        probabilities, states = vad.speech(window, states)
        speech.append(probabilities > SPEECH_THRESHOLD)
    shares: NDArray[np.float64] = np.mean(speech, axis=0)
    return shares


def _talk(voice: str, random: np.random.Generator) -> NDArray[np.int16]:
    prompts = _prompts(voice, enrol=False)
    random.shuffle(prompts)
    return np.concatenate(prompts)


def _noise(length: int, random: np.random.Generator) -> NDArray[np.int16]:
    return random.normal(0, 32768 * 10 ** (NOISE_DBFS / 20), length).astype(np.int16)


def _prompts(voice: str, *, enrol: bool) -> list[NDArray[np.int16]]:
    folder = PROMPTS / voice
    chosen = set(folder.glob(ENROLMENT_PROMPTS))
    files = sorted(chosen if enrol else set(folder.glob("*.wav")) - chosen)
    prompts = [soundfile.read(file, dtype="int16")[0] for file in files]
    long = [prompt for prompt in prompts if len(prompt) >= MINIMUM_PROMPT_S * SAMPLE_RATE]
    if not long:
        raise SystemExit(f"no speech in {folder}: make deps-test installs it")
    return long
