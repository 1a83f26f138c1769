"""The one operation of Service Quotas that is asked for."""

from __future__ import annotations

from typing import Any

from .refusal import Refusal
from .state import Account
from .wire import Call


class Quotas:
    """One method an operation, named as AWS names it."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def GetServiceQuota(self, call: Call, params: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        value = self._account.region(call.region).quotas.get((params["ServiceCode"], params["QuotaCode"]))
        if value is None:
            raise Refusal("NoSuchResourceException", f"There is no quota {params['QuotaCode']}")
        return {"Quota": {"ServiceCode": params["ServiceCode"], "QuotaCode": params["QuotaCode"], "Value": value}}
