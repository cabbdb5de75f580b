"""The texts of demonstration tasks. All names and data are invented.

In a template, a range stands for one of its numbers, and a pair of floats for one between them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final

# Values for the placeholders of templates.
CHOICES: Final[dict[str, Sequence[Any]]] = {
    "product": "Aurora-Lamp Birch-Chair Cobalt-Kettle Dune-Backpack Ember-Stove Ivory-Desk".split(),
    "service": "billing-api checkout-web search-index stock-sync price-engine tax-tables".split(),
    "warehouse": "Almere Bremen Cadiz Dijon Esbjerg Gdynia Izmir Lublin Malaga Narvik".split(),
    "ledger": "general accounts-payable inventory consignment".split(),
    "month": "January February March April May June July August September October".split(),
    "region": "EMEA APAC Benelux Nordics Iberia DACH LATAM Canada".split(),
    "team": "logistics finance merchandising support legal".split(),
    "model": "lark-2 lark-3 heron-mini heron-large wren-7b".split(),
    "module": "cart pricing retries pagination exports sessions webhooks rounding".split(),
    "order": range(10_000, 99_999),
    "count": range(40, 9_000),
    "week": range(1, 53),
}
CONSTRAINTS: Final = (
    "No personal data in the output",
    "Use the figures of {month} only",
    "Do not change anything, only report",
)
# A rule decides about the first two; no arm that could judge the others was there.
CRITERIA: Final = (
    "Valid JSON object",
    "At most 200 words",
    "Every figure has its source",
    "All {count} records are accounted for",
)


@dataclass(frozen=True)
class Work:
    """A kind of task.

    Attributes:
        share: how many there are, against the others.
        minutes: how long the arm works on one, the median.
        failures: the reasons for which it fails.
    """

    arm: str
    share: float
    minutes: float
    goals: Sequence[str]
    context: dict[str, Any]
    result: dict[str, Any]
    failures: Sequence[str]


WORKS: Final = (
    Work(
        arm="retriever",
        share=30,
        minutes=1.5,
        goals=(
            "Analyze the sentiment of {count} reviews of the {product}, week {week}",
            "Fasse die Bewertungen zum {product} aus Woche {week} zusammen und nenne drei Mängel",
            "{product} のレビュー {count} 件を分析して、不満の多い点を三つ挙げてください",
        ),
        context={"source": "web_app", "product": {"name": "{product}", "sku": "SKU-{order}"}},
        result={
            "sentiment": {"positive": (0.3, 0.8), "negative": (0.05, 0.4)},
            "topics": [{"name": "delivery", "mentions": range(3, 400), "trend": "rising"}],
            "summary": "Most of {region} likes the {product}; late parcels are the main complaint.",
        },
        failures=("retriever: the review archive answered with 504 after 3 attempts",),
    ),
    Work(
        arm="coder",
        share=15,
        minutes=9,
        goals=(
            "Fix the flaky test of {module} in {service} before week {week}",
            "Remove the dead code around {module} in {service}",
            "The page shows <b>undefined</b> in place of the price of order {order}: find out why",
            "Escape what users type: a note with <script>alert({count})</script> ran in {service}",
        ),
        context={"repository": "shop/{service}", "ci": {"last_run": {"failed": range(4)}}},
        result={
            "patch": {"files": range(1, 9), "insertions": range(2, 400), "deletions": range(200)},
            "explanation": "The cause was in {module}: a retry did not reset its state.",
        },
        failures=("coder: out of tokens after {count} lines of {module}",),
    ),
    Work(
        arm="planner",
        share=20,
        minutes=25,
        goals=(
            "Plan the move of {count} pallets from {warehouse} to the new hub before week {week}",
            "Planifier l'inventaire de l'entrepôt {warehouse} en semaine {week}",
            "ضع خطة لتوزيع {product} في {region} خلال الأسبوع {week}",
        ),
        context={"team": "{team}", "people": range(2, 14), "depends_on": ["shop/{service}"]},
        result={"steps": [{"what": "Compare the counts with {team}", "hours": range(1, 9)}]},
        failures=("planner: no plan fits the deadline of week {week}",),
    ),
    Work(
        arm="executor",
        share=20,
        minutes=6,
        goals=(
            "Reconcile the invoices of warehouse {warehouse} against the {ledger} ledger",
            "Rebuild the stock counts of {warehouse} after the outage of week {week}",
            "Send the price list of {month} to {region} once {team} has released it",
        ),
        context={"warehouse": {"name": "{warehouse}"}, "ledger": "{ledger}", "dry_run": False},
        result={
            "difference": {"amount": (0.0, 900.0), "currency": "EUR"},
            "open_items": [{"document": "INV-{order}", "reason": "booked twice"}],
        },
        failures=("executor: lock on the {ledger} ledger held by another run",),
    ),
    Work(
        arm="safety-guardian",
        share=0.5,
        minutes=1,
        goals=("Check {count} outputs of {model} for personal data before {team} publishes them",),
        context={"model": "{model}"},
        result={"held_back": range(12), "kinds": ["address", "name"]},
        failures=("safety-guardian: the sample of {model} is empty",),
    ),
)
# The task that the documents search for; all others are everyday work.
STORY: Final = Work(
    arm="executor",
    share=0,
    minutes=0,
    goals=("Reconcile the invoices of warehouse Nordhafen against the transit ledger",),
    context={"warehouse": {"name": "Nordhafen"}, "ledger": "transit", "dry_run": False},
    result={},
    failures=("executor: connection to the ledger refused after 3 attempts",),
)

STAFF: Final = "maria jonas aisha kenji lucie tomasz".split()
REQUEUED: Final = ("Network is back", "Restarted the arm", "{team} has corrected the input")
CANCELLED: Final = ("Submitted twice", "{team} no longer needs it", "Replaced by order {order}")
REPRIORITISED: Final = ("{team} waits for it", "Closing of {month}", "Can wait until tonight")


class Words(dict[str, Any]):
    """The words of one task; each word is chosen when a template first needs it.

    So the warehouse in a goal is also the one in its context and in its result.
    """

    def __init__(self, random: Random) -> None:
        super().__init__()
        self._random = random

    def __missing__(self, name: str) -> Any:
        word = self[name] = self._random.choice(CHOICES[name])
        return word

    def fill(self, template: Any) -> Any:
        """Return `template` as a JSON value."""
        match template:
            case str():
                return template.format_map(self)
            case dict():
                return {key: self.fill(value) for key, value in template.items()}
            case list():
                return [self.fill(value) for value in template]
            case range():
                return self._random.choice(template)
            case (float() as least, float() as most):
                return round(self._random.uniform(least, most), 3)
        return template
