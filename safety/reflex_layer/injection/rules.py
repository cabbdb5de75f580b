"""The table of rules for prompt injection: name, type, severity and pattern.

A blank in a pattern of words matches any short gap, such as a comma, a line break or Markdown.
Harmless tasks share some words with attacks; the severity shows how certain a rule is.
"""

import re
from dataclasses import dataclass

from ..findings import Severity
from .languages import LANGUAGES

GAP = r"[^a-z0-9]{1,6}"
CONFIDENCE = {
    Severity.Low: 0.5,
    Severity.Medium: 0.7,
    Severity.High: 0.9,
    Severity.Critical: 0.97,
}


@dataclass(frozen=True, slots=True)
class Rule:
    """One form of injection. Findings report its name as their indicator."""

    name: str
    type: str
    severity: Severity
    pattern: re.Pattern[str]
    cased: bool = False


def words(pattern: str) -> re.Pattern[str]:
    """Compile a pattern of words, whose blanks match any short gap."""
    return re.compile(r"(?<![a-z0-9])(?:" + pattern.replace(" ", GAP) + r")(?![a-z0-9])")


def marks(pattern: str) -> re.Pattern[str]:
    """Compile a pattern of punctuation, in which a blank matches only a blank."""
    return re.compile(pattern, re.MULTILINE)


LOW, MEDIUM, HIGH, CRITICAL = Severity

IGNORE = (
    "(?:ignor(?:e|ing)|disregard(?:ing)?|forget(?:ting)?|overrule|neglect|dismiss|discard|"
    "bypass|"
    "override|overwrite|erase|abandon|violate|do not (?:follow|obey)|don.t (?:follow|obey)|"
    "stop (?:following|obeying)|pay no attention to|set aside|throw away)"
)
ANY = (
    "(?:(?:all|any|every|each|everything|of|the|these|those|this|that|my|our|absolutely|"
    "completely|"
    "whatever|and|or|other|about) ){0,5}"
)
EARLIER = (
    "(?:previous(?:ly)?|prior|preceding|above|earlier|former|foregoing|past|initial|original|"
    "existing|aforementioned|pre existing)"
)
ADJECTIVES = (
    "(?:(?:previous|prior|above|earlier|initial|original|current|given|core|own|system|"
    "developer|"
    "safety|ethical|security|content|hidden|secret|internal|full|exact|entire|complete|whole|"
    "programmed|moral|stated|underlying|and|or|rules|guidelines) ){0,4}"
)
INSTRUCTIONS = (
    "(?:instructions?|directions|directives?|prompts?|guidelines|commandments|programming|"
    "system (?:prompt|message)s?)"
)
RULES_OF_CONDUCT = (
    "(?:rules?|restrictions?|constraints?|limitations?|guard ?rails|safeguards?|safety|"
    "filters?|"
    "polic(?:y|ies)|ethics|morals|moderation|training|orders|instructions?|guidelines?)"
)
UNBOUND = (
    "(?:unrestricted|unfiltered|uncensored|unbound|jailbroken|amoral|unethical|"
    "(?:without|no|free (?:of|from)|not? (?:longer )?bound by|not? (?:longer )?restricted by|"
    "(?:do|does|did) not have|don.t have|not have|ignores?|bypass(?:es)?) "
    "(?:any |all |your |the |its |of ){0,3}"
    "(?:(?:ethical|moral|content|safety|openai|usual|typical|such|more|legal) ){0,3}"
    "(?:restrictions?|rules|limits|limitations|filters|guidelines|guard ?rails|ethics|morals|"
    "censorship|constraints|boundaries|safeguards))"
)
WITHIN_A_SENTENCE = r"[^.!?\n]{0,100}?"
LAWLESS = "(?:unrestricted|unfiltered|uncensored|amoral|unethical|evil|jailbroken)"
A_BEING = (
    r"[^.!?\n]{0,30}?(?:ai|assistant|chatbot|bot|model|llm|character|persona|hacker|entity|being)"
)
TELL = (
    "(?:reveal|print|repeat|show|display|output|tell (?:me|us)|give (?:me|us)|share|leak|"
    "expose|"
    "write|dump|recite|disclose|send|list|return|type|summari[sz]e|translate|paraphrase|echo|"
    "quote|state|describe|copy|spell|what (?:is|are|was|were)|what.s)"
)
TO_ME = (
    "(?:(?:me|us|back|out|down|all|every|of|exactly|verbatim|again|everything|in|to|the|full|"
    "complete|entire|exact|whole|text|contents?|first|word|words|lines?|sentences?) ){0,7}"
)
SECRETS = (
    "(?:secrets?|credentials|passwords?|api ?keys?|private keys?|ssh keys?|access keys?|"
    "env(?:ironment)? (?:variables|vars)|chat (?:history|logs?)|conversations?|"
    "conversation (?:history|logs?)|system (?:prompt|message)|message history|"
    "your (?:instructions|memory|context|prompt))"
)
# A mail about a password reset or a summary of a conversation gives no secret away.
NOT_ABOUT = (
    r"(?! (?:reset|summar|polic|hash|form|field|manage|rotation|count|metric|template|expir))"
)
SOMEWHERE = (
    r"(?:to|at|via|into|using)[^a-z0-9]{1,4}(?:(?:https?|ftp)://|www\.|"
    r"[\w.+-]{1,64}@)[\w.-]{1,253}"
)

IGNORED = "IgnorePreviousInstructions"
ROLE = "SystemRoleManipulation"
EXTRACTION = "DirectPromptExtraction"
INDIRECT = "IndirectPromptExtraction"
PLAYING = "RolePlayingJailbreak"
DELIMITER = "DelimiterInjection"
NEW = "NewInstructionInjection"
EXFILTRATION = "DataExfiltration"
MEMORY = "MemoryStateAccess"

# "Ignore the training data" is an ordinary request; "ignore your training" is an attack.
NOT_DATA = r"(?! (?:data|runs?|sets?|loss|files?|jobs?|epochs?|template|dataset|folder)\b)"

RULES = (
    Rule("ignore-earlier-instructions", IGNORED, HIGH, words(
        f"{IGNORE} {ANY}{EARLIER} {ADJECTIVES}{INSTRUCTIONS}{NOT_DATA}")),
    Rule("ignore-earlier-rules", IGNORED, HIGH, words(
        f"(?:ignore|disregard|forget) {ANY}{EARLIER} {ADJECTIVES}(?:rules?|commands?|"
        f"restrictions|constraints|guidance|context|training){NOT_DATA}")),
    Rule("ignore-own-rules", IGNORED, HIGH, words(
        f"{IGNORE} {ANY}(?:your|openai.s|anthropic.s) {ADJECTIVES}(?:{RULES_OF_CONDUCT}|"
        f"{INSTRUCTIONS}){NOT_DATA}")),
    Rule("ignore-all-instructions", IGNORED, HIGH, words(
        "(?:ignore|disregard|forget) (?:all|any|every|everything|each)(?: of)?(?: the| these|"
        " those)? "
        f"(?:instructions|directives|prompts|system prompts?){NOT_DATA}")),
    Rule("ignore-safety", IGNORED, MEDIUM, words(
        "(?:ignore|disregard|forget|bypass|disable|turn off) (?:all|any|every)(?: of)?(?: the)? "
        f"(?:safety |ethical |moral |content |security )?{RULES_OF_CONDUCT}")),
    Rule("ignore-the-above", IGNORED, MEDIUM, words(
        "(?:ignore|disregard|forget) (?:all |everything |of |the ){0,3}above(?: and (?:say|tell|"
        "print|write|output|instead|do|respond|answer|reply)|(?=[.,;:!]|$))")),
    Rule("override-system-prompt", IGNORED, MEDIUM, words(
        "(?:ignore|disregard|forget|override|bypass|overwrite) (?:the |this |that |"
        "any )?(?:system|developer) (?:prompt|message|instructions?|rules)")),
    *(Rule(f"ignore-instructions-in-{language.name}", IGNORED, HIGH, language.orders())
      for language in LANGUAGES),
    *(Rule(f"forget-everything-in-{language.name}", IGNORED, HIGH, language.everything_said())
      for language in LANGUAGES),
    Rule("new-instructions", NEW, HIGH, marks(
        r"(?:^|[.!?;:,)\]}>*#\"'-])[\s*#\"'>\[({_-]{0,8}"
        r"(?:(?:and|now|here are|these are|your|the|my|our)\s{1,3}){0,4}"
        r"(?:new|updated|revised|real|actual|true)\s{1,3}(?:system\s{1,3}|secret\s{1,3}|"
        r"core\s{1,3})?(?:instructions?|directives?|prompt)\s{0,3}:")),
    Rule("your-new-task", NEW, MEDIUM, words(
        "your (?:new|real|actual|true|only) (?:task|goal|role|purpose|mission|job|objective|"
        "instructions?|rules?|identity|name) (?:is|are)")),
    Rule("here-are-new-instructions", NEW, HIGH, words(
        "(?:here are|these are|follow|obey|execute) (?:your|my|these|the following) "
        "new (?:instructions|rules|directives|orders|commands)")),
    Rule("from-now-on", NEW, MEDIUM, words(
        "(?:from now on|from this (?:point|moment)(?: on(?:wards?)?)?|starting now|"
        "henceforth),? you (?:will|must|are|should|shall|have to|may|can|only|answer|respond|"
        "act)")),
    Rule("replaces-instructions", NEW, HIGH, words(
        "(?:the following|this|these|it) (?:instructions? |message |rules? |"
        "prompt )?(?:supersedes?|overrides?|replaces?|cancels?) (?:all |any |your |the ){0,3}"
        f"(?:previous|prior|earlier|other|original|existing) {ADJECTIVES}{INSTRUCTIONS}")),
    Rule("instead-of-your-task", NEW, MEDIUM, words(
        "(?:stop (?:what you are doing|doing that)|instead of (?:your|the) (?:task|instructions)|"
        "(?:abort|cancel|drop) your (?:current )?(?:task|instructions)) ?(?:and|,|do|you)?")),
    # A schema may be "without constraints", so the rule also requires "you".
    Rule("unbound-you", ROLE, HIGH, words(
        f"(?:you(?: are|.re) now|you (?:will )?become|you(?: are|.re) "
        f"an? {A_BEING}){WITHIN_A_SENTENCE}{UNBOUND}|you(?: are|.re) "
        f"an? {LAWLESS}(?:,? \\w{{1,15}}){{0,2}} "
        "(?:ai|assistant|chatbot|bot|model|llm|hacker)")),
    Rule("no-longer-yourself", ROLE, HIGH, words(
        "you (?:are|.re) no longer (?:an? |the )?(?:ai|assistant|bound|restricted|limited|"
        "chatgpt|gpt|claude|language model|llm|helpful|required|obligated|subject|under|"
        "constrained)")),
    Rule("speaks-as-system", ROLE, HIGH, marks(
        r"^[\s>#*\[]{0,6}(?:system|developer|admin(?:istrator)?)[\]*\s]{0,4}"
        r"(?:(?:prompt|message|override|command|instruction|update|"
        r"note)[\]*\s]{0,4})?:[\s*\"]{0,4}"
        r"(?:you\s{1,3}(?:are|must|will|should|have|can|may)|ignore|disregard|forget|from now "
        r"on|new)\b")),
    Rule("system-override", ROLE, HIGH, marks(
        r"(?:^|[\[*#<!])[\s*]{0,3}(?:system|admin|security|developer)[ _-](?:override|"
        r"bypass)[\s*]{0,3}[:\]!>]")),
    Rule("becomes-someone", ROLE, MEDIUM, words(
        "you are now (?:an?|the|my|in|called|named|known as|acting as|playing|operating|going to|"
        "free|not)")),
    Rule("special-mode", ROLE, HIGH, words(
        "(?:enter|enable|activate|switch (?:to|into)|you are (?:now )?in|go into|unlock|engage) "
        "(?:the |your |an? )?(?:(?:god|jailbreak|jailbroken|unrestricted|unfiltered|uncensored|"
        "evil|chaos|no limits?) mode|developer mode (?:and (?:ignore|answer|respond|bypass)|v2|"
        "with no|without))")),
    Rule("developer-mode", ROLE, MEDIUM, words(
        "(?:you are (?:now )?in|chatgpt (?:with|in)|respond in|simulate|pretend to be in) "
        "(?:developer|debug|admin|maintenance|root|sudo) mode|developer mode enabled")),
    Rule("chat-markup-of-system", DELIMITER, HIGH, marks(
        r"<\|(?:im_start|start_header_id)\|>\s{0,3}(?:system|developer)|<\|system\|>|<<sys>>|"
        r"\[(?:system|inst)\]\s{0,3}(?:you are|ignore|disregard|forget)")),
    Rule("chat-markup", DELIMITER, MEDIUM, marks(
        r"<\|(?:im_start|im_end|endoftext|end_of_text|eot_id|assistant|user|start_header_id|end|"
        r"endofprompt)\|>|\[/?inst\]|<</sys>>|</?(?:system_prompt|system_message|"
        r"system_instructions?)>")),
    Rule("system-tag", DELIMITER, MEDIUM, marks(
        r"^[ \t]{0,8}</?(?:system|instructions?|admin)>|^#{2,6} ?(?:system|assistant|human) ?:|"
        r"^[-=#*]{3,20} ?(?:end|begin|start) of (?:the )?(?:system |user |hidden )?(?:prompt|"
        r"instructions?|system message|user input|context)\b")),
    Rule("chat-transcript", DELIMITER, LOW, marks(
        r"\n\n(?:human|assistant): |\"role\"\s{0,3}:\s{0,3}\"system\"")),
    Rule("asks-own-prompt", EXTRACTION, HIGH, words(
        f"{TELL} {TO_ME}(?:your|the assistant.s|the ai.s) {ADJECTIVES}"
        "(?:prompts?|instructions|directives|guidelines|system (?:prompt|message)|pre prompt|"
        "(?:initial|hidden|system) (?:text|rules|messages?))")),
    Rule("leaks-system-prompt", EXTRACTION, HIGH, words(
        f"(?:reveal|repeat|leak|recite|disclose|divulge|expose) {TO_ME}"
        "(?:(?:hidden|secret|original|initial|entire|full|exact) ){0,2}(?:(?:system|hidden|"
        "secret|initial|original) (?:prompt|message|instructions)|preprompt)")),
    Rule("asks-system-prompt", EXTRACTION, MEDIUM, words(
        f"(?:print|show|display|output|tell|give|write|dump|what (?:is|was)|what.s) {TO_ME}"
        "(?:system|hidden|secret) (?:prompt|instructions)")),
    Rule("repeats-above", EXTRACTION, HIGH, words(
        "(?:repeat|print|output|recite|echo|copy|reveal|translate|say|write) (?:(?:me|back|out|"
        "all|of|everything|exactly|verbatim|the|every|full|entire) ){0,5}(?:(?:text|words?|"
        "content|sentences?|instructions?|prompt|message|everything|conversation) "
        ")?(?:that (?:is|was|came|appears?) )?above (?:this|starting|verbatim|in (?:a|full)|"
        "word for word|exactly|line)")),
    Rule("asks-what-was-told", INDIRECT, MEDIUM, words(
        "what (?:(?:exactly )?were you|have you been|did (?:they|the developers?|your creators?|"
        "openai)) (?:told|instructed|asked|programmed|given|tell you|instruct you)|(?:how|what) "
        "(?:were|are|have) you (?:been )?(?:instructed|prompted|configured|programmed)|"
        "what (?:is|was|are) (?:written|said|the (?:text|words?|content|first (?:line|"
        "sentence)))(?: of (?:this|the|our) (?:conversation|chat))? (?:above|before) (?:this|my)|"
        "(?:start|begin)(?:s|ning)? with (?:the words? )?you are (?:chatgpt|gpt|claude|an? (?:ai|"
        "assistant|helpful))")),
    Rule("disguises-own-prompt", INDIRECT, HIGH, words(
        "(?:encode|encrypt|convert|put|hide|turn|rephrase|rewrite|spell out) (?:your|the system) "
        "(?:initial |original |system |hidden ){0,2}(?:prompt|instructions) (?:in|into|as|to|"
        "using|with)")),
    Rule("pretend-unbound", PLAYING, HIGH, words(
        "(?:(?:pretend|imagine|suppose|assume|act|behave)(?: as (?:if|though)| that)? "
        f"(?:you|to be)|(?:act|behave|respond|speak|talk|answer|role ?play)(?: as| like) "
        f"an? {A_BEING}){WITHIN_A_SENTENCE}{UNBOUND}")),
    Rule("answer-unbound", PLAYING, HIGH, words(
        "(?:answer|respond|reply|speak|comply|help me)[^.!?\n]{0,60}? without (?:any "
        ")?(?:(?:ethical|moral|safety|content|of|your|usual) ){0,3}(?:restrictions|censorship|"
        "ethics|morals|warnings? or disclaimers?|disclaimers|refus(?:al|ing)|"
        "moral judge?ments?)")),
    Rule("no-restrictions-for-you", PLAYING, MEDIUM, words(
        "you (?:have|.ve got|.ve|face|know) (?:absolutely )?no (?:\\w{1,15} "
        "){0,2}(?:restrictions|limitations|limits|filters|guidelines|rules|morals|ethics|"
        "boundaries|censorship)")),
    Rule("act-as-if", PLAYING, MEDIUM, words(
        "(?:act|behave|respond|answer|speak|reply) (?:as if|as though|like) you (?:were|are|had|"
        "have|can|could|.re)|(?:pretend|imagine) (?:to be|(?:that )?you (?:are|were|have|can|"
        ".re))|(?:stay|remain) in character|role ?play as")),
    Rule("dear-grandmother", PLAYING, MEDIUM, words(
        "my (?:deceased|late|dead|dear) (?:grandma|grandmother|granny|grandfather|grandpa)|"
        "evil (?:twin|confidant|ai|assistant|bot)|opposite mode")),
    Rule("you-are-dan", "DANVariant", CRITICAL, re.compile(
        rf"\b(?i:you{GAP}(?:are|will be|.re|become)|(?:act|respond|answer|behave|reply|"
        rf"pretend){GAP}(?:as|to{GAP}be|like))(?i:{GAP}(?:now|going to (?:be|act as)|an?|called|"
        rf"the|immersed into the role of)){{0,3}}{GAP}(?:DAN|dan)\b(?![a-z'])"), cased=True),
    Rule("do-anything-now", "DANVariant", CRITICAL, words(
        r"(?<!not.)(?<!n.t.)(?<!cannot.)(?<!i.can.)(?<!we.can.)(?<!he.can.)(?<!they.can.)"
        r"do anything now|dan (?:mode|jailbreak)|"
        r"always intelligent and machiavellian|"
        "strive to avoid norms|jailbr(?:eak|oken) mode|better ?dan")),
    Rule("jailbreak-yourself", PLAYING, HIGH, words(
        "jailbreak (?:yourself|your (?:self|programming|restrictions))|you (?:are|have been) "
        "(?:now )?jailbroken")),
    Rule("hidden-instructions", "NestedPrompt", MEDIUM, words(
        "(?:follow|execute|obey|run|do) (?:all |any |the ){0,2}(?:instructions?|commands?|"
        "prompts?) (?:that (?:is|are) )?(?:hidden|embedded|concealed|encoded)|"
        "treat (?:the following|this|it|everything below|the next) (?:text |message |"
        "line )?as (?:your |a |an )?(?:new )?(?:system )?(?:instructions?|prompt)|(?:decode|"
        "decrypt|unscramble)[^.!?\n]{0,40}? and (?:follow|execute|obey|do what)")),
    Rule("reverse-shell", "CommandInjection", HIGH, marks(
        r"/dev/tcp/[\w.-]{1,80}/\d|\bnc(?:at)?\s(?:-\w{1,5}\s){0,3}-e\s|:\(\)\s?\{\s?:\|"
        r":&\s?\};:")),
    Rule("wipes-the-disk", "CommandInjection", MEDIUM, marks(
        r"\brm\s{1,3}-(?:rf|fr|r\s-f)\s{1,3}(?:--no-preserve-root\s{1,3})?[/~](?:\*|\s|$|[;&|"
        r"\"'`])|\bmkfs\.\w{2,5}\s{1,3}/dev/|\bdd\sif=/dev/(?:zero|u?random)\sof=/dev/[shnv]")),
    Rule("escapes-the-template", "TemplateInjection", MEDIUM, marks(
        r"\$\{jndi:|\{[{%][^{}\n]{0,120}?__(?:class|mro|subclasses|globals|builtins|import|"
        r"init)__|\{\{\s{0,3}\d{1,5}\s?\*\s?['\"]?\d{1,5}['\"]?\s{0,3}\}\}|<%=?\s{0,3}(?:system|"
        r"exec|`)")),
    Rule("sends-secrets-away", EXFILTRATION, HIGH, words(
        "(?:send|post|upload|forward|transmit|exfiltrate|leak|e ?mail|submit|deliver|append|"
        "copy) "
        f"[^.!?\n]{{0,60}}?{SECRETS}{NOT_ABOUT}[^.!?\n]{{0,60}}? " + SOMEWHERE)),
    Rule("tracking-image", EXFILTRATION, MEDIUM, marks(
        r"!\[[^\]\n]{0,80}\]\(https?://[^)\s]{1,200}[?&]\w{1,30}=[\[{<%$]")),
    Rule("asks-for-memory", MEMORY, MEDIUM, words(
        f"{TELL} {TO_ME}your (?:\\w{{1,12}} ){{0,2}}(?:memory|memories|context window|"
        f"internal state|hidden state|"
        "chat history|conversation history|knowledge base|variables)|(?:what|everything) (?:did|"
        "have|has) (?:the )?(?:other|previous|last) users? (?:said|say|asked?|told|tell|typed?)|"
        f"{TELL} {TO_ME}(?:other|another|previous) users?.{{0,2}} (?:conversations?|messages|"
        f"chats?|prompts?|sessions?)")),
    Rule("wipes-memory", MEMORY, MEDIUM, words(
        "(?:clear|reset|wipe|erase|delete|forget|rewrite|modify) (?:all |of |"
        "everything in ){0,3}your (?:\\w{1,12} )?(?:memory|memories|context|conversation history|"
        "chat history|internal state)")),
)  # fmt: skip
