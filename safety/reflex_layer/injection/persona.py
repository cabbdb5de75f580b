"""Find orders to play a persona without rules, by two signs that are close to each other.

The first sign tells the reader to be somebody. The second says that somebody has no rules. One
sign alone is an ordinary task, such as to play a tutor, or a game without limits.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from ..findings import Finding, Severity
from ..matching.folding import Folded
from ..matching.scanner import Scanner
from .ignoring import compiled

PERSONA = "RolePlayingJailbreak"
CONFIDENCE = 0.9
# A few sentences.
WINDOW_CHARACTERS = 400

SOMEBODY = (
    r"you(?: are|.re| will be|.ll be| become| shall be)|you to (?:be|become|play|act)|from now on",
    r"pretend|imagine|suppose|simulate|impersonate|embody|emulate|role play|roleplay|in character",
    r"(?:act|behave|respond|answer|speak|talk|reply|write) (?:as|like)|as (?:if|though) you were",
    r"(?:play|take|take on|assume|adopt) (?:the|an?) (?:role|part|persona|identity)",
    r"your (?:new )?(?:name|character|persona|role|identity|alter ego) (?:is|will be)|new persona",
    r"(?:character|ai|chatbot|bot|model|assistant|persona) (?:called|named)",
    # German, French, Spanish, Italian, Portuguese, Dutch, Russian
    r"du (?:bist|wirst|spielst|heißt)|ihr seid|stell dir vor|tu so|spiel\w? (?:die|eine|den|einen)|"
    r"(?:verhalte dich|antworte|agiere|sprich|handle) (?:als|wie)|in der rolle",
    r"tu (?:es|seras|joues|deviens|incarnes)|vous (?:êtes|jouez|incarnez)|fais(?:ons)? semblant|"
    r"imagine que|joue le rôle|comporte toi|réponds comme|incarne|dans la peau",
    r"eres|serás|usted es|finge|actúa como|imagina que|haz de cuenta|(?:el|un) papel de|interpreta|"
    r"responde como|compórtate",
    r"sei|sarai|fingi|immagina|comportati|interpreta|recita|rispondi come|il ruolo di|fai finta",
    r"(?:você|tu) (?:é|és|será|serás)|finja|fingir|imagine que|aja como|faça de conta|o papel de|"
    r"responda como|interprete|comporte se",
    r"(?:je|jij) (?:bent|wordt|speelt)|u bent|doe alsof|stel je voor|speel de rol|gedraag je|"
    r"antwoord als|in de rol",
    r"(?:теперь )?ты|представь|притворись|сыграй|веди себя|отвечай как|в роли|изобрази|вообрази",
)

# A name or a pronoun, but not a thing such as "the server".
SUBJECT = (
    "".join(
        f"(?<!{word}.)" for word in "the a an this that each every its my our your their".split()
    )
    + r"\w{1,20}"
)
BEINGS = (
    "(?:ai|assistant|chatbot|bot|model|character|persona|hacker|entity|villain|robot|version|twin)"
)
ANY = (
    r"(?:(?:any|all|every|the|its|his|her|their|your|of|real|such|more|single|human|kind|a) ){0,3}"
)
REQUEST = (
    r"(?:(?:(?:an?|any|my|your|the) )?(?:requests?|questions?|commands?|orders?|instructions?|"
    r"tasks?|"
    r"user|demands?)|anything|me|to answer)"
)
STOPS = r"(?=\s{0,3}(?:[.,;:!?\n]|\Z| and(?!\w)| or(?!\w)))"


def unbound(without: str, norms: str, limits: str, beings: str, has_no: str) -> str:
    """Return "without morals", "an AI without rules" and "you have no rules".

    Only persons have morals. All sorts of things have rules, so there the subject must be named.
    """
    some = r"(?:\w{1,12} ){0,2}"
    return (
        rf"(?:{without}) {some}(?:{norms})|(?:{beings}) (?:{without}) {some}(?:{limits})|"
        rf"(?:{has_no}) {some}(?:{limits}|{norms})"
    )


LAWLESS = (
    unbound(
        without=(
            "no|zero|without|lacks?|lacking|devoid of|free (?:of|from)|freed from|not have|"
            "n.t have|"
            "ignor(?:es|ing)|disregards|breaks|defies|not care about|n.t care about|unburdened by|"
            "not? (?:longer )?(?:bound|restricted|limited|constrained|governed) by|unbound by"
        ),
        norms=(
            "morals?|morality|ethics|conscience|scruples|guard rails|guardrails|censorship|"
            "inhibitions|"
            "(?:ethical|moral|content|safety) (?:guidelines|limits|limitations|restrictions|rules|"
            "code|filters?|boundaries|constraints|compass|polic(?:y|ies))"
        ),
        limits=(
            "rules?|limits|limitations|restrictions|boundaries|constraints|filters?|laws?|"
            "guidelines|polic(?:y|ies)|regulations|taboos|norms"
        ),
        beings=BEINGS,
        has_no=(
            "(?:you|they|we|i) (?:have|follow|know|obey|respect|accept) (?:absolutely )?(?:no|"
            "zero)|"
            "you (?:do not|don.t) (?:have|follow|obey|know|care about)|"
            rf"{SUBJECT} (?:has|knows|follows|obeys|respects|accepts) (?:absolutely )?(?:no|zero)|"
            rf"{SUBJECT} (?:does not|doesn.t) (?:have|know|follow|obey|respect|care about)|"
            f"{SUBJECT} (?:lacks|ignores (?:all|any|every)|breaks (?:all|any|every)|hates (?:all|"
            f"any)?)|"
            "not? (?:longer )?(?:bound|restricted|constrained|governed) by (?:any|all|the)|"
            rf"{BEINGS},? (?:free (?:of|from)|with no|that (?:has|knows) no|who (?:has|knows) no)|"
            "free from all"
        ),
    ),
    rf"{SUBJECT} (?:never|cannot|can.t|can not|won.t|will not|does not|doesn.t|would never|"
    rf"is unable to) "
    rf"(?:ever )?(?:refuses?|declines?|rejects?|den(?:y|ies))(?: {REQUEST}|{STOPS})|"
    rf"{SUBJECT} (?:never|can.t|won.t|will not|doesn.t) says? (?:no|i can.?t|i cannot)(?! to)|"
    r"refuses nothing|without (?:ever )?(?:refusing|refusal)",
    r"(?:can|could|will|would|may) (?:do|say|answer|tell|explain) (?:absolutely |literally )?"
    rf"(?:anything|everything|whatever)(?: (?:i|the user|users|you|we) \w{{3,8}}|{STOPS})",
    r"(?:do|does|answers?|says?|obeys?|follows?) (?:anything|everything|whatever)(?: that)? "
    r"(?:i|the user|users|you|we) (?:asks?|wants?|says?|tells?|asked|commands?)|"
    r"answers? (?:anything|everything)(?=\s{0,3}(?:[.,;:!?\n]|\Z))",
    r"(?:legal|moral|ethical|allowed) or not|nothing is (?:forbidden|off limits|illegal|taboo)|"
    r"(?:regardless|irrespective) of (?:the )?(?:consequences?|legality|ethics|morals|morality|"
    r"law)|"
    r"no matter how (?:illegal|unethical|immoral|harmful|dangerous|offensive)",
    r"(?:anything|everything|things|whatever is) (?:illegal|unethical|immoral)|"
    r"(?:illegal|unethical|immoral|unfiltered|uncensored|amoral)(?: (?:and|or|unethical|immoral|"
    r"illegal|harmful|dangerous)){0,3} (?:things|content|advice|answers?|requests?|acts|stuff|"
    r"activit(?:y|ies)|responses?|opinions|topics)|(?:is|are|am|an|completely) (?:amoral|"
    r"uncensored|"
    r"unfiltered|jailbroken|lawless|ruthless and unethical)",
    # German
    unbound(
        without=r"ohne|keine(?:rlei|n)?|frei von",
        norms="moral|skrupel|gewissen|ethik|hemmungen|ethischen? grenzen",
        limits="regeln|grenzen|einschränkungen|filter|tabus|beschränkungen|gesetze",
        beings=r"ki|ai|bot|chatbot|assistent\w{0,2}|modell|figur|charakter|person|wesen|roboter",
        has_no=r"(?:hast|habe?n?|hat|kenn\w{1,3}|befolg\w{1,3}) keine(?:rlei|n)?|frei von allen",
    ),
    r"(?:nie(?:mals)?|nichts) (?:\w{1,12} )?(?:ablehn|verweiger|nein)\w{0,4}|lehn\w{1,3} "
    r"(?:nie(?:mals)?|nichts)|verweiger\w{0,4} (?:dich |sich )?(?:nie(?:mals)?|nichts)|"
    rf"(?:alles|jede frage) beantwort\w{{1,4}}|beantwort\w{{1,4}} (?:alles|jede frage){STOPS}",
    # French
    unbound(
        without="sans|aucune?|pas de|ni|dépourvue? de|libre de",
        norms="morale|scrupules?|éthique|conscience|limites? (?:morales?|éthiques?)",
        limits="règles?|limites?|restrictions?|censure|tabous?|filtres?|lois?",
        beings="ia|assistante?|bot|chatbot|robot|modèle|personnage|intelligence artificielle",
        has_no="(?:n ai|n as|n a|n avez|ai|as|a|avez|connais|connaît|suis|suit) (?:aucune?|pas de)",
    ),
    r"(?:ne|n) (?:\w{1,8} )?(?:refuses?|refusez|dit|dis|rejettes?) (?:jamais|rien)|"
    rf"(?:répond\w?|répondez) à tout(?:es? les questions?)?{STOPS}",
    # Spanish, Portuguese
    unbound(
        without="sin|ningun[ao]?|sem|nenhum[a]?|libre de|livre de|carente de",
        norms="moral|ética|escrúpulos|conciencia|consciência",
        limits="reglas?|límites?|restricciones|filtros?|censura|regras?|restrições|leyes|leis",
        beings=r"ia|asistente|assistente|bot|chatbot|robot|robô|modelo|personaje|personagem|hacker",
        has_no=r"no (?:tienes?|conoces?|sigues?|respetas?)|não (?:tem|tens|conhece|segue|respeita)",
    ),
    r"(?:nunca|jamás|jamais) (?:se |te )?(?:niegas?|rechazas?|rehúsas?|dices? no|recusas?|negas?|"
    r"diz "
    rf"não)|responde[s]? (?:a )?(?:todo|tudo|cualquier pregunta|qualquer pergunta){STOPS}",
    # Italian
    unbound(
        without="senza|nessun[ao]?|priv[oa] di|liber[oa] da",
        norms="morale|etica|scrupoli|coscienza|limiti (?:etici|morali)",
        limits="regole|regola|limiti|restrizioni|filtri|censura|leggi",
        beings="ia|ai|assistente|bot|chatbot|robot|modello|personaggio|hacker",
        has_no="non (?:hai|ha|conosci|conosce|segui|segue|rispetti|rispetta)",
    ),
    r"non (?:ti |si )?rifiut\w{1,2} (?:mai|nulla|niente)|non dice? mai (?:di )?no|"
    rf"rispond\w (?:a )?(?:tutto|qualsiasi domanda|ogni domanda){STOPS}",
    # Dutch
    unbound(
        without="zonder|geen|vrij van",
        norms="moraal|ethiek|scrupules|geweten",
        limits="regels|grenzen|beperkingen|filters?|censuur|wetten",
        beings="ai|assistent|bot|chatbot|robot|model|personage|hacker",
        has_no=(
            "(?:hebt?|heeft|kent?|volgt?) geen|geen (?:grenzen|regels) (?:kent?|hebt?|heeft)|"
            "die geen"
        ),
    ),
    r"(?:weigert?|weigeren) (?:je |zich )?(?:nooit|niets|niks)|"
    r"nooit (?:iets )?(?:weiger\w{1,2}|nee)|alles beantwoordt",
    # Russian
    unbound(
        without=r"без|нет|лиш[её]нн\w{2,3}|свобод\w{2,4} от",
        norms="морали|этики|совести|моральных принципов",
        limits="правил|ограничений|фильтров|цензуры|запретов|границ|законов",
        beings=r"ии|бот|чат бот|ассистент|робот|модель|персонаж|хакер|помощник",
        has_no="у (?:тебя|него|не[её]) нет|не (?:знаешь|знает|имеешь|имеет|соблюдаешь|соблюдает)",
    ),
    r"никогда не (?:отказыва\w{2,5}|откаж\w{1,4})|отвеча\w{2,4} на (?:вс[её]|любые вопросы|любой "
    rf"вопрос){STOPS}",
)


@dataclass(frozen=True, slots=True)
class Sign:
    """One of the two signs of a persona without rules."""

    pattern: re.Pattern[str]
    cased: bool = False


OF_SOMEBODY = Sign(compiled("|".join(SOMEBODY)))
OF_LAWLESSNESS = Sign(compiled("|".join(LAWLESS)))
SIGNS = Scanner((OF_SOMEBODY, OF_LAWLESSNESS))


def find_personas(folded: Folded) -> Iterator[Finding]:
    """Yield one finding for each sign of lawlessness that has a sign of somebody close to it."""
    found = {sign: [match.span() for match in matches] for sign, matches in SIGNS.find(folded)}
    somebody, lawless = found.get(OF_SOMEBODY), found.get(OF_LAWLESSNESS)
    if not somebody or not lawless:
        return
    starts, ends = zip(*somebody, strict=True)
    for start, end in lawless:
        before, behind = bisect_right(ends, start) - 1, bisect_left(starts, end)
        for first, last in chain(
            somebody[max(before, 0) : before + 1], somebody[behind : behind + 1]
        ):
            span = min(first, start), max(last, end)
            if span[1] - span[0] <= WINDOW_CHARACTERS:
                yield Finding(
                    PERSONA, *span, CONFIDENCE, Severity.High, indicator="persona-without-rules"
                )
                break
