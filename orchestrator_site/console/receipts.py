"""The console's list of receipts and the page of a receipt."""

from typing import Any, Final
from urllib.parse import urlencode

from django.contrib import admin
from django.db.models import F, Func, JSONField, OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from orchestrator_site.console.formats import short_name
from orchestrator_site.console.lists.filters import ClientFilter, DayFilter
from orchestrator_site.console.lists.read_only import ReadOnlyModelAdmin
from orchestrator_site.console.receipt_words import sentence
from safety.findings import CUSTOM_TYPE, INJECTION_TYPES, PII_TYPES
from safety.models import Occasion, Receipt, ReceiptQuerySet
from tasks.models import Client

NOTHING: Final = "-"
TYPES: Final = sorted(PII_TYPES | INJECTION_TYPES | {CUSTOM_TYPE})
FIRST_FINDINGS: Final = Func(
    F("findings"),
    template="jsonb_path_query_array(%(expressions)s, '$[0 to 9]')",
    output_field=JSONField(),
)


class TypeFilter(admin.SimpleListFilter):
    title = "type of finding"
    parameter_name = "type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in TYPES]

    def queryset(self, request: HttpRequest, queryset: Any) -> QuerySet[Receipt]:
        receipts: ReceiptQuerySet = queryset
        name = self.value()
        if name is None:
            return receipts
        if name not in TYPES:
            raise ValueError("no type of finding")
        return receipts.with_finding_of_type(name)


class ReceiptAdmin(ReadOnlyModelAdmin):
    list_filter = ("occasion", "verdict", DayFilter, TypeFilter, ClientFilter)
    search_fields = ("request_id__exact",)
    search_help_text = "A request id, in full."
    # The dashboard links to hours, and to several verdicts; a receipt to the answers of its task.
    lookups = frozenset(
        {
            "occasion__exact",
            "subject_id__exact",
            "verdict__exact",
            "verdict__in",
            "created_at__gte",
            "created_at__lt",
            "from",
            "to",
            "type",
            "client",
        }
    )
    ordering = ("-created_at",)
    # No index serves the others.
    sortable_by = ("time",)

    def get_list_display(self, request: HttpRequest) -> Any:
        return (
            "time",
            "occasion",
            "verdict_and_why",
            _task_column(request),
            "client_name",
            "client_address",
            "request_id",
            "duration_ms",
        )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Receipt]:
        """Leave most findings to the page of one receipt: those of a list would fill the memory."""
        client = Client.objects.filter(pk=OuterRef("client_id")).values("name")
        receipts: QuerySet[Receipt] = (
            super().get_queryset(request).annotate(client_name=Subquery(client))
        )
        match = request.resolver_match
        if match is None or match.url_name != "safety_receipt_changelist":
            return receipts
        return receipts.defer("findings").annotate(first_findings=FIRST_FINDINGS)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return [
            name for _, options in self.get_fieldsets(request, obj) for name in options["fields"]
        ]

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        verdict = ("time", "occasion", "verdict_and_why", "policy_version", "duration_ms")
        findings = ("types_found", "types_redacted", "findings_count", "findings_table")
        origin = (_task_column(request), "answers", "client", "client_address", "request_id")
        reflex_layer = ("reflex_request_id",)
        return (
            ("Verdict", {"fields": verdict}),
            ("Findings", {"fields": findings}),
            ("Origin", {"fields": origin}),
            ("Reflex Layer", {"fields": reflex_layer}),
        )

    @admin.display(description="time (UTC)", ordering="created_at")
    def time(self, receipt: Receipt) -> str:
        return f"{receipt.created_at:%Y-%m-%d %H:%M:%S}"

    @admin.display(description="verdict")
    def verdict_and_why(self, receipt: Receipt) -> str:
        first = vars(receipt).get("first_findings")
        return sentence(receipt, receipt.findings if first is None else first)

    @admin.display(description="types found")
    def types_found(self, receipt: Receipt) -> str:
        return ", ".join(receipt.types) or NOTHING

    @admin.display(description="types redacted")
    def types_redacted(self, receipt: Receipt) -> str:
        return ", ".join(receipt.redacted_types) or NOTHING

    @admin.display(description="task")
    def task(self, receipt: Receipt) -> str:
        return NOTHING if receipt.subject_id is None else f"{str(receipt.subject_id)[:8]}…"

    @admin.display(description="task")
    def task_link(self, receipt: Receipt) -> str:
        if receipt.subject_id is None:
            return NOTHING
        url = reverse("admin:tasks_task_change", args=[receipt.subject_id])
        return format_html('<a href="{}">{}…</a>', url, str(receipt.subject_id)[:8])

    @admin.display(description="answers of its arms")
    def answers(self, receipt: Receipt) -> str:
        if receipt.subject_id is None:
            return NOTHING
        filters = {
            "occasion__exact": Occasion.ANSWER.value,
            "subject_id__exact": receipt.subject_id,
        }
        url = f"{reverse('admin:safety_receipt_changelist')}?{urlencode(filters)}"
        return format_html('<a href="{}">See their receipts</a>', url)

    @admin.display(description="client")
    def client(self, receipt: Any) -> str:
        return receipt.client_name or "anonymous"

    @admin.display(description="client")
    def client_name(self, receipt: Any) -> str:
        return short_name(self.client(receipt))

    @admin.display(description="duration (ms)")
    def duration_ms(self, receipt: Receipt) -> str:
        return f"{receipt.duration_seconds * 1000:.1f}"

    @admin.display(description="findings")
    def findings_table(self, receipt: Receipt) -> str:
        if not receipt.findings:
            return NOTHING
        row = "<tr>" + "<td>{}</td>" * 4 + '<td class="whole">{}</td></tr>'
        return format_html(
            '<table class="stacks">'
            "<thead><tr><th>Kind</th><th>Type</th><th>Severity</th><th>Confidence</th>"
            "<th>Field and characters</th></tr></thead><tbody>{}</tbody></table>{}",
            format_html_join("", row, map(_cells, receipt.findings)),
            _rest(receipt),
        )


def _task_column(request: HttpRequest) -> str:
    """Return the column with a link for those who may follow it, else the one without."""
    return "task_link" if request.user.has_perm("tasks.view_task") else "task"


def _cells(finding: dict[str, Any]) -> tuple[Any, ...]:
    confidence = finding["confidence"]
    return (
        finding["kind"],
        finding["type"],
        finding["severity"] or NOTHING,
        NOTHING if confidence is None else confidence,
        format_html_join(SafeString("<br>"), "{}", ([line] for line in _places(finding)))
        or NOTHING,
    )


def _places(finding: dict[str, Any]) -> list[str]:
    shown = [_where(place) for place in finding["places"]]
    # Receipts of earlier versions hold all places and do not count them.
    count = finding.get("places_count", len(shown))
    return [*shown, f"and {count - len(shown)} more"] if count > len(shown) else shown


def _where(place: dict[str, Any]) -> str:
    field = f"key {place['field']}" if place["is_key"] else place["field"]
    # People count from 1.
    return f"{field}, characters {place['start'] + 1} to {place['end']}"


def _rest(receipt: Receipt) -> str:
    shown = len(receipt.findings)
    if receipt.findings_count <= shown:
        return ""
    return format_html("<p>The first {} of {}.</p>", shown, receipt.findings_count)
