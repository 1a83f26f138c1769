"""The command on real recordings: Debian's Asterisk prompts, six voices by their names, one woman probably twice."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

from voice_verify.audio.decode import decode
from voice_verify.engine import Engine, pool
from voice_verify.engine.analysis import Analyser

PROMPTS = Path("/usr/share/asterisk/sounds")
VVCTL = Path(sys.executable).with_name("vvctl")
SESSIONS, SESSION_S = 2, 45


@pytest.fixture(scope="module")
def model_dir(root: Path) -> Path:
    folder = root / "build" / "model"
    if not (folder / "model.json").is_file():
        pytest.fail(f"no model in {folder}: make model builds it", pytrace=False)
    return folder


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sessions of prompts for each of the voices."""
    folder = tmp_path_factory.mktemp("calls")
    for voice in sorted(PROMPTS.glob("*_*_*")):
        prompts = iter(sorted(path for path in voice.rglob("*.wav") if soundfile.info(path).duration > 1.5))
        for session in range(SESSIONS):
            seconds = 0.0
            (folder / voice.name / f"call{session}").mkdir(parents=True)
            while seconds < SESSION_S:
                prompt = next(prompts)
                seconds += soundfile.info(prompt).duration
                (folder / voice.name / f"call{session}" / f"{seconds:05.0f}.wav").symlink_to(prompt)
    return folder


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def vvctl(*arguments: str | Path, model_dir: Path) -> subprocess.CompletedProcess[str]:
    command = [VVCTL, "profile", *arguments, "--model-dir", model_dir]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def test_analysis_second_by_second_is_the_voice_of_the_engine(model_dir: Path, calls: Path) -> None:
    samples = decode(next(calls.rglob("*.wav")).read_bytes(), max_minutes=1)
    engine, analysis = Engine(model_dir), Analyser(model_dir).analyse(samples)
    expected = pool([engine.analyse(samples)])
    assert expected.embedding is not None
    mean = analysis.embeddings.sum(axis=0)
    assert float(mean @ expected.embedding) == pytest.approx(float((mean @ mean) ** 0.5), rel=1e-4)
    assert (len(analysis.embeddings), analysis.audio_s) == (expected.net_speech_s, expected.audio_s)


def test_the_packaged_profile_is_measured_and_one_voice_with_two_names_found(
    model_dir: Path, calls: Path, cache: Path, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    done = vvctl("evaluate", "mixed", "--data", calls, "--json", "--html", page, "--cache", cache, model_dir=model_dir)
    assert done.returncode == 0, done.stderr
    content = json.loads(done.stdout)
    rows = {row["seconds"]: row for row in content["accuracy"][0]["rows"]}
    assert set(rows) >= {1, 2, 3, 5, 10}
    assert rows[10]["eer"] < 0.1
    assert rows[10]["cllr"] < rows[1]["cllr"] < 1
    (alike,) = [doubt for doubt in content["doubts"] if "two names" in doubt]
    assert "en_US_f_Allison and es_MX_f_Allison" in alike
    assert page.read_text(encoding="utf-8").count("<svg") == 4


def test_six_voices_are_too_few_to_fit_and_it_says_what_is_missing(
    model_dir: Path, calls: Path, cache: Path, tmp_path: Path
) -> None:
    done = vvctl(
        "fit", "--data", calls, "--name", "few", "--output", tmp_path / "out", "--cache", cache, model_dir=model_dir
    )
    assert done.returncode == 1
    assert "14 more speaker(s)" in done.stderr.replace("\n", " ")
    assert "hint:" in done.stderr
    assert not (tmp_path / "out" / "few.json").exists()


def test_embeddings_are_kept_for_their_owner_only(model_dir: Path, calls: Path, cache: Path) -> None:
    done = vvctl("evaluate", "mixed", "--data", calls, "--json", "--cache", cache, model_dir=model_dir)
    assert done.returncode == 0, done.stderr
    (folder,) = cache.iterdir()
    assert folder.stat().st_mode & 0o077 == 0
    assert len(list(folder.iterdir())) == 6 * SESSIONS


def test_recordings_are_asked_for(model_dir: Path) -> None:
    done = vvctl("evaluate", "mixed", model_dir=model_dir)
    assert done.returncode == 2
    assert "recordings are needed" in done.stderr
