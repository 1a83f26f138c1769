"""Makes scripts/vvctl/model/calibration.npz: what the int8 network is calibrated on.

48 chunks of one second of speech as the engine embeds them, mean-subtracted features of (100, 80), through A-law and
µ-law, a third clean, a third with white noise 20 dB under the prompt and a third 10 dB under it. Stored in 8 bits,
because calibration takes nothing but ranges from them. It runs once, after `make model`:

    .venv/bin/python tests/unit/model/make_calibration.py scripts/vvctl/model/calibration.npz

The speech is Debian's packages asterisk-core-sounds-{en,es,fr,it,ru}-wav, CC-BY-SA-3.0, by Allison Smith (2003-2010),
June Wallack (2006-2008), Carlo Flora (2012, www.segreterietelefoniche.it) and Maxim (2010). The features of single
seconds do not let a word be heard, and neither they nor the file become part of the appliance.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from voice_verify.audio import g711
from voice_verify.engine import SAMPLE_RATE
from voice_verify.engine.model import read_model_info
from voice_verify.engine.pipeline import Pipeline
from vvctl.appliance import find_root

PROMPTS = Path("/usr/share/asterisk/sounds")
SPEAKERS = ["en_US_f_Allison", "es_MX_f_Allison", "fr_CA_f_June", "it_IT_m_Carlo", "ru_RU_f_IvrvoiceRU"]
LAWS = [g711.decode_alaw, g711.decode_mulaw]
SNR_DB = [None, 20, 10]
CHUNKS_EACH = 8
"""Of each of the six combinations of law and noise."""
SECONDS = 30


def prompts(speaker: str) -> NDArray[np.float32]:
    """All prompts of at least 1.5 s, one after another; shorter ones are digits and beeps."""
    recordings = [soundfile.read(file, dtype="float32")[0] for file in sorted((PROMPTS / speaker).rglob("*.wav"))]
    return np.concatenate([recording for recording in recordings if len(recording) >= 1.5 * SAMPLE_RATE])


def through(law: Callable[[bytes], NDArray[np.float32]], samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """`samples` as a telephone line hands them over: the nearest of the 256 values that the law knows."""
    values = np.sort(law(bytes(range(256))))
    return values[np.searchsorted((values[1:] + values[:-1]) / 2, samples)]


def chunks(pipeline: Pipeline, samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """The chunks of speech in `samples`, (n, 100, 80)."""
    stream = pipeline.new_stream()
    starts = range(0, len(samples), SAMPLE_RATE)
    blocks = (samples[start : start + SAMPLE_RATE] for start in starts)
    found = [chunk for block in blocks for chunk in pipeline.advance([(stream, [block])])]
    return np.stack([chunk.features for chunk in found])


def main(output: str) -> None:
    model = find_root(Path(__file__).parent) / "build" / "model"
    pipeline = Pipeline(model, read_model_info(model), 1)
    recordings = [prompts(speaker) for speaker in SPEAKERS]
    random = np.random.default_rng(48)
    selected = []
    for number, (law, snr_db) in enumerate((law, snr_db) for law in LAWS for snr_db in SNR_DB):
        for index in range(CHUNKS_EACH):
            # Another speaker each time, and other words each time.
            recording = recordings[(number + index) % len(SPEAKERS)]
            start = (number * CHUNKS_EACH + index) * 5 * SAMPLE_RATE % (len(recording) - SECONDS * SAMPLE_RATE)
            samples = recording[start : start + SECONDS * SAMPLE_RATE]
            if snr_db is not None:
                level = np.sqrt((samples**2).mean()) * 10 ** (-snr_db / 20)
                samples = samples + (level * random.standard_normal(len(samples))).astype(np.float32)
            speech = chunks(pipeline, through(law, samples))
            selected.append(speech[index % len(speech)])
    features = np.stack(selected)
    offset, scale = features.min(), np.ptp(features) / 255
    levels = np.round((features - offset) / scale).astype(np.uint8)
    np.savez_compressed(output, levels=levels, offset=np.float32(offset), scale=np.float32(scale))


if __name__ == "__main__":
    main(*sys.argv[1:])
