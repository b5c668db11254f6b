"""Words of mail servers in other languages than English, by what they are about.

In: nothing. Out: a pattern for each subject (sender, mailbox, limit) and each predicate (unknown, full, refused),
from which `core/reply_patterns.py` composes the same sentences that it knows in English.
"""

from __future__ import annotations


def _pattern(latin: str, other: str) -> str:
    """Return one pattern of words that end at a word boundary and of scripts without such boundaries."""
    return rf"(?:\b(?:{latin})\b|{other})"


SENDER_WORDS = _pattern(
    r"remitente|remetente|mittente|exp[ée]diteur|absender\w*|afzender|nadawc\w+|odes[ií]latel\w*|avs[aä]ndar\w*|afsender\w*"
    r"|avsender\w*|felad[oó]\w*|g.nderen|отправител\w+|обратн\w+ адрес\w*|r[üu]ckadresse|adresse de retour"
    r"|direcci[oó]n de retorno|indirizzo di ritorno|endere[cç]o de retorno",
    "返信先|发件人|發件人|寄件人|发送人|送信者|送信元|差出人|발신자|보낸 ?사람",
)
BOX_WORDS = _pattern(
    r"buz[oó]n|bandeja de entrada|caixa (?:postal|de entrada)|bo[iî]te\w*|casella|postfach\w*|posteingang|postvak|inbox"
    r"|skrzynk\w+|schr[aá]nk\w+|postkasse|inkorg|innboks|postafi[oó]k|gelen kutusu|(?:почтов\w+ )?ящик\w*",
    "邮箱|郵箱|信箱|收件人空间|メールボックス|受信トレイ|受信ボックス|메일함",
)
PERSON_WORDS = _pattern(
    r"usuari[oa]|usu[aá]rio|destinat[aá]ri[oa]|cuenta|direcci[oó]n|conta|endere[cç]o|utilisateur|destinataire|compte"
    r"|adresse|utente|destinatario|indirizzo|benutzer|empf(?:ä|ae?)nger\w*|konto|e-mail-adresse|gebruiker|ontvanger|adres"
    r"|u[zż]ytkownik\w*|adresat|odbiorc\w+|u[zž]ivatel\w*|adres[aá]t|anv[aä]nda\w+|mottaga\w+|bruger\w*|modtager\w*|bruker\w*"
    r"|mottaker\w*|vastaanotta\w+|felhaszn[aá]l[oó]|c[ií]mzett|kullan.c.|al.c.|hesap|пользовател\w+|получател\w+|адрес\w*",
    "用户|用戶|收件人|收件者|邮件地址|账号|帐号|帳號|宛先|アドレス|ユーザー?|사용자|수신자|계정|주소",
)
UNKNOWN_WORDS = _pattern(
    r"kein\w* solche\w*|такого"
    r"|desconhecid[oa]|desconocid[oa]|inconnue?|sconosciut[oa]|unbekannt\w*|nicht bekannt|onbekende?|nieznan\w+"
    r"|nezn[aá]m\w+|ok[aä]nd|ukendt|ukjent|tuntematon|неизвест\w+|ismeretlen|inexistente|inexistante?|inesistente"
    r"|no existe|n[aã]o existe"
    r"|n'existe (?:pas|plus)|non esiste|existiert nicht|nicht vorhanden|gibt es nicht|bestaat niet|nie istnieje|nie ma"
    r"|neexistuje|findes ikke|finnes ikke|finns inte|не существу\w+|не найден\w*|nem l[eé]tezik"
    r"|bulunamad.|mevcut de[gğ]il|introuvable"
    r"|no (?:se )?(?:ha |fue )?encontr\w+|n[aã]o (?:foi )?encontrad\w+|non(?: è| e')?(?: stat[oa])? trovat\w+"
    r"|nicht gefunden|niet gevonden|nie znalezion\w+",
    "无此|無此|没有此|不存在|未找到|找不到|未注册|存在しま?せん|存在しない|見つかりません|見つからない|不明"
    "|존재하지|찾을 수 없",
)
FULL_WORDS = _pattern(
    r"llen[oa]|satur[ée]\w*|pleine?|chei[oa]|pien[oa]|voll|vol|pe[lł]n\w+|pln[aáyý]|переполнен\w*|full|fuld|megtelt|dolu",
    "已满|已滿|空间不足|满了|満杯|一杯|いっぱい|容量[^。]{0,6}(?:超|不足)|가득",
)
LIMIT_WORDS = _pattern(
    r"l[ií]mite?\w*|quota\w*|cuota|cota|kontingent\w*|\w+limit|\w+kontingent|limiet|лимит\w*|kvot\w*",
    "频率|頻率|限制|上限|制限|流量|한도",
)
EXCEEDED_WORDS = _pattern(
    r"exced\w+|supera\w+|d[ée]pass\w+|.berschritten|erreicht|alcan[zcç]\w+|atteint\w*|atingi\w+|raggiunt\w+|overschreden"
    r"|bereikt|przekrocz\w+|превышен\w*",
    "超过|超過|超出|超え|达到|초과",
)
REFUSED_WORDS = _pattern(
    r"no (?:est[aá] )?(?:autorizad|permitid|v[aá]lid)\w*|n[aã]o (?:est[aá] )?(?:autorizad|permitid)\w*"
    r"|non (?:autoris|permis)\w*"
    r"|non (?:è )?(?:autorizzat|consentit|permess)\w*|nicht (?:erlaubt|zul[aä]ssig|berechtigt|autorisiert|zugelassen)"
    r"|niet toegestaan|niedozwolon\w+|не разреш\w+|не авториз\w+|rechazad\w+|recusad\w+|rejeitad\w+"
    r"|refus[ée]\w*|rejet[ée]\w*"
    r"|rifiutat\w+|respint\w+|abgelehnt|abgewiesen|verweigert|geweigerd|odrzucon\w+|отклон[её]н\w*",
    "被拒|拒绝|拒絕|拒收|拒否|許可されていません|거부",
)
TOO_MANY_WORDS = _pattern(
    r"demasiad[oa]s|zu viele|trop de|tropp[ie]|muit[oa]s|te veel|zbyt wiele|слишком много",
    "过多|太多|多すぎ|너무 많",
)
BLOCKED_WORDS = _pattern(
    r"bloquead\w+|bloqu[ée]\w*|bloccat\w+|gesperrt|geblockt|blockiert|geblokkeerd|zablokowan\w+|заблокирован\w*",
    "ブロック|屏蔽|封锁|차단",
)
SUSPENDED_WORDS = _pattern(
    rf"suspend\w+|sospes\w+|de[sz]?activad\w+|d[ée]sactiv\w+|deaktiviert|geschorst|{BLOCKED_WORDS}",
    "停止|停用|冻结|凍結",
)
YOUR_ACCOUNT_WORDS = _pattern(
    r"(?:su|tu|vuestra) cuenta|sua conta|votre compte|ihr(?:e|es)? (?:konto|account|postfach|tarif)"
    r"|(?:suo|tuo|vostro) account"
    r"|uw account|twoje konto|ваш\w* (?:аккаунт|уч[её]тн\w+)",
    "您的(?:账|帐|邮箱账)|お客様のアカウント",
)
OTHER_SUBJECT_WORDS = _pattern(
    r"ip|ptr|helo|ehlo|host ?names?|certificates?|certificat|zertifikat|licen[sc]e|lizenz|credentials?|username|api"
    r"|connections?|conexi[oó]n|conex[aã]o|connexion|connessione|verbindung|clients?|dominio|dom[ií]nio|domaine|domein"
    r"|dom[aä]ne|домен\w*",
    "ドメイン|域名|도메인",
)
"""What a server judges that is no mailbox; where it stands, an unknown or a missing thing is that one."""
INTERNAL_WORDS = _pattern(
    r"err(?:or|eur|ore|o) intern[oae]|interner fehler|interne fout|b..d wewn\w+|внутренн\w+ ошибк\w+|database"
    r"|\w*datenbank"
    r"|base de (?:datos|dados|donn[ée]es)|look-?up|look up",
    "内部错误|内部エラー|系统错误",
)
"""A fault of the server itself."""
