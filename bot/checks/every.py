"""The list of checks. A check looks at the whole subject and yields findings; it knows no file system and no clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bot.checks import (
    acceptance_query,
    action_approver,
    bridge_map,
    broad_hiding,
    double_secret,
    duplicate_id,
    escalation_target,
    ical_person,
    idle_grouping,
    idle_inhibition,
    late_first,
    layer_order,
    long_timeout,
    maintenance_order,
    missing_fallback,
    no_ack_link,
    no_address,
    no_runbook,
    nobody,
    odd_label,
    override_order,
    reserved_id,
    tied_runbooks,
    undeclared_action,
    unknown_agent,
    unknown_alert,
    unknown_calendar,
    unknown_country,
    unknown_domain,
    unknown_owner,
    unknown_person,
    unknown_policy,
    unknown_route,
    unknown_runbook,
    unknown_severity,
    unknown_signal,
    unknown_target,
    unknown_webhook,
    webhook_body,
)
from bot.checks.subject import Subject
from bot.errors import Finding

Check = Callable[[Subject], Iterator[Finding]]

CHECKS: dict[str, Check] = {
    acceptance_query.CODE: acceptance_query.check,
    action_approver.CODE: action_approver.check,
    bridge_map.CODE: bridge_map.check,
    broad_hiding.CODE: broad_hiding.check,
    double_secret.CODE: double_secret.check,
    duplicate_id.CODE: duplicate_id.check,
    escalation_target.CODE: escalation_target.check,
    ical_person.CODE: ical_person.check,
    idle_grouping.CODE: idle_grouping.check,
    idle_inhibition.CODE: idle_inhibition.check,
    late_first.CODE: late_first.check,
    layer_order.CODE: layer_order.check,
    long_timeout.CODE: long_timeout.check,
    maintenance_order.CODE: maintenance_order.check,
    missing_fallback.CODE: missing_fallback.check,
    no_ack_link.CODE: no_ack_link.check,
    no_address.CODE: no_address.check,
    no_runbook.CODE: no_runbook.check,
    nobody.CODE: nobody.check,
    odd_label.CODE: odd_label.check,
    override_order.CODE: override_order.check,
    reserved_id.CODE: reserved_id.check,
    tied_runbooks.CODE: tied_runbooks.check,
    undeclared_action.CODE: undeclared_action.check,
    unknown_agent.CODE: unknown_agent.check,
    unknown_alert.CODE: unknown_alert.check,
    unknown_calendar.CODE: unknown_calendar.check,
    unknown_country.CODE: unknown_country.check,
    unknown_domain.CODE: unknown_domain.check,
    unknown_owner.CODE: unknown_owner.check,
    unknown_person.CODE: unknown_person.check,
    unknown_policy.CODE: unknown_policy.check,
    unknown_route.CODE: unknown_route.check,
    unknown_runbook.CODE: unknown_runbook.check,
    unknown_severity.CODE: unknown_severity.check,
    unknown_signal.CODE: unknown_signal.check,
    unknown_target.CODE: unknown_target.check,
    unknown_webhook.CODE: unknown_webhook.check,
    webhook_body.CODE: webhook_body.check,
}


def every_check(subject: Subject) -> Iterator[Finding]:
    for check in CHECKS.values():
        yield from check(subject)
