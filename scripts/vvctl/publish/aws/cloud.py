"""boto3 for one account: clients by region, attempts, and errors that say what to do."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.loaders import Loader

from vvctl.publish.aws.errors import AwsError, MissingPermission, NoCredentials, translate
from vvctl.publish.aws.retry import Patience, transient

if TYPE_CHECKING:
    from types_boto3_ebs.client import EBSClient
    from types_boto3_ec2.client import EC2Client
    from types_boto3_kms.client import KMSClient
    from types_boto3_sts.type_defs import GetCallerIdentityResponseTypeDef

P = ParamSpec("P")
T = TypeVar("T")

# Requests to the EBS direct API at once; a block takes it about 0.1 s, so 64 make some 300 MB a second.
WORKERS = 64
_TIMEOUT_S = 60


class Cloud:
    """An account as boto3's own chain of credentials opens it."""

    def __init__(self, region: str | None = None, patience: Patience | None = None) -> None:
        """`region`: default is what boto3 is configured for. Raises AwsError."""
        try:
            core = botocore.session.get_session()
            core.register_component("data_loader", _models())
            # A profile that is not there is told now, not at the first call.
            core.get_scoped_config()
            self._session = boto3.Session(botocore_session=core, region_name=region)
        except BotoCoreError as error:
            raise translate(error, "boto3") from error
        if self._session.region_name is None:
            raise AwsError("no region was named", hint="give --region, or set AWS_DEFAULT_REGION")
        self.region: str = self._session.region_name
        self.patience = patience or Patience()
        self.ec2: Callable[[str], EC2Client] = lru_cache(self._ec2)
        self.ebs: Callable[[str], EBSClient] = lru_cache(self._ebs)
        self.kms: Callable[[str], KMSClient] = lru_cache(self._kms)
        self.quotas: Callable[[str], Any] = lru_cache(self._quotas)

    @property
    def account(self) -> str:
        """The account's number; the first call that needs credentials."""
        return self._identity["Account"]

    @property
    def principal(self) -> str:
        """The ARN of whoever calls."""
        return self._identity["Arn"]

    @cached_property
    def _identity(self) -> GetCallerIdentityResponseTypeDef:
        sts = self._session.client("sts", config=self._config)
        return self.call(sts.get_caller_identity)

    def call(self, method: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a client's method until it succeeds; raises AwsError when it is refused or all attempts failed."""
        return self.attempt(lambda: method(*args, **kwargs), service_of(method))

    def require_right(self, method: Callable[..., Any], **request: Any) -> None:
        """Ask whether a call would be allowed; raises MissingPermission. Another refusal says nothing about rights."""
        try:
            self.call(method, DryRun=True, **request)
        except (MissingPermission, NoCredentials):
            raise
        except AwsError as error:
            if not isinstance(error.__cause__, ClientError):
                raise

    def attempt(self, work: Callable[[], T], service: str, retry: Callable[[AwsError], bool] = lambda _: False) -> T:
        """Do `work` until it succeeds; `retry` names refusals that pass, beside those that always may."""
        for attempt in range(1, self.patience.attempts + 1):
            if attempt > 1:
                self.patience.before(attempt)
            try:
                return work()
            except (ClientError, BotoCoreError) as error:
                translated = translate(error, service)
                if attempt == self.patience.attempts or not (transient(error) or retry(translated)):
                    raise translated from error
        raise AssertionError("the last attempt returns or raises")

    def until(self, look: Callable[[], T | None], what: str) -> T:
        """The first answer of `look` that is not None; raises AwsError when `what` takes too long."""
        deadline = time.monotonic() + self.patience.deadline
        looks = 0
        while (found := look()) is None:
            looks += 1
            if time.monotonic() > deadline:
                raise AwsError(f"{what} is not ready after {self.patience.deadline / 60:.0f} minutes", hint="run again")
            self.patience.look_again(looks)
        return found

    def _ec2(self, region: str) -> EC2Client:
        return self._session.client("ec2", region_name=region, config=self._config)

    def _ebs(self, region: str) -> EBSClient:
        return self._session.client("ebs", region_name=region, config=self._config)

    def _kms(self, region: str) -> KMSClient:
        return self._session.client("kms", region_name=region, config=self._config)

    def _quotas(self, region: str) -> Any:
        return self._session.client("service-quotas", region_name=region, config=self._config)

    @property
    def _config(self) -> Config:
        # Attempts are counted here: botocore's quota of retries, shared by all threads, runs out under throttling.
        return Config(
            retries={"total_max_attempts": 1},
            max_pool_connections=WORKERS,
            connect_timeout=_TIMEOUT_S,
            read_timeout=_TIMEOUT_S,
            tcp_keepalive=True,
        )


@lru_cache(maxsize=1)
def _models() -> Loader:
    """AWS's own descriptions of its services, read once for all sessions: that of EC2 takes a tenth of a second."""
    loader: Loader = botocore.session.get_session().get_component("data_loader")
    return loader


def service_of(method: Callable[..., Any]) -> str:
    """The IAM prefix of a client's method."""
    name: str = method.__self__.meta.service_model.service_name  # type: ignore[attr-defined]
    return name
