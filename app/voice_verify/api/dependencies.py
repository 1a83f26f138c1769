"""What routes ask for, as annotated types."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, cast

from fastapi import Depends, Query, Request, Security
from fastapi.security import HTTPBearer

from voice_verify.errors import Forbidden
from voice_verify.services.container import Services
from voice_verify.services.keys import Caller, Role

READING = (Role.integrator, Role.operator, Role.viewer)

# Only for the schema: the key was checked by the middleware before the body was read.
bearer = HTTPBearer(auto_error=False, description="An API key")


# Dependencies are coroutines although they wait for nothing: plain functions would each cost a thread's hop.
async def services_of(request: Request) -> Services:
    return cast(Services, request.app.state.services)


def allow(*roles: Role) -> Any:
    """A dependency that lets callers through who have one of `roles`; raises Forbidden."""

    async def check(request: Request, _: Annotated[object, Security(bearer)]) -> None:
        require(request.state.caller, roles)

    return Depends(check)


def require(caller: Caller, roles: Sequence[Role]) -> None:
    """Raises Forbidden when the caller has none of `roles`."""
    if not caller.may(roles):
        raise Forbidden(
            f"This key has no role that may do this (it has {', '.join(sorted(caller.roles))})",
            hint=f"use a key with the role {' or '.join(roles)}",
        )


async def _metrics(request: Request) -> None:
    # The middleware lets callers from this machine through without a key.
    if hasattr(request.state, "caller"):
        require(request.state.caller, READING)


async def _caller(request: Request) -> Caller:
    return cast(Caller, request.state.caller)


ServicesDep = Annotated[Services, Depends(services_of)]
CallerDep = Annotated[Caller, Depends(_caller)]
Integrators = allow(Role.integrator)
Operators = allow(Role.operator)
IntegratorsAndOperators = allow(Role.integrator, Role.operator)
OperatorsAndViewers = allow(Role.operator, Role.viewer)
Billing = allow(Role.billing, Role.operator)
Readers = allow(*READING)
MetricsReaders = Depends(_metrics)
PageSize = Annotated[int, Query(ge=1, le=1000, description="How many to return at most")]
