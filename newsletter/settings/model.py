"""What an operator may decide: each setting with its kind, its default and its sentence.

In: values by key. Out: one frozen `Settings`, and the same fields as text for the documentation and the example file.
It reads nothing; `settings/loader.py` finds the values and reports the mistakes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import time
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, TypeAdapter
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from newsletter.settings.values import (
    AccentColor,
    BaseUrl,
    ClockTime,
    DatabaseUrl,
    DnsServers,
    Email,
    Emails,
    ExistingFile,
    ExistingFolder,
    Host,
    Language,
    Line,
    Lines,
    Link,
    LongSecret,
    LongSecrets,
    MailDomain,
    Networks,
    SecureLink,
    SecurityName,
    Selector,
    TitlePatterns,
    Topics,
    Weekday,
    Words,
    Zone,
)

SETTING_PREFIX = "NEWSLETTER_"
FILE_SUFFIX = "_FILE"
SECRETS = (
    "secret_key",
    "secret_keys_old",
    "smtp_password",
    "fallback_smtp_password",
    "database_url",
    "metrics_token",
    "imap_password",
    "webhook_mailgun_keys",
    "webhook_postmark_passwords",
    "webhook_mailjet_passwords",
    "webhook_brevo_tokens",
    "webhook_sparkpost_passwords",
    "webhook_resend_secrets",
)
"""Keys that may also be given as `NAME_FILE`, a file that holds the value, as containers hand out secrets."""

PRIVATE = (*SECRETS, "smtp_token_command", "imap_token_command", "alert_command", "ping_url")
"""Keys whose values are not shown: secrets, and commands and addresses that may hold credentials."""

RelayKind = Literal["none", "postfix", "exim", "ses", "sendgrid", "mailgun", "socketlabs", "gmail", "office365"]

FIRST_SETTINGS = ("from", "name", "postal_address", "base_url", "admin_emails", "time_zone", "smtp_host")
"""Keys of the seven settings that everybody decides: no default fits them. They come first, in this order."""

KEY_COMMAND = 'python3 -c "import secrets; print(secrets.token_urlsafe(32))"'


class Settings(BaseSettings):
    """Everything an operator decides. A field is the setting's name in lower case, without `NEWSLETTER_`."""

    # An unset default such as "" is no value of its kind, so defaults are not validated here; a test does it.
    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", str_strip_whitespace=True, hide_input_in_errors=True, validate_default=False
    )

    from_email: Email = Field(
        alias="from",
        description="The address every mail comes from; in 'Tips <tips@example.com>' the name counts unless "
        "NEWSLETTER_NAME is set.",
        examples=["tips@example.com"],
    )
    name: Line = Field("Tip of the Week", description="The name of the newsletter, as every mail shows it.")
    postal_address: Lines = Field(
        description="The sender's postal address, which commercial mail must bear; \\n begins a new line.",
        examples=["Example Society, 1 Example Street, Springfield"],
    )
    base_url: BaseUrl = Field(
        description="The public https address of the web part, which the unsubscribe links point to.",
        examples=["https://news.example.com"],
    )
    admin_emails: Emails = Field(
        (),
        description="Who gets reports and alerts, and may sign in to the admin area, separated by commas; unset, "
        "alerts stand in the log only.",
    )
    time_zone: Zone = Field("America/New_York", description="The IANA time zone in which day and time are meant.")
    smtp_host: Host = Field("localhost", description="The mail server that takes the mails.")

    secret_key: LongSecret = Field(
        description="Signs the unsubscribe links: at least 32 random characters, kept for as long as mails are kept.",
    )
    secret_keys_old: LongSecrets = Field(
        (), description="Earlier secret keys, separated by commas, so that links in old mails keep working."
    )
    database_url: DatabaseUrl = Field(
        SecretStr("sqlite:///data/newsletter.db"),
        description="The database: sqlite:///FILE, or postgresql://USER:PASSWORD@HOST/NAME with the postgres extra.",
    )

    reply_to: Email = Field("", description="A mailbox that somebody reads; unset, replies go to NEWSLETTER_FROM.")
    language: Language = Field(
        "en",
        description="The language of the mails, as a tag such as en or pt-BR: it gives the date, the footer and the "
        "quotation marks.",
    )
    typography: bool = Field(
        default=True,
        description="Turn straight quotes, -- and ... into the typographic signs of the language, code and addresses "
        "aside.",
    )
    accent_color: AccentColor = Field(
        "#17604f",
        description="The colour of links, the button and the newsletter's name in the mails, dark enough to be read.",
    )
    logo_url: SecureLink = Field(
        "", description="An https address of a picture that stands at the top of the mails, 40 pixels high."
    )

    send_day: Weekday = Field("tuesday", description="The weekday of the weekly tip, such as tuesday or Tue.")
    send_time: ClockTime = Field(time(9), description="The time of day it goes out, on the clock of the time zone.")
    send_locally: bool = Field(
        default=False, description="Send at this time of each reader's own zone, and not to everybody at one instant."
    )
    passed_zones: Literal["at-once", "with-publication"] = Field(
        "at-once",
        description="With NEWSLETTER_SEND_LOCALLY, readers in whose zone the time is past as an edition begins get it "
        "at once, or with the publication's own zone.",
    )
    grace_hours: int = Field(
        36, ge=1, le=167, description="How many hours late a mail may still be sent after the machine was down."
    )
    low_stock_weeks: int = Field(
        4, ge=0, le=520, description="The forecast warns when approved tips last for fewer weeks than this."
    )
    evergreen_rest_weeks: int = Field(
        52, ge=0, le=520, description="How many weeks an evergreen tip rests before it may be sent again."
    )
    expire_hours: int = Field(
        72, ge=1, le=167, description="How many hours after the first try a delayed delivery is given up."
    )

    smtp_port: int = Field(587, ge=1, le=65535, description="Its port: 587 for starttls, 465 for tls.")
    smtp_security: SecurityName = Field(
        "starttls", description="How the connection is encrypted: starttls, tls (also written ssl) or none."
    )
    smtp_allow_plaintext: bool = Field(
        default=False, description="Allow NEWSLETTER_SMTP_SECURITY=none to a server that is not this machine."
    )
    smtp_ca_file: ExistingFile | None = Field(
        None, description="A PEM file with your own certificate authority, if the server's certificate needs it."
    )
    smtp_username: Line = Field("", description="The login at the mail server; unset, no login.")
    smtp_password: SecretStr | None = Field(None, description="The password of that login.")
    smtp_token_command: Line = Field(
        "",
        description="A command that prints an access token, for a server that wants XOAUTH2 and no password.",
    )
    smtp_preset: RelayKind = Field(
        "none",
        description="What kind of server it is, for the three settings below: none, postfix, exim, ses, sendgrid, "
        "mailgun, socketlabs, gmail or office365.",
    )
    smtp_connections: int = Field(
        4, ge=1, le=50, description="How many connections are used at the same time; unset, the preset's."
    )
    smtp_max_messages: int = Field(
        100, ge=1, le=100_000, description="A connection is replaced after this many mails; unset, the preset's."
    )
    smtp_max_seconds: int = Field(
        60, ge=1, le=3600, description="A connection is replaced after this many seconds; unset, the preset's."
    )
    smtp_timeout_seconds: int = Field(
        60, ge=1, le=3600, description="How long a reply may take; the one to a whole message gets at least 600 s."
    )
    smtp_ehlo_name: MailDomain = Field("", description="The name this machine gives in EHLO; unset, its own full name.")
    fallback_smtp_host: Host = Field(
        "", description="A second mail server, for when the first cannot be reached or takes nothing; unset, none."
    )
    fallback_smtp_port: int = Field(587, ge=1, le=65535, description="Its port: 587 for starttls, 465 for tls.")
    fallback_smtp_security: SecurityName = Field(
        "starttls", description="How the connection to it is encrypted: starttls, tls or none."
    )
    fallback_smtp_ca_file: ExistingFile | None = Field(
        None, description="A PEM file with the certificate authority of the second server, if it needs one."
    )
    fallback_smtp_username: Line = Field("", description="The login at the second mail server; unset, no login.")
    fallback_smtp_password: SecretStr | None = Field(None, description="The password of that second login.")
    fallback_smtp_preset: RelayKind = Field(
        "none", description="What kind of server the second one is, as in NEWSLETTER_SMTP_PRESET."
    )
    rate_per_second: int = Field(0, ge=0, description="At most this many mails a second; 0 is no limit.")
    rate_per_hour: int = Field(0, ge=0, description="At most this many mails in any hour; 0 is no limit.")
    rate_per_day: int = Field(0, ge=0, description="At most this many mails in any 24 hours; 0 is no limit.")
    ramp_start: int = Field(
        0,
        ge=0,
        description="A fresh list: at most this many mails in 24 hours, doubled by each clean edition; 0 is no ramp.",
    )
    pause_hard_percent: float = Field(
        2,
        ge=0,
        le=100,
        description="Pause an edition when more addresses than this do not exist (2.5 times it at first); 0 is never.",
    )
    pause_policy_percent: float = Field(
        2,
        ge=0,
        le=100,
        description="Pause an edition when more people than this are refused because of us; 0 is never.",
    )
    pause_content_percent: float = Field(
        1, ge=0, le=100, description="Pause an edition when more people than this are refused for the text; 0 is never."
    )
    pause_refusals: int = Field(
        25, ge=0, description="Pause an edition after this many refusals in a row, all in the same words; 0 is never."
    )
    pause_complaint_percent: float = Field(
        0.3,
        ge=0,
        le=100,
        description="Pause an edition when more readers than this call it spam, at least three; 0 is never.",
    )
    alert_complaint_percent: float = Field(
        0.1, ge=0, le=100, description="Raise an alert when more readers than this call an edition spam; 0 is never."
    )
    uncertain: Literal["hold", "retry"] = Field(
        "hold",
        description="A mail that may or may not have gone out: hold it for a person's decision, or retry it.",
    )
    bounce_domain: MailDomain = Field(
        "", description="A domain of your own for bounces; each mail then has its own return address there."
    )
    cfbl_address: Email = Field("", description="A mailbox for complaint reports (RFC 9477).")
    imap_host: Host = Field(
        "", description="The IMAP server of a mailbox for bounces, which is read every few minutes; unset, none."
    )
    imap_port: int = Field(993, ge=1, le=65535, description="Its port: 993 for tls, 143 for starttls.")
    imap_security: SecurityName = Field("tls", description="How the connection is encrypted: tls, starttls or none.")
    imap_ca_file: ExistingFile | None = Field(
        None, description="A PEM file with the certificate authority of that server, if it needs one."
    )
    imap_username: Line = Field("", description="The login at that server.")
    imap_password: SecretStr | None = Field(None, description="The password of that login.")
    imap_token_command: Line = Field(
        "", description="A command that prints an access token for it, for a server that wants XOAUTH2."
    )
    imap_folder: Line = Field("INBOX", description="The folder that bounces come to.")
    imap_read_folder: Line = Field("newsletter-read", description="Where mails go that were understood.")
    imap_unknown_folder: Line = Field(
        "newsletter-unknown", description="Where mails go that are about nothing of ours; nothing is deleted."
    )
    imap_minutes: int = Field(
        5,
        ge=0,
        le=1440,
        description="The service reads it after so many minutes; 0 is by newsletter bounce fetch alone.",
    )
    webhook_ses_topics: Topics = Field(
        (), description="Amazon SES: the ARNs of the SNS topics for bounces and complaints; unset, no webhook."
    )
    webhook_mailgun_keys: LongSecrets = Field(
        (), description="Mailgun: the HTTP webhook signing key; unset, no webhook."
    )
    webhook_postmark_passwords: LongSecrets = Field(
        (), description="Postmark: a password of your own for its webhook, in the address; unset, no webhook."
    )
    webhook_sendgrid_keys: Words = Field(
        (), description="SendGrid: the verification key of its event webhook; unset, no webhook."
    )
    webhook_mailjet_passwords: LongSecrets = Field(
        (), description="Mailjet: a password of your own for its webhook, in the address; unset, no webhook."
    )
    webhook_brevo_tokens: LongSecrets = Field(
        (), description="Brevo: a token of your own for its webhook; unset, no webhook."
    )
    webhook_sparkpost_passwords: LongSecrets = Field(
        (), description="SparkPost: a password of your own for its webhook; unset, no webhook."
    )
    webhook_resend_secrets: LongSecrets = Field(
        (), description="Resend: the signing secret of its webhook, which begins with whsec_; unset, no webhook."
    )

    dkim_domain: MailDomain = Field(
        "", description="The domain that signs the mails; unset, that of NEWSLETTER_FROM. One may hold the other."
    )
    dkim_selector: Selector = Field(
        "", description="The name under which the public key is published: NAME._domainkey.DOMAIN."
    )
    dkim_key_file: ExistingFile | None = Field(
        None, description="The private RSA key, as newsletter dkim keygen makes it; unset, the mail server signs."
    )
    dkim_ed25519_selector: Selector = Field("", description="The name of the second public key.")
    dkim_ed25519_key_file: ExistingFile | None = Field(
        None, description="A private Ed25519 key for a second signature, which not every receiver can verify."
    )

    editor_emails: Emails = Field(
        (),
        description="Who may sign in to write, order and approve tips, separated by commas; they see no subscribers.",
    )
    dns_servers: DnsServers = Field(
        (), description="The DNS servers that newsletter doctor asks, as 192.0.2.1:53; unset, those of the system."
    )

    proof_emails: Emails = Field(
        (), description="Who gets the proof a day ahead, separated by commas; unset, the admins do."
    )
    alert_command: Line = Field(
        "", description="A command that is run, with the alert on its standard input, when no mail gets through."
    )
    ping_url: Link = Field(
        "", description="An address that is fetched every minute while all is well, of a service that misses it."
    )

    journal_dir: Path = Field(
        Path("data/journal"),
        description="A folder on this machine for the ledger, which outlives a restored database, and the journals, "
        "which outlive a killed sender.",
    )
    state_dir: Path = Field(
        Path("~/.local/state/newsletter"),
        description="A folder on this machine outside that of the newsletter, by which a copied or restored database "
        "is noticed; for a user without a home of its own /var/lib/newsletter-state.",
    )
    lease_seconds: int = Field(
        30,
        ge=5,
        le=3600,
        description="On PostgreSQL: after how many seconds without a heartbeat a sender's work goes to another sender.",
    )
    keep_deliveries_days: int = Field(
        730,
        ge=90,
        le=36_500,
        description="How many days after its end an edition's list of who got it is kept; its totals stay for ever.",
    )

    archive_url: Link = Field("", description="Footer link to past tips; left out of the mail when unset.")
    archive_delay_hours: int = Field(
        0,
        ge=0,
        le=8760,
        description="How many hours after the last readers have begun to get a tip it enters the lists of the public "
        "archive; the link in its mail works at once.",
    )
    signup_url: Link = Field("", description="Footer link to the sign-up page; left out of the mail when unset.")
    contact_url: Link = Field("", description="Footer link to a contact page; left out of the mail when unset.")
    resources_url: Link = Field("", description="Footer link to further resources; left out of the mail when unset.")
    home_url: Link = Field("", description="Footer link to the home page; left out of the mail when unset.")
    templates_dir: ExistingFolder | None = Field(
        None, description="A folder of your own templates, which replace the shipped ones file by file."
    )

    import_titles: TitlePatterns = Field(
        "{title} - {month}/{day}/{year} TOW | {title} - {month}/{day}/{year}",
        description="How titles of an old archive hold their date, for newsletter tip import; several patterns are "
        "separated by |.",
    )
    import_drop_lines: Line = Field(
        "Sign up for FREE Tips* | Signup for FREE Tips* | Sign up | Signup | Subscribe | Contact us | Contact us for * "
        "| More resources | Resources | Home | Home page",
        description="Lines at the beginning or the end of an old post that are dropped; * stands for any words, and "
        "several are separated by |.",
    )

    web_host: Host = Field("127.0.0.1", description="The address the web part listens on.")
    web_port: int = Field(8080, ge=1, le=65535, description="The port the web part listens on.")
    web_pages: Literal["opt-out", "public", "admin", "all"] = Field(
        "opt-out",
        description="Which pages are there: opt-out has the links of the mails alone, public the pages for signing up "
        "too, admin the admin area too, all everything there is.",
    )
    web_trusted_proxies: Networks = Field(
        ("127.0.0.0/8", "::1/128"),
        description="The reverse proxies whose X-Forwarded-For tells where a request comes from, separated by commas.",
    )
    privacy_url: Link = Field(
        "", description="Your privacy policy, which the public pages link to; unset, the page /privacy."
    )
    imprint: Lines = Field(
        "",
        description="What the law asks of your imprint beside the postal address: the person responsible, a register, "
        "a telephone number. \\n begins a new line.",
    )
    metrics_token: LongSecret | None = Field(
        None, description="The bearer token for /metrics, at least 32 characters; unset, there is no /metrics."
    )
    log_format: Literal["text", "json"] = Field("text", description="How log lines are written: text or json.")
    log_addresses: bool = Field(
        default=False, description="Write whole addresses into the log; otherwise each is masked as a***@example.org."
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is given by pydantic-settings
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - as above
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - as above
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - as above
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take values from the caller only, so that nothing reads the process environment behind its back."""
        return (init_settings,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting as the documentation shows it."""

    name: str
    """With the prefix, such as `NEWSLETTER_SMTP_PORT`."""
    default: str
    """As an operator would write it; empty when it has none."""
    description: str
    required: bool
    example: str
    """What a required setting may look like; empty for a secret."""
    secret: bool
    """May also be given as `NAME_FILE`."""


def settings_help() -> tuple[Setting, ...]:
    """Return every setting in the order of the fields."""
    return tuple(
        Setting(
            name=setting_name(key),
            default=as_written(field.default) if not field.is_required() else "",
            description=field.description or "",
            required=field.is_required(),
            example=example_of(field),
            secret=key in SECRETS,
        )
        for key, field in setting_fields().items()
    )


def example_env() -> str:
    """Return the text of `config.example.env`: defaults commented out, required settings open and empty."""
    head = (
        "# Settings of the newsletter. Copy this file to .env and fill in what is required; variables override it.\n"
        "# A line that is commented out shows the default. Put single quotes around a value that has a # or a space.\n"
        "# The seven settings that everybody decides come first.\n"
    )
    return head + "".join(f"\n{_entry(setting)}\n" for setting in settings_help())


def setting_fields() -> dict[str, FieldInfo]:
    """Return every field by its key: the setting's name in lower case, without the prefix."""
    return {field.alias or name: field for name, field in Settings.model_fields.items()}


def setting_name(key: str) -> str:
    """Return the name an operator writes: `smtp_port` is `NEWSLETTER_SMTP_PORT`."""
    return SETTING_PREFIX + key.upper()


def normal_text(name: str, text: str) -> str:
    """Return a value as the settings understand it: `Tue` is `tuesday`, `9am` is `09:00`.

    Secrets and paths stay as they are. Raises `ValueError` for a text that is not a value of this setting.
    """
    key = name.removeprefix(SETTING_PREFIX).lower()
    value = TypeAdapter(setting_fields()[key].rebuild_annotation()).validate_python(text.strip())
    return text if key in SECRETS or isinstance(value, Path) else as_written(value).replace("\n", "\\n")


def example_of(field: FieldInfo) -> str:
    """Return what a required setting may look like, or nothing."""
    return str(field.examples[0]) if field.examples else ""


def as_written(value: object) -> str:
    """Return a value as an operator would write it, or nothing where there is none."""
    match value:
        case None:
            text = ""
        case SecretStr():
            text = value.get_secret_value()
        case tuple():
            text = ", ".join(map(str, value))
        case time():
            text = value.isoformat("minutes")
        case bool():
            text = str(value).lower()
        case float():
            text = f"{value:g}"
        case _:
            text = str(value)
    return text


def _entry(setting: Setting) -> str:
    quoted = f"'{setting.default}'" if " " in setting.default else setting.default
    lines = [f"# {setting.description}"]
    if setting.secret:
        lines.append(f"# Or {setting.name}{FILE_SUFFIX}, a file that holds it.")
    if setting.required:
        lines.append(
            f"# Required; for example: '{setting.example}'"
            if setting.example
            else f"# Required; make one with {KEY_COMMAND}"
        )
    lines.append(f"{setting.name}=" if setting.required else f"# {setting.name}={quoted}")
    return "\n".join(lines)
