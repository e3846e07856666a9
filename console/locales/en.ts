/** English, by the ids of the Chinese source. */
export const templates: Record<string, string> = {
  loading: "Reading…", "no-network": "The service cannot be reached", "read-at": "Read at", asked: "asked", left: "left", correlation: "Correlation id", limit: "Limit", used: "Used",
  "chart-label": "Use of the host quota by department; the table below has the same figures", "usage-title": "Usage and quotas", "no-departments": "There are no departments yet. Import some with zhengyun city import.",
  month: "Month", "export-register": "Export the resource register (CSV)", "chart-title": "Hosts: used and limit", "usage-caption": "Usage per department, with everything below it: used / limit", department: "Department", hosts: "Hosts",
  "memory-gib": "Memory, GiB", "storage-gib": "Storage, GiB", backups: "Backups", "quota-used": "Quota used", uptime: "Uptime", open: "Open", close: "Close", requests: "Requests", state: "State", "new-request": "New request",
  "no-requests": "No request is in this state.", number: "Number", title: "Subject", items: "Items", created: "Created", "only-operations": "Only operations staff decide.", "only-planned": "Only a request that awaits a decision can be decided on.",
  "reason-needed": "A rejection needs a reason.", submit: "Submit", decision: "Decision", reason: "Reason", approve: "Approve this plan", reject: "Reject", withdraw: "Withdraw", "request-items": "Items", kind: "Kind", name: "Name", action: "Action", result: "Result",
  "change-plan": "Change plan", "plan-source": "By a Pulumi preview of", charge: "Quota charge", steps: "steps", "no-hosts": "No hosts.", specification: "Specification", image: "Image", pool: "Pool", opened: "Opened", "no-volumes": "No volumes.",
  "really-used": "Really used", "attached-to": "Attached to", "back-up": "Back up now", "no-backups": "No backups yet.", completed: "Completed", size: "Size", site: "Kept at", restore: "Restore…",
  "restore-warning": "A restore replaces what the volume holds now; that is lost. Type the volume's name to confirm:", "restore-now": "Replace the content", cancel: "Cancel", "no-applications": "There are no applications yet: ask operations to register one.",
  application: "Application", project: "Project", count: "Count", ports: "TCP ports", "ssh-keys": "SSH public keys, one a line", addresses: "Addresses, one a line", "volume-size": "Size, GiB (0: none)", tier: "Tier", nightly: "Nightly backup",
  "quota-left": "Quota left", "no-project": "The department has no approved or operating project.", skip: "Skip to content", "main-nav": "Main", live: "live", "not-live": "not connected", "sign-out": "Sign out", "no-page": "There is no such page.",
  "sign-in": "Sign in", "sign-in-how": "Sign in by a one-time link. Operations make one with:",
  "s-running": "running", "s-stopped": "stopped", "s-crashed": "crashed", "s-missing": "missing", "s-unknown": "unknown", "s-present": "present", "s-live": "live", "s-wanted": "to be made", "s-proposed": "proposed", "s-retiring": "being retired", "s-gone": "gone",
  "s-failed": "failed", "s-draft": "draft", "s-submitted": "submitted, being planned", "s-planned": "awaits decision", "s-waiting": "waits for capacity", "s-approved": "approved", "s-applying": "being applied", "s-active": "active", "s-rejected": "rejected",
  "s-withdrawn": "withdrawn", "s-pending": "pending", "s-complete": "complete", "s-expired": "expired", "s-cancelled": "cancelled",
  "k-host": "host", "k-volume": "volume", "k-attachment": "attachment", "k-policy": "backup policy", "a-create": "create", "a-update": "update", "a-replace": "replace", "a-delete": "delete", "a-resize": "resize", "a-extend": "extend", "a-start": "start", "a-stop": "stop", "a-retire": "retire",
};
