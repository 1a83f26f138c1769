"""Voice Verify: live speaker verification for call centres."""

from __future__ import annotations

import os

from voice_verify._generated import __version__

# numpy's products are small here: BLAS threads made the features of a second of speech cost 4.6 ms instead of 0.3.
# It must stand before the first import of numpy.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# onnxruntime would otherwise send usage data home.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__all__ = ["__version__"]
