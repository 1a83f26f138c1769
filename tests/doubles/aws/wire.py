"""Requests and answers by AWS's own service models; moto brings the parsers and serializers for them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from xml.sax.saxutils import escape

from moto.core.parse import PROTOCOL_PARSERS
from moto.core.serialize import get_serializer_class
from moto.core.utils import get_service_model
from werkzeug.wrappers import Request, Response

from .refusal import Refusal

_SCOPE = re.compile(r"AWS4-HMAC-SHA256 Credential=[^/,]+/\d{8}/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request")
_SIGNED = re.compile(r"SignedHeaders=(?P<headers>[^,]+)")
_EBS_PATHS = (
    ("StartSnapshot", "POST", re.compile(r"/snapshots")),
    ("CompleteSnapshot", "POST", re.compile(r"/snapshots/completion/(?P<snapshotId>[^/]+)")),
    ("ListSnapshotBlocks", "GET", re.compile(r"/snapshots/(?P<snapshotId>[^/]+)/blocks")),
    ("PutSnapshotBlock", "PUT", re.compile(r"/snapshots/(?P<snapshotId>[^/]+)/blocks/(?P<blockIndex>\d+)")),
    ("GetSnapshotBlock", "GET", re.compile(r"/snapshots/(?P<snapshotId>[^/]+)/blocks/(?P<blockIndex>\d+)")),
)
PROTOCOLS = {"ec2": "ec2", "ebs": "rest-json", "servicequotas": "json"}
# As moto knows them, where that is not the name in the signature.
_MODELS = {"servicequotas": "service-quotas"}


@dataclass(frozen=True)
class Call:
    """Which operation of which service in which region."""

    service: str
    region: str
    operation: str
    url_params: dict[str, str]
    signed_headers: frozenset[str]

    @property
    def action(self) -> str:
        """As an IAM policy names it."""
        return f"{self.service}:{self.operation}"


def identify(request: Request) -> Call:
    """What is called; raises Refusal for a request that is not signed (SigV4)."""
    authorization = request.headers.get("Authorization", "")
    scope, signed = _SCOPE.match(authorization), _SIGNED.search(authorization)
    if not scope or not signed:
        raise Refusal("MissingAuthenticationToken", "Request is missing Authentication Token", status=403)
    service, operation, params = scope["service"], "", {}
    if service == "ebs":
        for name, method, path in _EBS_PATHS:
            if request.method == method and (found := path.fullmatch(request.path)):
                operation, params = name, found.groupdict()
    elif "X-Amz-Target" in request.headers:
        operation = request.headers["X-Amz-Target"].rpartition(".")[2]
    elif service in {"ec2", "sts"}:
        operation = request.form.get("Action", "")
    else:
        operation = request.method
    return Call(service, scope["region"], operation, params, frozenset(signed["headers"].split(";")))


@lru_cache
def _operation(service: str, name: str) -> Any:
    return get_service_model(_MODELS.get(service, service)).operation_model(name)


def parse(call: Call, request: Request) -> dict[str, Any]:
    """The parameters, typed as the service model says."""
    parser = PROTOCOL_PARSERS[PROTOCOLS[call.service]](_operation(call.service, call.operation))
    return parser.parse(
        {
            "body": request.get_data(),
            "headers": request.headers,
            "method": request.method,
            "url_params": call.url_params,
            "url_path": request.path,
            "values": request.values,
        }
    )


def answer(call: Call, result: dict[str, Any]) -> Response:
    """`result` as the service model says."""
    model = _MODELS.get(call.service, call.service)
    serializer = get_serializer_class(model, PROTOCOLS[call.service])(_operation(call.service, call.operation))
    serialized = serializer.serialize(result)
    return Response(serialized["body"], serialized["status_code"], serialized["headers"])


def refuse(call: Call | None, refusal: Refusal) -> Response:
    """An error as `call`'s service writes it."""
    if call is not None and call.service not in {"ec2", "sts"}:
        body = {"message": refusal.message} | ({"Reason": refusal.reason} if refusal.reason else {})
        headers = {"Content-Type": "application/json", "x-amzn-ErrorType": refusal.code}
        return Response(json.dumps(body), refusal.status, headers)
    error = f"<Code>{escape(refusal.code)}</Code><Message>{escape(refusal.message)}</Message>"
    if call is not None and call.service == "sts":
        xml = f"<ErrorResponse><Error>{error}</Error><RequestId>double</RequestId></ErrorResponse>"
    else:
        xml = f"<Response><Errors><Error>{error}</Error></Errors><RequestID>double</RequestID></Response>"
    return Response(f'<?xml version="1.0" encoding="UTF-8"?>{xml}', refusal.status, {"Content-Type": "text/xml"})
