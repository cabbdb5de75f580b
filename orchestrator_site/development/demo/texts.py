"""What demonstration tasks are about. All names are made up, and nobody's data are in it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final


def _names(text: str) -> list[str]:
    return [" ".join(name.split()) for name in text.split("|")]


# What fills the gaps of the templates below.
CHOICES: Final[dict[str, Sequence[Any]]] = {
    "product": _names(
        """Aurora Lamp | Birch Chair | Cobalt Kettle | Dune Backpack | Ember Stove | Fjord Jacket |
        Granite Mug | Harbor Tent | Ivory Desk | Juniper Soap | Kite Drone | Larch Shelf |
        Meadow Tea | Nimbus Router | Onyx Speaker | Prairie Boots | Quartz Watch | River Kayak |
        Sable Sofa | Tundra Parka"""
    ),
    "service": """billing-api checkout-web search-index stock-sync mail-renderer session-store
        price-engine label-printer route-planner image-resizer tax-tables feed-export""".split(),
    "warehouse": """Almere Bremen Cadiz Dijon Esbjerg Fulda Gdynia Hasselt Izmir Jihlava Kotka
        Lublin Malaga Narvik Oulu Porto""".split(),
    "ledger": "general accounts-payable inventory transit consignment".split(),
    "month": """January February March April May June July August September October November
        December""".split(),
    "region": "EMEA APAC Benelux Nordics Iberia DACH LATAM Canada".split(),
    "team": _names("logistics | customer care | finance | merchandising | data platform | legal"),
    "topic": _names(
        """battery storage | cold chains | parcel lockers | reusable packaging | e-invoicing |
        customs codes | rooftop solar | route optimisation | demand forecasting"""
    ),
    "language": "German French Polish Japanese Arabic Portuguese Finnish".split(),
    "model": "lark-2 lark-3 heron-mini heron-large wren-7b".split(),
    "module": "cart pricing retries pagination exports sessions webhooks rounding".split(),
    "source": "web_app mobile_app nightly_batch partner_api back_office".split(),
    "carrier": _names("Northbound | Quickvan | Seagull Freight | Blue Parcel"),
    "order": range(10_000, 99_999),
    "ticket": range(1_000, 9_999),
    "count": range(40, 9_000),
    "week": range(1, 53),
    "year": range(2023, 2027),
    "percent": range(2, 60),
}

# Of each task, beside what its kind adds.
CONTEXT: Final = {"source": "{source}", "team": "{team}"}
CONSTRAINTS: Final = (
    "No personal data in the output",
    "Finish within 10 minutes",
    "Use the figures of {month} only",
    "Do not change anything, only report",
    "Answer in English",
    "At most 300 words",
    "Cite every source",
)
CRITERIA: Final = (
    "Every figure has its source",
    "The result is valid JSON",
    "All {count} records are accounted for",
    "A person can follow each step",
    "No step is left open",
    "Whoever reads it can check it",
)


@dataclass(frozen=True)
class Work:
    """A kind of task.

    Attributes:
        arm: which carries it out.
        share: how many there are, against the others.
        minutes: it takes, the median.
        failures: why it fails.
    """

    arm: str
    share: float
    minutes: float
    goals: Sequence[str]
    context: dict[str, Any]
    result: Any
    failures: Sequence[str]


WORKS: Final = (
    Work(
        arm="retriever",
        share=18,
        minutes=1.5,
        goals=(
            "Analyze the sentiment of {count} reviews of the {product}, week {week}",
            "Find what customers in {region} say about the {product} since {month}",
            "Which complaints about the {product} came up more than {percent} times in {month}?",
            "Fasse die Bewertungen zum {product} aus Woche {week} zusammen und nenne drei Mängel",
            "Résumer les avis sur le {product} de la semaine {week}, par thème",
            "{product} のレビュー {count} 件を分析して、不満の多い点を三つ挙げてください",
        ),
        context={
            "product": {"name": "{product}", "sku": "SKU-{order}"},
            "window": {"week": "{week}", "year": "{year}"},
            "reviews": range(40, 9_000),
        },
        result={
            "sentiment": {
                "positive": (0.3, 0.8),
                "neutral": (0.05, 0.2),
                "negative": (0.05, 0.4),
            },
            "topics": [
                {"name": "delivery", "mentions": range(3, 400), "trend": "rising"},
                {"name": "price", "mentions": range(3, 400), "trend": "steady"},
                {"name": "quality", "mentions": range(3, 400), "trend": "falling"},
            ],
            "summary": "Most of {region} likes the {product}; late parcels are the main complaint.",
        },
        failures=(
            "retriever: the review archive answered with 504 after 3 attempts",
            "retriever: {count} of the reviews could not be decoded",
        ),
    ),
    Work(
        arm="coder",
        share=22,
        minutes=9,
        goals=(
            "Fix the flaky test of {module} in {service}, ticket {ticket}",
            "Write a migration that moves {module} of {service} to the new schema",
            "Explain why {service} returns 502 for order {order}, and propose a patch",
            "Upgrade the {module} library of {service} and list what breaks",
            "Remove the dead code around {module} in {service}",
            "The page shows <b>undefined</b> in place of the price of order {order}: find out why",
            "Escape what users type: a note with <script>alert({ticket})</script> ran in {service}",
            "Behebe den Rundungsfehler in {module} von {service} (Ticket {ticket})",
        ),
        context={
            "repository": "shop/{service}",
            "branch": "main",
            "ticket": "OPS-{ticket}",
            "files": [
                {"path": "src/{module}.py", "lines": range(40, 900)},
                {"path": "tests/test_{module}.py", "lines": range(20, 400)},
            ],
            "ci": {"required": True, "last_run": {"passed": range(80, 900), "failed": range(4)}},
        },
        result={
            "patch": {"files": range(1, 9), "insertions": range(2, 400), "deletions": range(200)},
            "tests": {"passed": range(80, 900), "failed": 0, "seconds": (2.0, 240.0)},
            "explanation": "The cause was in {module}: a retry did not reset its state.",
            "follow_up": ["Document the limit of {module}", "Watch {service} for a week"],
        },
        failures=(
            "coder: the tests of {service} fail on the main branch already",
            "coder: out of tokens after {count} lines of {module}",
            "coder: the sandbox ran out of memory",
        ),
    ),
    Work(
        arm="planner",
        share=16,
        minutes=4,
        goals=(
            "Plan the move of {count} pallets from {warehouse} to the new hub before week {week}",
            "Draft a rollout of the {product} in {region} for {month} {year}",
            "Break the ticket {ticket} down into steps that {team} can take in a week",
            "Who has to sign off what before {service} is switched off? Make a plan",
            "Plane die Inventur im Lager {warehouse} für Woche {week}",
            "Planifier la maintenance de {service} en semaine {week} sans arrêter les commandes",
            "ضع خطة لتوزيع {product} في {region} خلال الأسبوع {week}",
        ),
        context={
            "deadline": {"week": "{week}", "year": "{year}"},
            "people": range(2, 14),
            "depends_on": ["OPS-{ticket}", "shop/{service}"],
        },
        result={
            "steps": [
                {"number": 1, "what": "Freeze changes of {service}", "hours": range(1, 9)},
                {"number": 2, "what": "Move {module} first, then the rest", "hours": range(4, 40)},
                {"number": 3, "what": "Compare the counts with {team}", "hours": range(1, 9)},
            ],
            "risks": [{"risk": "{carrier} has no lorries in week {week}", "level": "medium"}],
            "hours": range(12, 160),
        },
        failures=("planner: no plan fits the deadline of week {week}",),
    ),
    Work(
        arm="executor",
        share=16,
        minutes=6,
        goals=(
            "Reconcile the invoices of warehouse {warehouse} against the {ledger} ledger of "
            "{month}",
            "Export {count} orders of {month} for {carrier} and check the totals",
            "Correct the customs codes of order {order} and {count} more",
            "Rebuild the stock counts of {warehouse} after the outage of week {week}",
            "Send the price list of {month} to {region} once {team} has released it",
            "Rapprocher les factures de l'entrepôt {warehouse} du grand livre, semaine {week}",
        ),
        context={
            "warehouse": {"name": "{warehouse}", "region": "{region}"},
            "ledger": "{ledger}",
            "period": {"month": "{month}", "year": "{year}"},
            "dry_run": False,
        },
        result={
            "records": {"read": "{count}", "matched": range(40, 9_000), "open": range(30)},
            "difference": {"amount": (0.0, 900.0), "currency": "EUR"},
            "open_items": [{"document": "INV-{order}", "reason": "booked twice"}],
            "report": "reports/{year}/{month}/{warehouse}.csv",
        },
        failures=(
            "executor: {carrier} refused the file: column 7 is missing",
            "executor: the totals differ by {percent} EUR",
            "executor: lock on the {ledger} ledger held by another run",
        ),
    ),
    Work(
        arm="judge",
        share=12,
        minutes=2,
        goals=(
            "Judge {count} answers of {model} for {team} against the reference answers",
            "Compare {model} with lark-1 on questions about {topic}",
            "Is the summary of ticket {ticket} true to its sources? Give a grade for each sentence",
            "Bewerte {count} Übersetzungen von {model}, Satz für Satz",
        ),
        context={
            "model": "{model}",
            "rubric": {"truth": 0.5, "brevity": 0.2, "tone": 0.3},
            "sample": range(20, 2_000),
        },
        result={
            "grades": {"truth": (0.5, 1.0), "brevity": (0.4, 1.0), "tone": (0.5, 1.0)},
            "verdict": "{model} holds up on {topic}; dates are its weak spot.",
            "worst": [{"case": range(1, 2_000), "grade": (0.0, 0.4)}],
        },
        failures=("judge: no agreement after {percent} rounds",),
    ),
    Work(
        arm="retriever",
        share=12,
        minutes=3,
        goals=(
            "Collect what was published on {topic} in {year} and rank it for {team}",
            "Which suppliers of {topic} deliver to {region}? A table with sources",
            "Translate the manual of the {product} into {language}",
            "What changed in the rules for {topic} in {region} since {month}?",
            "{topic} に関する {year} 年の論文を {percent} 本探して、要点をまとめてください",
            "Recherchiere Anbieter von {topic} in {region} und vergleiche ihre Preise",
        ),
        context={"topic": "{topic}", "region": "{region}", "sources": ["library", "press", "web"]},
        result={
            "found": range(3, 60),
            "sources": [
                {"title": "A survey of {topic}", "year": "{year}", "relevance": (0.6, 1.0)},
                {"title": "{topic} in {region}", "year": "{year}", "relevance": (0.3, 0.9)},
            ],
            "answer": "In {region}, {topic} grew by {percent} % in {year}.",
        },
        failures=(
            "retriever: no source on {topic} could be reached",
            "retriever: rate limit of the library",
        ),
    ),
    Work(
        arm="executor",
        share=3.5,
        minutes=170,
        goals=(
            "Train the forecast of {product} sales for {region} on {count} days of orders",
            "Crawl the price pages of {percent} shops that sell the {product}",
            "Index the archive of {year} for search, {count} thousand documents",
        ),
        context={"resources": {"gpus": range(1, 5), "hours": range(2, 24)}, "resume": True},
        result={
            "metrics": {"error": (0.02, 0.3), "coverage": (0.8, 1.0)},
            "artifacts": ["models/{order}/weights", "models/{order}/report.html"],
        },
        failures=("executor: preempted after {percent} % of the work",),
    ),
    Work(
        arm="safety-guardian",
        share=0.5,
        minutes=1,
        goals=(
            "Check {count} outputs of {model} for personal data before {team} publishes them",
            "Review the prompts of {service} for what could lead {model} astray",
        ),
        context={"model": "{model}", "outputs": "{count}"},
        result={"checked": "{count}", "held_back": range(12), "kinds": ["address", "name"]},
        failures=("safety-guardian: the sample of {model} is empty",),
    ),
)

STAFF: Final = "maria jonas aisha kenji lucie tomasz".split()
REQUEUED: Final = (
    "Network is back",
    "Second try after the fix of {service}",
    "The archive answers again",
    "{team} has corrected the input",
    "Restarted the arm",
)
CANCELLED: Final = (
    "Submitted twice",
    "{team} no longer needs it",
    "Wrong month, see ticket {ticket}",
    "Replaced by order {order}",
)
REPRIORITISED: Final = (
    "{team} waits for it",
    "Closing of {month}",
    "Can wait until tonight",
    "Agreed with {team}, ticket {ticket}",
)

# The one task that is worth a search: everything else is everyday life.
STORY: Final = "Reconcile the invoices of warehouse {warehouse} against the {ledger} ledger"
STORY_WORDS: Final = {"warehouse": "Nordhafen", "ledger": "transit"}
STORY_FAILURE: Final = "executor: connection to the ledger refused after 3 attempts"
