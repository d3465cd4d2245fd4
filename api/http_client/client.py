"""Put the client together of the operations under every heading."""

from __future__ import annotations

from api.http_client.calls.audiences import AudiencesCalls
from api.http_client.calls.audit import AuditCalls
from api.http_client.calls.content import ContentCalls
from api.http_client.calls.coupons import CouponsCalls
from api.http_client.calls.customers import CustomersCalls
from api.http_client.calls.dead_letters import DeadLettersCalls
from api.http_client.calls.dry_runs import DryRunsCalls
from api.http_client.calls.event_catalogue import EventCatalogueCalls
from api.http_client.calls.events import EventsCalls
from api.http_client.calls.exports import ExportsCalls
from api.http_client.calls.flows import FlowsCalls
from api.http_client.calls.flows_that_run import FlowsThatRunCalls
from api.http_client.calls.groups_and_sharing_of_flows import GroupsAndSharingOfFlowsCalls
from api.http_client.calls.health import HealthCalls
from api.http_client.calls.keys import KeysCalls
from api.http_client.calls.links_and_callbacks import LinksAndCallbacksCalls
from api.http_client.calls.providers import ProvidersCalls
from api.http_client.calls.rejects import RejectsCalls
from api.http_client.calls.reports import ReportsCalls
from api.http_client.calls.sandbox import SandboxCalls
from api.http_client.calls.schema import SchemaCalls
from api.http_client.calls.segments import SegmentsCalls
from api.http_client.calls.suppressions import SuppressionsCalls
from api.http_client.calls.templates_of_flows import TemplatesOfFlowsCalls
from api.http_client.calls.tenants import TenantsCalls
from api.http_client.calls.users import UsersCalls
from api.http_client.calls.versions_of_flows import VersionsOfFlowsCalls
from api.http_client.calls.webhooks import WebhooksCalls
from api.http_client.connection import Connection


class HttpClient(
    AudiencesCalls,
    AuditCalls,
    ContentCalls,
    CouponsCalls,
    CustomersCalls,
    DeadLettersCalls,
    DryRunsCalls,
    EventCatalogueCalls,
    EventsCalls,
    ExportsCalls,
    FlowsCalls,
    FlowsThatRunCalls,
    GroupsAndSharingOfFlowsCalls,
    HealthCalls,
    KeysCalls,
    LinksAndCallbacksCalls,
    ProvidersCalls,
    RejectsCalls,
    ReportsCalls,
    SandboxCalls,
    SchemaCalls,
    SegmentsCalls,
    SuppressionsCalls,
    TemplatesOfFlowsCalls,
    TenantsCalls,
    UsersCalls,
    VersionsOfFlowsCalls,
    WebhooksCalls,
    Connection,
):
    """A client of the HTTP API; see `Connection` for what it is made with."""

    @property
    def _connection(self) -> Connection:  # type: ignore[override]
        return self
