"""Words of mail systems about a message: it failed, it is delayed, its reader is away; in the languages they write.

In: subjects and texts. Out: patterns, and whether a server still tries.
"""

from __future__ import annotations

import re

DAEMON = re.compile(r"\b(mailer-?daemon|postmaster|mail delivery (sub)?system|double-bounce)\b", re.IGNORECASE)
FAILURE = re.compile(
    r"undeliver|not (be )?delivered|(delivery|deliver|message|mail) (has )?(failed|failure|status|error)|failure notice"
    r"|failed delivery|returned (e-?)?mail|returning message|could not (be )?(deliver|send|sent)|unable to deliver"
    r"|delivery (report|notification)"
    r"|unzustellbar|nicht zustellbar|nicht\b.{0,60}\bzugestellt|zustell\w*.{0,20}(fehl|nicht)|fehlgeschlagen"
    r"|non (remis|distribu)|(n'a|n'ont|ne) .{0,20}pas .{0,20}(remis|distribu|livr)|[ée]chec"
    r"|\bno\b.{0,20}\bentreg|no se (pudo|ha podido|puede)\b.{0,20}\bentreg|\bn[ãa]o\b.{0,20}\bentreg"
    r"|\bnon\b.{0,20}\b(recapitat|consegnat)|mancata consegna|impossibile recapitare"
    r"|onbestelbaar|\bniet\b.{0,60}\b(afgeleverd|bezorgd)|nie\b.{0,30}\bdostarcz|inte\b.{0,30}\blevere|ikke\b.{0,30}\blevere"
    r"|недоставл|не доставлен|не (может|удалось|было).{0,20}достав"
    r"|(配信|送信|届け).{0,6}(できません|されません|られません|不能|失敗)|メールエラー|退信|退回|(无法|未能|無法).{0,6}(投递|送达|傳遞|送達)",
    re.IGNORECASE,
)
_STILL_TRYING = re.compile(
    r"still (being )?(trying|undelivered|retried|queued)|\bwe (re-?try|try again|keep trying)"
    r"|\bretr(y|ies|ying) every\b"
    r"|\bwill (now )?(be )?(re-?tr(y|ied)|keep (on )?trying"
    r"|continue|try again"
    r"|be (attempted|tried) again|make further)|(kept|remains?|is|are|held|stays?) (still )?in (the|our"
    r"|its) (mail )?queue"
    r"|only a (warning|temporary)|temporary failure report|warning (message )?only"
    r"|not (yet been|been|yet) delivered (yet|after|to one or more of its recipients after)|not yet (been )?delivered"
    r"|(delivery )?attempts will continue|need (not|n't)( to)? (be )?(re-?sent|resend)|nothing need be (re-?)?sent"
    r"|(do|does|did)(n't| not) need to (be )?(re-?sen[dt])|no action is (required|needed)|(has|have) been delayed"
    r"|\b(is|are|was|were) (being |currently )?(delayed|deferred)|\(delay(ed)?\)|delivery (is |has been )?delayed"
    r"|will be delivered (as soon|later|when)|continue (trying|to try)|keeps? trying"
    r"|noch nicht zugestellt|weitere zustellversuche|wird (weiter|erneut|weiterhin)|n'a pas encore"
    r"|nouvelles? tentatives?"
    r"|sera (retent|réessay)|a[úu]n no (se )?(ha|fue|se)|se (volver|seguir)[áa]|nuov[oi] tentativ|non (è|e') ancora"
    r"|ainda n[ãa]o|novas? tentativas?|nog niet (afgeleverd|bezorgd)|opnieuw geprobeerd|повторн\w+ попыт"
    r"|ещ[её] не достав"
    r"|再送(信)?(します|を試み|を続け)|再試行|まだ配信|尚未(送达|投递|傳遞)|将继续(尝试)?|(重试|重試)",
    re.IGNORECASE,
)
"""Words of a server that goes on trying: whatever the subject is, nothing has failed."""
_WAITING = re.compile(
    r"\b(delay(ed)?|deferred|warning)\b|verz[öo]e?ger|warnung|retard|diff[ée]r[ée]|avertissement|retras"
    r"|demora(d|\b)|advertencia"
    r"|ritard|avviso|atras(o|ad)|adiad|aviso|vertraag|vertraging|waarschuwing|op[óo][źz]ni|f[öo]rsen|fördröj"
    r"|forsink|viiv[äa]s"
    r"|zpožd|odložen|задерж|отлож|предупрежд|遅延|遅れ|警告|延迟|延遲|延误|지연|gecik|ertelen|késle|késik",
    re.IGNORECASE,
)
_FINAL = re.compile(
    r"\bpermanent(ly)? (error|fail|fatal|undeliver|reject)|permanent error|failed permanently"
    r"|permanently (failed|rejected)"
    r"|\bgiv(ing|en) up\b|gave up|fatal error|no (further|more) (delivery )?(attempts|retries)|will not be re-?tried"
    r"|returning message|returned (e-?)?mail\b|failure notice|delivery (has )?failed|returned to (sender|you)\b"
    r"|endgültig|définitiv|definitiv|undeliverable|unzustellbar"
    r"|окончательно|message expired|retry time(out)? (exceeded|not reached)",
    re.IGNORECASE,
)
"""Words of a server that has stopped trying."""


def still_waits(subject: str, words: str) -> bool:
    """Tell whether words tell of a delay. A neutral subject says nothing; doubt speaks for the reader."""
    if _STILL_TRYING.search(f"{subject}\n{words}"):
        return not _IS_PERMANENT.search(words)
    return bool(_WAITING.search(f"{subject}\n{words}")) and not _FINAL.search(f"{subject}\n{words}")


_IS_PERMANENT = re.compile(
    r"this is a permanent|permanent (fatal )?errors?\b|failed permanently|i've given up|(?<!will be )(?<!is )giving up"
    r"|will not be re-?tried|no (further|more) (delivery )?attempts will",
    re.IGNORECASE,
)
"""A failure so plain that words about trying again are a quotation."""

AWAY = re.compile(
    r"^\s*(re: ?)?(out of (the )?office|automatic reply|auto(matic)?[- ]?(reply|response|answer)|vacation|away from"
    r"|abwesen|automatische antwort|r[ée]ponse automatique|absence|respuesta autom|fuera de|risposta automatica"
    r"|autosvar)",
    re.IGNORECASE,
)
