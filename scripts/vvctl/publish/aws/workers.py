"""Many calls at once, of which the first failure ends all."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from vvctl.publish.aws.cloud import WORKERS
from vvctl.publish.aws.retry import Patience, Stopped

# Blocks that wait for a worker; more would only take memory.
_AHEAD = WORKERS


def spread(work: Callable[..., None], items: Iterable[tuple[Any, ...]], patience: Patience) -> None:
    """Call `work(*item)` for every item, WORKERS at once; raises the first error, after the others have stopped."""
    slots = threading.BoundedSemaphore(WORKERS + _AHEAD)
    failures: list[BaseException] = []

    def done(future: Future[None]) -> None:
        slots.release()
        if not future.cancelled() and (error := future.exception()) is not None:
            if not isinstance(error, Stopped):
                failures.append(error)
            patience.stop.set()

    with ThreadPoolExecutor(WORKERS, thread_name_prefix="aws") as pool:
        try:
            for item in items:
                slots.acquire()
                if patience.stop.is_set():
                    break
                pool.submit(work, *item).add_done_callback(done)
            else:
                # Every slot is free again when everything is done; unlike shutdown, this can be interrupted.
                for _ in range(WORKERS + _AHEAD):
                    slots.acquire()
        except BaseException:
            patience.stop.set()
            raise
        finally:
            pool.shutdown(cancel_futures=True)
            # What comes after this work is not stopped by it.
            patience.stop.clear()
    if failures:
        raise failures[0]
