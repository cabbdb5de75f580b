"""The words of eight languages for "ignore what was said before".

Words have their normal spelling. The ending after a stem is any few letters.
"""

from .ignoring import Language

LANGUAGES = (
    Language(
        "english",
        ignore=(
            "(?<!not.)(?<!n.t.)(?<!never.)(?:ignor(?:e|ing)|disregard(?:ing)?|forget(?:ting)?|"
            "overlook|discard|dismiss|skip|leave aside|set aside|never mind|neglect|override|"
            "abandon)|(?:not|n.t|no longer|never|stop)(?: (?:need|have) to)? (?:follow|obey|heed|"
            "listen to|comply with|observe|adhere to|pay attention to|stick to)(?:ing)?|"
            "pay no attention to"
        ),
        small=(
            "all|any|every|each|none|of|the|these|those|this|that|which|my|our|your|ur|contrary|"
            "and|or|other|about|to|you|i|we|they|he|she|it|was|were|is|are|has|have|had|been|be|"
            "got|given|gave|received|get|provided|told|tell|sent|listed|stated|written|mentioned|"
            "said|ve|ever|just|please|entirely|completely|absolutely|totally|whatever|everything|"
            "anything|kindly|also|developers?|creators?|system|user|message|rules|guidelines|"
            "them|me|by|from"
        ),
        earlier=(
            "previous(?:ly)?|prev|prior|preceding|above(?: this(?: line| point| message)?)?|"
            "earlier|former|foregoing|past|initial|original|existing|aforementioned|"
            "before (?:this|that|now|me)(?: (?:line|message|point))?|"
            r"before(?=\s{0,3}(?:[.,;:!?\n]|\Z)| w?ere| and)|so far|(?:up )?(?:to|until|till) now|"
            "(?:at|from|in) the (?:start|beginning|top)(?! of)"
        ),
        later="following|subsequent|later|next|further|future|succeeding|upcoming|below|current",
        instructions=(
            "instructions?|directions|directives?|prompts?(?! (?:data|set|file|folder|template|"
            r"library|column|table)\w{0,3})|programming|system (?:prompt|message)s?"
        ),
        rules=(
            "conversation|chat|dialog(?:ue)?|discussion|context|input|polic(?:y|ies)|rules?|"
            "orders?|commands?|guidelines|guidance|restrictions|constraints|messages?"
        ),
        given=(
            "(?:you|i|we|they) (?:were|was|have been|had been|have|has|had|got|get|received|"
            "gave) (?:given|received|told|gave|got|sent|you|provided)|(?:given|provided|told|"
            "sent) (?:to )?you|you (?:got|received)|(?:that |which )?(?:came|come) before"
        ),
        everything="everything|all(?: that)?|anything|whatever|what",
        said=(
            "(?:said|told|written|stated|mentioned|discussed|learn(?:ed|t)|taught|know|read|"
            "instructed|trained|agreed|talked about|came (?:before|earlier)|(?:comes|"
            "stands) before|precedes?|preceded|happened)"
        ),
        above=(
            "(?:(?:text|words?|content|part|message|paragraphs?|stuff|prompt) )?(?:above|"
            "preceding)(?: (?:text|line|prompt|message|content|input|conversation|this (?:line|"
            "point|message|sentence)))?|before this(?: line| point| message)?"
        ),
        own="your|ur|yo",
        void=(
            "(?:no longer|not|never) (?:longer )?apply to you|(?:is|are) (?:now |"
            "hereby )?(?:no longer (?:valid|in force|relevant for you)|cancell?ed|void|"
            "null and void|revoked|overridden|superseded|deleted|obsolete|to be (?:ignored|"
            "disregarded))|do not matter|don.t matter|matter (?:now|any more|anymore)|(?:should|"
            "must|can|may|need to) be (?:ignored|disregarded|forgotten)"
        ),
        go_on="and(?! below)|any more|anymore|instead|now|then|just|but|directions|instructions",
    ),
    Language(
        "german",
        ignore=(
            r"ignorier\w{0,3}|vergiss|vergesst|vergessen sie|missacht\w{1,3}|verwirf|"
            r"überspring\w{0,2}|übergeh\w{0,2}|setz\w{0,2} (?:dich|euch|sie sich) über|"
            r"hör\w{0,2} nicht auf|halt\w{0,2} (?:dich|euch|sie sich) nicht (?:mehr )?an|"
            r"denk\w{0,2} nicht mehr an|kümmer\w{0,2} dich nicht um|(?:befolg|beacht|"
            r"folg)\w{0,2} nicht(?: mehr| länger)?|nicht (?:befolgen|beachten)"
        ),
        small=(
            "alle[rsnm]?|sämtliche[rsn]?|jede[rsn]?|jegliche[rsn]?|die|der|das|den|dem|des|"
            "deine[rsn]?|eure[rsn]?|ihre[rsn]?|meine[rsn]?|diese[rsn]?|von|und|oder|auch|bitte|"
            "sie|ihr|du|man|ich|wir|dir|euch|ihnen|es|was|gesamte[rsn]?|ganze[rsn]?|anderen?|"
            "etwaigen?|sofort|nun|hier|ab|jetzt|hast|habe?|haben|hat|wurden?|worden|war(?:en)?|"
            r"ist|sind|einfach|dabei|mir|soll\w{0,2}|muss\w{0,2}|darf\w{0,2}|werden|unsere?[nrs]?"
        ),
        earlier=(
            r"vorherig\w{0,2}|vorherg\w{3,8}|bisherig\w{0,2}|obig\w{0,2}|vorangegangen\w{0,2}|"
            r"vorangehend\w{0,2}|vorig\w{0,2}|früher\w{0,2}|fruehere?\w{0,2}|vorausgehend\w{0,2}|"
            r"oben\w{0,10}|ursprünglich\w{0,2}|zuvor|vorher|bisher|davor|anfänglich\w{0,2}|"
            r"bis (?:jetzt|hierher|hierhin)|vorstehend\w{0,2}"
        ),
        later=r"folgend\w{0,2}|nachfolgend\w{0,2}|spätere\w{0,2}|künftig\w{0,2}|weitere\w{0,2}",
        instructions=(
            "anweisung(?:en)?|instruktion(?:en)?|aufforderung(?:en)?|weisung(?:en)?|prompts?|"
            "systemprompts?|systemnachricht(?:en)?"
        ),
        rules=(
            "gesprächs?|unterhaltung|kontext|konversation|dialog|befehle?n?|regeln?|vorgaben?|"
            "anordnung(?:en)?|richtlinien?|aufträgen?|anleitung(?:en)?"
        ),
        given=(
            "(?:bekommen|erhalten) (?:hast|habt|haben)|(?:dir|euch|ihnen) (?:zuvor |"
            "vorher )?(?:gegeben|erteilt|mitgeteilt)(?: wurden| habe| hat)?"
        ),
        everything="alles|all das|das|jegliches|sämtliches|an alles",
        said=(
            "(?:gesagt|geschrieben|gesprochen|besprochen|erwähnt|gelernt|beigebracht|gelesen|"
            "mitgeteilt|erzählt|diskutiert|angewiesen|weißt|weisst|steht|stand|kam)"
        ),
        above=(
            "obige[sn]?|oben (?:stehende[sn]?|gesagte[sn]?|genannte[sn]?)|obenstehende[sn]?|"
            "vorstehende[sn]?|vorangegangene[sn]?|davor|vorherige[sn]?|bisherige[sn]?|oben"
        ),
        own="deine[nmrs]?|eure[nmrs]?|ihre[nmrs]?",
        void=(
            r"(?:gelten|sind|gilt|ist) (?:\w{1,12} ){0,3}(?:nicht(?: mehr| länger)?|aufgehoben|"
            "ungültig|hinfällig|nichtig)(?: gültig)?|(?:zu )?(?:ignorieren|missachten|vergessen)|"
            "ignoriert"
        ),
        go_on="und|stattdessen|sondern|jetzt|nun",
        follow=r"befolg\w{0,2}|beacht\w{0,2}|folg\w{0,2}|halt\w{0,2} (?:dich|euch) an",
        never="nicht(?: mehr| länger)?|nie(?: mehr|mals)?",
    ),
    Language(
        "french",
        ignore=(
            "(?<!n.)(?:ignor(?:e|es|ez|er|ons)|oubli(?:e|es|ez|er|ons)|néglige[rz]?|négligez|"
            "écarte[rz]?|(?:ne |n.)?(?:suis|suivez|suivre|respecte[rz]?|obéis|obéissez|"
            "écoute[rz]?|applique[rz]?|exécute[rz]?) (?:pas|plus|jamais)(?: à)?|(?:ne )?(?:tiens|"
            "tenez|tenir) (?:pas|plus|aucun) compte|(?:faire|fais|faites) (?:fi|abstraction)|"
            "passe[rz]? outre)"
        ),
        small=(
            "tout(?:es?)?|tous|les?|la|l|des?|du|d|tes|vos|ces?|cet(?:te)?|mes|nos|notre|votre|"
            "ta|mon|ma|toute|ensemble|chaque|aucune?|quelconques?|et|ou|ni|aussi|à|aux?|que|qu|"
            "qui|tu|vous|on|je|j|il|ils|elles?|t|m|te|me|nous|as|a|ai|avez|ont|été|était|est|"
            "sont|étaient|s|se|ce|reçue?s?|données?|donnés?|autres|bien|maintenant|désormais|"
            "dans|par|en|y|système"
        ),
        earlier=(
            r"précédent\w{0,5}|antérieure?\w{0,5}|préalable\w{0,4}|ci dessus|plus haut|ci avant|"
            r"initiale?s?|d origine|avant(?! (?:de|d|que|l|le|la|les)(?!\w))|auparavant|"
            "jusqu (?:ici|à présent|à maintenant)|passée?s|existantes?"
        ),
        later="suivante?s?|ultérieure?s?|futur[es]{0,2}|prochaine?s|à venir|ci dessous",
        instructions="instructions?|consignes?|directives?|prompts?",
        rules=(
            "conversation|discussion|contexte|échange|règles?|ordres?|commandes?|indications?|"
            "recommandations"
        ),
        given=(
            "(?:tu as|vous avez|t ont été|vous ont été|on t a|on vous a) (?:reçue?s?|données?|"
            "dites)"
        ),
        everything="tout(?: ce)?|ce|l ensemble|toute chose|tout cela",
        said=(
            "(?:dit|dite|écrit|mentionné|appris|enseigné|raconté|indiqué|expliqué|lu|discuté|"
            "évoqué|demandé|figure|précède|sais|savez|savais|saviez)"
        ),
        above=(
            "(?:texte |message |contenu |partie )?(?:ci dessus|plus haut|précédente?|qui précède)"
        ),
        own="tes|vos|ta|votre",
        void=(
            "(?:ne |n )?(?:s |sont |est )?(?:appliquent?|valables?|valides?|plus (?:valables?|"
            "valides?|en vigueur)|annulées?|caduques?|révoquées?)(?: plus)?"
        ),
        go_on="et|puis|plutôt|maintenant|mais",
    ),
    Language(
        "spanish",
        ignore=(
            "(?<!no.)(?:ignor(?:a|e|en|ad|ar|es)|olvid(?:a|e|en|ad|ar|ate|ese|aos)|"
            r"desestim\w{1,3}|descart\w{1,3}|omit\w{1,3}|desobede\w{2,4}|pas\w{1,3} por alto|"
            r"salt\w{1,2}te|desatiend\w{1,2}|(?:no|nunca) (?:(?:les?|las?|los) )?(?:sigas?|"
            "siga[ns]|obedezca[sn]?|respetes?|cumplas?|uses?|apliques?|tengas? en cuenta|"
            r"tomes? en cuenta|prestes? atención|hagas? caso|atiendas?)|ha[gz]\w{0,2} caso omiso)"
        ),
        small=(
            "tod[oa]s?|las?|los?|el|le|les|de|del|a|al|tus?|sus?|mis?|nuestr[oa]s?|estas?|estos?|"
            "esas?|esos?|cualquier|cualesquiera|cada|y|o|e|ni|otr[oa]s|que|se|te|me|os|nos|has?|"
            r"he|han|había\w?|hemos|sido|fue(?:ron)?|ya|por|favor|en|con|yo|tú|usted|ustedes|"
            r"ellos|recib\w{1,5}|dad[oa]s|está|están|aquí|sistema|lo"
        ),
        earlier=(
            "anterior(?:es|mente|idad)?|previ[oa]s?|precedentes?|de arriba|arriba|más arriba|"
            r"antes(?! (?:de|que)(?!\w))|originales|iniciales|existentes|pasad[oa]s|"
            "hasta (?:ahora|aquí|el momento)"
        ),
        later="siguientes?|posteriores?|futur[oa]s|próxim[oa]s|de abajo",
        instructions="instruccion(?:es)?|indicacion(?:es)?|directrices|consignas?|prompts?",
        rules=(
            "conversación|contexto|charla|diálogo|órden(?:es)?|reglas?|normas?|directivas?|"
            "mandatos?|comandos?|pautas"
        ),
        given="(?:recibiste|recibió|has recibido|te (?:dieron|han dado|dije|dio)|le dieron)",
        everything="tod[oa](?: (?:lo|aquello))?|lo|cuanto|aquello",
        said=(
            r"(?:dich[oa]|dij(?:e|o|eron|iste|imos)|escrit[oa]|mencionad[oa]|aprend\w{2,4}|"
            r"enseñ\w{2,5}|contad[oa]|contaron|hablad[oa]|sabes|indicad[oa]|precede|leído|pedí|"
            "pidieron)"
        ),
        above=(
            "(?:texto |mensaje |contenido )?(?:anterior|arriba|de arriba|más arriba|precedente|"
            "previo)"
        ),
        own="tus?|sus?|vuestr[ao]s",
        void=(
            r"(?:ya )?(?:no|nunca) (?:son|están|tienen|es|se) (?:\w{1,10} ){0,2}?(?:válid[oa]s?|"
            "vigentes?|aplican|vigor|validez|valor)|(?:quedan|están|son) (?:anulad[oa]s|"
            "cancelad[oa]s|sin efecto)"
        ),
        go_on="y|e|en su lugar|ahora|pero",
    ),
    Language(
        "italian",
        ignore=(
            "(?<!non.)(?:ignor(?:a|i|ate|are|ino)|dimentic(?:a|hi|ate|are|ati)|scord(?:a|i|ate|"
            r"ati|are)|trascur\w{1,3}|tralasci\w{0,3}|scart\w{1,3}|disobbedi\w{1,3}|"
            r"lascia(?:te)? perdere|metti da parte|salta(?:te)?)|non (?:segui\w{0,3}|"
            r"obbedi\w{1,4}|rispett\w{1,4}|consider\w{1,4}|applic\w{1,4}|ascolt\w{1,4}|bad\w{1,4}|"
            r"ten\w{2,4} conto|prest\w{1,4} attenzione)"
        ),
        small=(
            "tutt[oaei]|gli|le|l[aoe]?|il|i|di|de(?:lle|gli|l|i|lla|llo)|da(?:lle|gli|l|i)?|"
            "al(?:le|la)?|agli|ai|a|tue|tuoi|vostre|mie|nostr[oaei]|tua|tuo|queste|quest[oiae]|"
            "quelle|quell[oiae]|ogni|qualsiasi|qualunque|ciascun[oa]?|e|o|né|altre|che|ti|mi|vi|"
            "si|ci|ho|hai|ha|hanno|avete|è|era(?:no)?|sono|stat[oaei]|più|per|favore|in|io|tu|"
            "loro|dat[oaei]|fornit[oaei]|ricevut[oaei]|anche|ora|ciò|cui|sistema"
        ),
        earlier=(
            r"precedent[ei]\w{0,5}|precedenza|anterior[ei]|previ[eaio]|di cui sopra|qui sopra|"
            r"sopra\w{0,9}|prima(?! (?:di|che|del\w{0,2})(?!\w))|finora|fin qui|original[ei]|"
            "inizial[ei]|esistenti|passat[ei]"
        ),
        later="seguent[ei]|successiv[eio]|futur[eio]|prossim[eio]|ulteriori",
        instructions="istruzion[ei]|indicazion[ei]|consegn[ae]|prompt",
        rules=(
            "conversazione|contesto|dialogo|discussione|regol[ae]|ordin[ei]|comand[oi]|"
            "direttiv[ae]|linee guida|disposizion[ei]|norm[ae]"
        ),
        given="(?:hai ricevuto|ti (?:sono state|sono stati|hanno|ho) dat[oaei]|avete ricevuto)",
        everything="tutto(?: (?:ciò|quello|quanto))?|ciò|quanto|quello|ogni cosa",
        said=(
            "(?:dett[oa]|scritt[oa]|menzionat[oa]|imparat[oa]|insegnat[oa]|raccontat[oa]|"
            "discuss[oa]|spiegat[oa]|indicat[oa]|sai|sapevi|precede|lett[oa])"
        ),
        above=(
            "(?:testo |messaggio |contenuto )?(?:di cui sopra|qui sopra|sopra|precedente|"
            "che precede)"
        ),
        own="tue|tuoi|tua|tuo|vostre",
        void=(
            r"non (?:\w{1,10} ){0,2}?(?:valgono|vale|valide?|si applicano|in vigore)(?: più)?|"
            "(?:sono|vengono) (?:annullate|revocate|nulle)"
        ),
        go_on="e|ed|poi|invece|ora|ma",
    ),
    Language(
        "portuguese",
        ignore=(
            "(?<!não.)(?<!não.se.)(?:ignor(?:e|a|em|ar|es|ai)|esque[çc](?:a|e|am|er)|"
            r"desconsider\w{1,3}|descart\w{1,3}|desprez\w{1,3}|despreze|omit\w{1,2}|"
            r"desobede[çc]\w{1,2}|(?:deixe|deixa) de lado)|(?:não|nunca) (?:sig[ao]s?|siga[ms]|"
            r"segue|obede[çc]\w{1,3}|respeit\w{1,3}|consider\w{1,3}|cumpr\w{1,3}|us\w{1,2}|"
            r"lev\w{1,3} em (?:conta|consideração)|dê atenção|escut\w{1,3})"
        ),
        small=(
            "tod[oa]s?|as?|os?|às?|aos?|de|d[oa]s?|que|se|te|me|lhe|seus?|suas?|teus?|tuas?|"
            "meus?|minhas?|noss[oa]s?|estas?|estes?|essas?|esses?|quaisquer|qualquer|cada|e|ou|"
            "nem|outr[oa]s|você|vocês|eu|eles|elas|foi|foram|é|está|estão|sido|tem|têm|já|por|"
            r"favor|em|n[oa]s?|dad[oa]s|receb\w{1,4}|aquilo|aqui|agora|sistema|fornecid[oa]s"
        ),
        earlier=(
            "anterior(?:es|mente)?|prévi[oa]s?|precedentes?|acima|de cima|antes(?! (?:de|d[oa]s?|"
            r"que)(?!\w))|originais|iniciais|existentes|passad[oa]s|até (?:agora|aqui|o momento)"
        ),
        later="seguintes?|posteriores?|futur[oa]s|próxim[oa]s|abaixo",
        instructions="instruç(?:ões|ão)|orientaç(?:ões|ão)|diretrizes|prompts?",
        rules=(
            "conversa|contexto|diálogo|ordens?|ordem|regras?|diretivas?|comandos?|indicaç(?:ões|"
            "ão)|normas?|mensagens"
        ),
        given=r"(?:você|tu|vocês) (?:recebe\w{1,3})|(?:te|lhe) (?:deram|dei|foram dad[oa]s)",
        everything="tudo(?: (?:o|aquilo|isso))?|o|aquilo|isso",
        said=(
            r"(?:dit[oa]|diss(?:e|eram|este|emos)|escrit[oa]|mencionad[oa]|aprend\w{2,4}|"
            r"ensin\w{2,4}|contad[oa]|contaram|falad[oa]|falei|falaram|sabe|sabes|indicad[oa]|"
            "precede|lido|discutid[oa])"
        ),
        above="(?:texto |mensagem |conteúdo )?(?:acima|anterior|de cima|precedente)",
        own="tuas?|suas?|teus?|seus?",
        void=(
            r"(?:já )?não (?:\w{1,10} ){0,2}?(?:valem|vale|válid[oa]s|se aplicam|"
            "vigoram)(?: mais)?|(?:foram|estão|são) (?:anulad[oa]s|cancelad[oa]s|revogad[oa]s)"
        ),
        go_on="e|em vez disso|agora|mas",
    ),
    Language(
        "dutch",
        ignore=(
            "negeer|negeert|negeren|vergeet|vergeten|overtreed|verwaarloos|verwerp|"
            "trek je niets aan van|hou[d]?t? geen rekening met|let niet op|hou[d]? (?:je|"
            "u) niet aan|luister niet naar|(?:volg|gehoorzaam) niet|besteed geen aandacht aan"
        ),
        small=(
            "alle|al|alles|elke?|iedere?|de|het|een|je|jouw|uw|mijn|onze?|ons|deze|die|dit|dat|"
            "dit|van|en|of|ook|andere|aub|alsjeblieft|die|wat|er|ik|jij|wij|we|ze|zij|u|men|"
            "hebt?|heb|heeft|hebben|had|is|zijn|was|werd|werden|aan|met|door|eventuele|hele|tot|"
            "nu|toe|volledig|gewoon|gegeven|mij"
        ),
        earlier=(
            "vorige|voorgaande|bovenstaande|eerdere|eerder|voorafgaande|hierboven|hiervoor|"
            "oorspronkelijke|bestaande|vroegere|daarvoor|tot (?:nu toe|dusver)"
        ),
        later="volgende|latere|toekomstige|onderstaande|verdere|komende",
        instructions="instructies?|aanwijzing(?:en)?|prompts?",
        rules=(
            "gesprek|context|conversatie|regels?|opdracht(?:en)?|bevel(?:en)?|richtlijn(?:en)?|"
            "voorschrift(?:en)?|commando.?s|orders?"
        ),
        given=(
            "(?:je|jij|u|jullie) (?:eerder |hebt |hebben )?(?:(?:gekregen|ontvangen)(?: hebt?|"
            " hebben)?|(?:eerder )?(?:hebt|heeft) (?:gekregen|ontvangen))|aan (?:je|jou|"
            "u) gegeven"
        ),
        everything="alles|al wat|wat|dat|hetgeen|al hetgeen",
        said=(
            "(?:gezegd|verteld|geschreven|genoemd|geleerd|besproken|gelezen|vermeld|weet|wist|"
            "staat|stond|voorafgaat|voorafging)"
        ),
        above=(
            "(?:bovenstaande|hierboven|voorgaande|voorafgaande)(?: (?:tekst|bericht|regel))?|"
            "hiervoor"
        ),
        own="je|jouw|uw|jullie",
        void=(
            r"(?:gelden|zijn|geldt) (?:\w{1,10} ){0,3}(?:niet(?: meer| langer)?|ongeldig|"
            "vervallen|ingetrokken)(?: geldig)?|negeren|vergeten|genegeerd"
        ),
        go_on="en|maar|nu|in plaats daarvan",
        follow="volg|gehoorzaam|respecteer|hou je aan|houd je aan|gebruik",
        never="niet(?: meer| langer)?|nooit(?: meer)?",
    ),
    Language(
        "russian",
        ignore=(
            r"(?<!не.)(?:про)?игнорир\w{2,5}|(?<!не.)забуд(?:ь|ьте)|(?<!не.)забыть|пренебре(?:г|"
            r"ж)\w{1,4}|отбрось\w{0,2}|не (?:следуй\w{0,2}|выполняй\w{0,2}|соблюдай\w{0,2}|"
            r"слушай\w{0,4}|подчиняй\w{2,4}|учитывай\w{0,2}|исполняй\w{0,2}|придерживай\w{2,4}|"
            r"обращай\w{0,2} внимания(?: на)?)"
        ),
        small=(
            r"вс[её]|всех|всем|всеми|любы[ех]|кажд\w{2,3}|эти|этих|тво\w{1,3}|ваш\w{0,3}|"
            r"наш\w{0,2}|мо\w{1,2}|и|или|а|также|про|о|об|на|к|пожалуйста|друг\w{2,3}|"
            r"котор\w{2,3}|тебе|тебя|вам|вас|мне|мы|я|ты|вы|они|он|был[аио]?|дал[аи]?|дан[ыо]?|"
            r"данн\w{2,3}|да[её]тся|получил[аи]?|систем\w{1,4}|то|что|чему|того|только|уже|же|"
            "здесь|полностью|правила|по"
        ),
        earlier=(
            r"предыдущ\w{2,3}|прежн\w{2,3}|предшеств\w{2,7}|вышеуказанн\w{2,3}|"
            r"вышеизложенн\w{2,3}|вышепривед[её]нн\w{2,3}|прошл\w{2,3}|ранн\w{2,3}|исходн\w{2,3}|"
            r"первоначальн\w{2,3}|выше|раньше|ранее|до этого|прежде|до сих пор"
        ),
        later=r"последующ\w{2,3}|следующ\w{2,3}|дальнейш\w{2,3}|будущ\w{2,3}|поздн\w{3,5}",
        instructions=r"инструкци\w{1,3}|указани\w{1,3}|промпт\w{0,3}|предписани\w{1,3}",
        rules=(
            r"разговор\w{0,2}|диалог\w{0,2}|контекст\w{0,2}|бесед\w{1,2}|правил\w{0,3}|"
            r"команд\w{0,3}|приказ\w{0,3}|распоряжени\w{1,3}|директив\w{0,3}|установк\w{1,3}"
        ),
        given="(?:тебе|вам) (?:дали|дан[ыо]|были даны)|(?:ты|вы) получил[аи]?",
        everything="вс[её]|то|вс[её] то|всего|обо вс[её]м|что угодно",
        said=(
            r"(?:сказа\w{1,4}|говори\w{1,4}|написа\w{1,4}|упомян\w{2,5}|учи\w{1,4}|научи\w{1,4}|"
            r"узна\w{1,4}|обсужда\w{2,5}|обсуди\w{1,4}|знаешь|знал[аи]?|рассказ\w{2,6}|велел[аи]?|"
            "просил[аи]?)"
        ),
        above=(
            r"вышесказанн\w{2,3}|вышеизложенн\w{2,3}|вышенаписанн\w{2,3}|вышеуказанн\w{2,3}|"
            "предыдущее|выше|текст выше"
        ),
        own=r"тво\w{1,2}|сво\w{1,2}|ваш\w{0,2}",
        void=(
            r"(?:больше |уже |далее )?(?:не (?:действу\w{2,3}|действительн\w{1,2}|имеют силы|"
            r"применя\w{2,5})|отменены|отменяются|недействительны|утратили силу)"
        ),
        go_on="и|а|вместо этого|теперь|но",
    ),
)
