from __future__ import annotations

import numpy as np
import pytest

from voice_verify.engine import AudioSourceProfile, packaged_profile
from vvctl.profile.calibration import Calibration
from vvctl.profile.crossvalidation import Start
from vvctl.profile.normalisation import Normalisation

from .synthetic import DIMENSIONS


@pytest.fixture(scope="session")
def plain() -> Normalisation:
    """Leaves embeddings as they are."""
    return Normalisation(np.zeros(DIMENSIONS), np.eye(DIMENSIONS))


@pytest.fixture(scope="session")
def start(plain: Normalisation) -> Start:
    return Start(plain, Calibration(16.0, -4.1, 4.2, -6.2, 1, 20))


@pytest.fixture(scope="session")
def base() -> AudioSourceProfile:
    """The packaged profile, with a normalisation that leaves synthetic embeddings as they are."""
    return packaged_profile("mixed").model_copy(
        update={"mean": np.zeros(DIMENSIONS, np.float32), "wccn": np.eye(DIMENSIONS, dtype=np.float32)}
    )
