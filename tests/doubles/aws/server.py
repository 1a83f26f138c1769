"""The double as an HTTP server: counts, checks rights, injects faults, answers itself or asks moto.

`python -m tests.doubles.aws PORT FOLDER` runs it alone; tests run it in a thread and look into its account.
"""

from __future__ import annotations

import contextlib
import io
import socket
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

from tests.doubles import appliance

from .ebs import Ebs
from .ec2 import Ec2
from .faults import Fault, Faults
from .quotas import Quotas
from .refusal import Refusal
from .state import ACCOUNT, Account
from .wire import Call, answer, identify, parse, refuse

# EC2 takes a signature for so long.
_SKEW_S = 300
_USER = f"arn:aws:iam::{ACCOUNT}:user/release"


class Aws:
    """The WSGI application, and what a test may set and see."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._moto = DomainDispatcherApplication(create_backend_app)
        self.reset()

    def reset(self) -> None:
        """Begin anew with an empty account; what moto keeps stays."""
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        self.account = Account(folder)
        self.ebs, self.ec2 = Ebs(self.account), Ec2(self.account)
        self.quotas = Quotas(self.account)
        self.faults = Faults()
        # Calls that change something, numbered together, with the harm that the upgrade's fault matrix does to them.
        self.mutations = appliance.Faults()
        # What every call is refused with: an expired session.
        self.refuses_all: str | None = None
        # How far AWS's clock is ahead of this computer's.
        self.clock_s = 0.0
        # What an IAM policy allows, as service:Operation; None allows everything.
        self.allowed: set[str] | None = None
        self.calls: list[Call] = []

    @property
    def counts(self) -> Counter[str]:
        """How often each operation was called."""
        return Counter(call.operation for call in list(self.calls))

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        request = Request(environ)
        if "/s3/aws4_request" in request.headers.get("Authorization", ""):
            return self._moto(environ, start_response)
        call = None
        try:
            # Before anything else, so that a connection that is kept alive is not left with a body.
            body = request.get_data(cache=True, parse_form_data=False)
            call = identify(request)
            self._check_session(request)
            self.calls.append(call)
            fault = self.faults.take(call.operation)
            if fault:
                _strike(fault, environ)
            response = self._answer(call, request, body, environ)
        except Refusal as refusal:
            response = refuse(call, refusal)
            fault = None
        except appliance.HungUp:
            _hang_up(environ)
            response = Response()
        if fault and fault.kind == "drop_after":
            _hang_up(environ)
        return response(environ, start_response)

    def _answer(self, call: Call, request: Request, body: bytes, environ: dict[str, Any]) -> Response:
        services = {"ebs": self.ebs, "ec2": self.ec2, "servicequotas": self.quotas}
        own = getattr(services.get(call.service), call.operation, None)
        if own is None:
            self._check_rights(call, {})
            return Response.from_app(self._moto, {**environ, "wsgi.input": io.BytesIO(body)})
        params = parse(call, request)
        self._check_rights(call, params)
        if params.pop("DryRun", False):
            raise Refusal("DryRunOperation", "Request would have succeeded, but DryRun flag is set.", status=412)
        if call.service == "ebs":
            return answer(call, own(call, params))
        # The EBS direct API writes blocks at once and locks what it must itself.
        with self._as_refusals(call), self.account.lock:
            return answer(call, own(call, params))

    @contextlib.contextmanager
    def _as_refusals(self, call: Call) -> Iterator[None]:
        """Carry out a call of EC2, with the harm that is armed for it."""
        if call.operation.startswith(("Describe", "Get")):
            yield
            return
        try:
            with self.mutations.mutation(call.operation):
                yield
        except appliance.Refused:
            raise Refusal("OperationNotPermitted", "refused on purpose") from None
        except appliance.Unavailable:
            raise Refusal("Unavailable", "The service is unavailable. Please try again shortly.", status=503) from None

    def _check_session(self, request: Request) -> None:
        if self.refuses_all is not None:
            raise Refusal(self.refuses_all, "refused on purpose", status=403)
        signed = _parse_date(request.headers["X-Amz-Date"])
        if abs(time.time() + self.clock_s - signed) > _SKEW_S:
            raise Refusal("AuthFailure", "AWS was not able to validate the provided access credentials", status=401)

    def _check_rights(self, call: Call, params: dict[str, Any]) -> None:
        needed = [call.action]
        if params.get("Tags") or params.get("TagSpecifications"):
            needed.append("ec2:CreateTags")
        # Whoever has credentials may ask who it is.
        for action in needed if self.allowed is not None and call.service != "sts" else []:
            if action not in self.allowed:  # type: ignore[operator]
                code = "UnauthorizedOperation" if call.service == "ec2" else "AccessDeniedException"
                raise Refusal(
                    code,
                    f"User: {_USER} is not authorized to perform: {action} because no identity-based policy "
                    f"allows the {action} action",
                    status=403,
                )


def _parse_date(text: str) -> float:
    """The time of X-Amz-Date."""
    return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()


def _strike(fault: Fault, environ: dict[str, Any]) -> None:
    if fault.kind == "drop_before":
        _hang_up(environ)
        raise Refusal("Dropped", "nobody reads this")
    if fault.kind == "unavailable":
        raise Refusal("ServiceUnavailable", "The service is unavailable", status=503)
    if fault.kind == "throttle":
        raise Refusal("RequestThrottledException", "Rate exceeded", reason="ACCOUNT_THROTTLED")
    if fault.kind == "refuse":
        raise Refusal(fault.code, "refused on purpose", reason=fault.reason)


def _hang_up(environ: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):
        environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)


class _Quiet(MotoRequestHandler):
    """Unlike AWS, it closes the connection after each answer: werkzeug knows no other way."""

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002
        pass

    def date_time_string(self, timestamp: float | None = None) -> str:  # noqa: ARG002
        """By the clock of the double."""
        aws: Aws = self.server.app  # type: ignore[attr-defined]
        return super().date_time_string(time.time() + aws.clock_s)


@contextlib.contextmanager
def serve(aws: Aws, port: int = 0) -> Iterator[str]:
    """Run the double on the loopback; yields its URL."""
    server = make_server("127.0.0.1", port, aws, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
