"""Replies and bounces by what they are about: the reader's mailbox, our side, or nobody at all.

Written after the grammar of real servers. `test_refusal_corpus.py` counts how many are recognised; the figures stand in
`docs/bounces.md`.
"""

from __future__ import annotations

SENDER_OR_ACCOUNT = (
    "rcpt 553 5.7.1 <tips@example.com>: Sender address rejected: not owned by user newsletter",
    "rcpt 550 5.1.0 <b+x@bounces.example.com>: Sender address rejected: bounces.example.com",
    "rcpt 550 5.1.0 <tips@example.com> sender rejected",
    "rcpt 550 5.1.1 <bounce+1@example.com>: unauthorized sender",
    "rcpt 550 5.1.1 Sender not authorised to use this relay",
    "rcpt 550 5.7.1 sender address not permitted",
    "rcpt 550 5.1.0 From address not verified",
    "rcpt 554 5.7.1 <tips@example.com>: Sender address rejected: Access denied",
    "rcpt 550 5.1.8 <tips@example.com>: Sender address rejected: Domain not found",
    "rcpt 550 5.5.0 Sender domain not allowed",
    "rcpt 550 5.1.0 Sender denied",
    "rcpt 550 5.4.1 Sending domain example.com is not verified",
    "rcpt 550 Sender verify failed",
    "rcpt 550 Unroutable sender address",
    "rcpt 550 5.0.0 Mail from address does not exist",
    "rcpt 550 Return-path domain example.com does not resolve",
    "rcpt 550 5.7.60 SMTP; Client does not have permissions to send as this sender",
    "dot 554 5.2.252 SendAsDenied; tips@example.com not allowed to send as news@example.com",
    "dot 550 5.7.1 Your domain is not allowed to send mail through this server",
    "dot 554 5.7.1 Account suspended",
    "dot 550 5.2.1 Your account has been disabled",
    "rcpt 550 5.7.1 Your SMTP access has been blocked",
    "rcpt 554 5.1.1 Insufficient credits to send this message",
    "rcpt 550 5.1.0 Customer account is not activated",
    "rcpt 550 5.0.0 Unauthenticated senders not allowed",
    "rcpt 550 5.7.1 Authentication required",
    "rcpt 554 5.7.1 <ann@example.org>: Relay access denied",
    "rcpt 553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)",
    "dot 554 5.6.0 Message refused: malformed MIME structure",
    "dot 550 Messages with multiple From headers are not RFC 5322 compliant",
    "rcpt 550 5.1.1 example.com: unauthorized sending domain",
)
"""The reader is not concerned: back to the queue, and the edition is paused."""

QUOTA_OR_RATE = (
    "dot 550 5.7.1 Daily SMTP relay limit exceeded for customer",
    "rcpt 550 5.4.5 Daily SMTP relay limit exceeded for customer",
    "dot 550 5.1.90 Your message can't be sent because you've reached your daily limit for message recipients",
    "dot 554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException; quota of the submission",
    "dot 554 5.7.1 You have exceeded your hourly sending limit",
    "dot 550 5.7.1 Message limit reached: 500 messages per hour",
    "rcpt 550 Domain example.com has exceeded the max emails per hour (150/150 (100%)) allowed. Message discarded.",
    "rcpt 550 5.7.0 Outgoing mail quota exceeded",
    "rcpt 550 5.2.3 Sending quota exceeded",
    "rcpt 552 5.2.2 Your outbound quota is exceeded",
    "rcpt 550 You've reached your daily relay quota - 203.0.113.0",
    "rcpt 550 5.7.233 Your tenant has exceeded its daily limit for sending email",
    "rcpt 550 5.1.1 Sender has exceeded the limit of 100 messages per day",
    "dot 550 5.7.1 Rate limit exceeded, slow down",
    "dot 451 4.7.1 Sender rate limit reached, quota 100 messages per day",
    "rcpt 550 5.7.1 Limite quotidienne d'envoi atteinte",
    "rcpt 550 5.7.1 Tageslimit erreicht",
)
"""Our own quota: later, and more slowly."""

MAILBOX_GONE = (
    "rcpt 550 5.1.1 <ann@example.org>: Recipient address rejected: User unknown in virtual mailbox table",
    "rcpt 550 User ann (ann@example.org) not listed in Domino Directory",
    "rcpt 550 User not listed in public Name & Address Book",
    "rcpt 550 5.1.1 ann@example.org not listed in the company directory",
    "rcpt 550 No such user here",
    "rcpt 550 5.2.1 <ann@example.org>... User Unknown",
    "rcpt 550 5.2.0 Unknown user ann@example.org",
    "rcpt 553 5.3.0 <ann@example.org>... No such user here",
    "rcpt 550 5.5.0 Adresse destinataire invalide. Invalid recipient.",
    "rcpt 550 5.1.351 Remote server returned unknown recipient -> 550 <ann@example.org>: User unknown",
    "rcpt 550 5.1.0 - Unknown address error 550-'5.1.1 <ann@example.org>... User unknown'",
    "rcpt 550 5.3.0 - Other mail system problem 550-'Unknown user ann@example.org'",
    "rcpt 550 Invalid final delivery userid: ann@example.org",
    "rcpt 550 <ann@example.org>... User not exist",
    "rcpt 550 5.1.1 The email account that you tried to reach does not exist. Please double-check the address.",
    "rcpt 550 5.0.0 Address not found: it could not be found at example.org",
    "rcpt 550 5.4.1 Recipient address rejected: unknown user",
    "rcpt 550 5.1.10 RESOLVER.ADR.RecipientNotFound; not found by SMTP address look-up",
    "rcpt 554 delivery error: dd This user doesn't have an example.org account",
    "rcpt 550 sorry, no mailbox here by that name (#5.1.1)",
    "rcpt 552 5.2.2 The account is over quota and inactive.",
    "rcpt 525 5.7.13 Account disabled",
    "rcpt 550 Mailbox is not listed here",
    "rcpt 550 ann@example.org: no such local user; the domain is not listed",
    "rcpt 550 Recipient not listed in the LDAP directory",
)
"""The mailbox itself is gone: the subscription ends."""

NOT_THE_MAILBOX = (
    "rcpt 550 5.1.0 - Unknown address error 550-'5.7.1 <bounce+1@example.com>... Access denied'",
    "rcpt 550 5.1.1 <ann@example.org>: Recipient address rejected: unverified address: host mx said: 450 4.7.1 later",
    "rcpt 550 5.1.1 <ann@example.org>: Recipient address rejected: unverified address: connect to mx timed out",
    "rcpt 550 5.1.0 - Unknown address error 451-'4.7.1 Greylisted'",
    "rcpt 550 5.7.1 Client host [192.0.2.1] is listed in zen.example.net",
    "rcpt 550 5.0.0 Bad SPF records for [example.com:192.0.2.2]",
    "rcpt 554 mail servers must have a PTR record with a valid Reverse DNS entry",
    "rcpt 550 5.0.0 Denied by policy",
    "rcpt 550 Access denied",
    "rcpt 550 5.0.0 Virus detected; content rejected",
    "rcpt 550 5.0.0 host mx.example.org said: 550 Protocol violation (in reply to DATA command)",
    "rcpt 554 5.0.0 Host network not allowed",
    "rcpt 550 5.7.133 RESOLVER.RST.SenderNotAuthenticatedForGroup; the sender was not authenticated for this group",
    "rcpt 550 DMARC check failed",
)
"""A refusal that says nothing about the mailbox, or was said by a server that only passed it on."""
