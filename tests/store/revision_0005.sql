BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0005');
CREATE TABLE alert (
	id INTEGER NOT NULL, 
	kind TEXT NOT NULL, 
	about TEXT NOT NULL, 
	message TEXT NOT NULL, 
	raised_at DATETIME NOT NULL, 
	cleared_at DATETIME, command_at DATETIME, closed_at DATETIME, 
	CONSTRAINT pk_alert PRIMARY KEY (id)
);
INSERT INTO "alert" VALUES(1,'empty-slot','2026-11-03','Nothing can be sent for Tuesday 3 November 2026: the queue is empty. If that changes within 35 hours 59 minutes, it goes out late.','2026-11-03 14:01:00.000000','2026-11-06 14:00:00.000000',NULL,'2026-11-06 14:00:00.000000');
INSERT INTO "alert" VALUES(2,'missed-slot','2026-11-03','There was nothing to send for Tuesday 3 November 2026: the queue is empty.','2026-11-06 14:00:00.000000',NULL,NULL,NULL);
INSERT INTO "alert" VALUES(3,'bell-silent','bell','The scheduler has given no sign of life so far.','2026-11-10 14:02:00.850000',NULL,NULL,NULL);
CREATE TABLE block (
	edition_id INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	state TEXT NOT NULL, owner INTEGER, lease_until DATETIME, not_before DATETIME, wave TEXT DEFAULT '' NOT NULL, begun BOOLEAN DEFAULT 0 NOT NULL, 
	CONSTRAINT pk_block PRIMARY KEY (edition_id, number), 
	CONSTRAINT ck_block_state CHECK (state IN ('open', 'closed')), 
	CONSTRAINT fk_block_edition_id_edition FOREIGN KEY(edition_id) REFERENCES edition (id)
);
INSERT INTO "block" VALUES(1,0,'open',2,'2026-11-10 14:03:00.850000',NULL,'',1);
CREATE TABLE consent (
	id INTEGER NOT NULL, 
	subscriber_id INTEGER NOT NULL, 
	at DATETIME NOT NULL, 
	action TEXT NOT NULL, 
	channel TEXT NOT NULL, 
	source TEXT DEFAULT '' NOT NULL, 
	edition_id INTEGER, 
	evidence JSON DEFAULT '{}' NOT NULL, 
	CONSTRAINT pk_consent PRIMARY KEY (id), 
	CONSTRAINT fk_consent_subscriber_id_subscriber FOREIGN KEY(subscriber_id) REFERENCES subscriber (id)
);
CREATE TABLE delivery (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	edition_id INTEGER NOT NULL, 
	subscriber_id INTEGER, 
	block INTEGER NOT NULL, 
	state TEXT NOT NULL, 
	reason TEXT DEFAULT '' NOT NULL, 
	attempts INTEGER DEFAULT '0' NOT NULL, 
	first_attempt_at DATETIME, 
	last_attempt_at DATETIME, 
	next_attempt_at DATETIME, 
	reply_code INTEGER, 
	reply_enhanced TEXT DEFAULT '' NOT NULL, 
	reply_text TEXT DEFAULT '' NOT NULL, kind TEXT DEFAULT '' NOT NULL, worker INTEGER, later TEXT DEFAULT '' NOT NULL, later_at DATETIME, later_text TEXT DEFAULT '' NOT NULL, 
	CONSTRAINT ck_delivery_state CHECK (state IN ('queued', 'sending', 'deferred', 'accepted', 'rejected', 'uncertain', 'expired', 'skipped')), 
	CONSTRAINT fk_delivery_edition_id_edition FOREIGN KEY(edition_id) REFERENCES edition (id), 
	CONSTRAINT uq_delivery_edition_id_subscriber_id UNIQUE (edition_id, subscriber_id)
);
INSERT INTO "delivery" VALUES(1,1,1,0,'accepted','Handed to the mail provider.',1,'2026-11-10 14:00:00.000000','2026-11-10 14:00:00.000000',NULL,250,'2.0.0','Ok: queued as 000001','ok',1,'',NULL,'');
INSERT INTO "delivery" VALUES(2,1,2,0,'accepted','Handed to the mail provider.',1,'2026-11-10 14:00:00.000000','2026-11-10 14:00:00.000000',NULL,250,'2.0.0','Ok: queued as 000004','ok',1,'',NULL,'');
INSERT INTO "delivery" VALUES(3,1,3,0,'accepted','Handed to the mail provider.',1,'2026-11-10 14:00:00.000000','2026-11-10 14:00:00.000000',NULL,250,'2.0.0','Ok: queued as 000007','ok',1,'',NULL,'');
INSERT INTO "delivery" VALUES(4,1,4,0,'accepted','Handed to the mail provider.',1,'2026-11-10 14:00:00.000000','2026-11-10 14:00:00.000000',NULL,250,'2.0.0','Ok: queued as 000010','ok',1,'',NULL,'');
INSERT INTO "delivery" VALUES(5,1,5,0,'accepted','Handed to the mail provider.',1,'2026-11-10 14:00:00.000000','2026-11-10 14:00:00.000000',NULL,250,'2.0.0','Ok: queued as 000002','ok',1,'',NULL,'');
INSERT INTO "delivery" VALUES(6,1,6,0,'accepted','Handed to the mail provider.',1,'2026-11-10 14:00:00.000000','2026-11-10 14:00:00.000000',NULL,250,'2.0.0','Ok: queued as 000005','ok',1,'',NULL,'');
INSERT INTO "delivery" VALUES(7,1,7,0,'accepted','Handed to the mail provider.',1,'2026-11-10 14:00:00.000000','2026-11-10 14:00:00.000000',NULL,250,'2.0.0','Ok: queued as 000008','ok',1,'',NULL,'');
INSERT INTO "delivery" VALUES(8,1,8,0,'accepted','Handed to the mail provider.',1,'2026-11-10 14:00:00.000000','2026-11-10 14:00:00.000000',NULL,250,'2.0.0','Ok: queued as 000011','ok',1,'',NULL,'');
INSERT INTO "delivery" VALUES(9,1,9,0,'accepted','Handed to the mail provider.',1,'2026-11-10 14:00:00.000000','2026-11-10 14:00:00.000000',NULL,250,'2.0.0','Ok: queued as 000003','ok',1,'',NULL,'');
INSERT INTO "delivery" VALUES(10,1,10,0,'accepted','Handed to the mail provider.',1,'2026-11-10 14:00:00.000000','2026-11-10 14:00:00.000000',NULL,250,'2.0.0','Ok: queued as 000006','ok',1,'',NULL,'');
INSERT INTO "delivery" VALUES(11,1,11,0,'accepted','Handed to the mail provider.',1,'2026-11-10 14:00:00.000000','2026-11-10 14:00:00.000000',NULL,250,'2.0.0','Ok: queued as 000009','ok',1,'',NULL,'');
INSERT INTO "delivery" VALUES(12,1,12,0,'accepted','Handed to the mail provider.',1,'2026-11-10 14:00:00.000000','2026-11-10 14:00:00.000000',NULL,250,'2.0.0','Ok: queued as 000012','ok',1,'',NULL,'');
INSERT INTO "delivery" VALUES(13,1,13,0,'sending','',1,'2026-11-10 14:02:00.850000','2026-11-10 14:02:00.850000',NULL,NULL,'','','',2,'',NULL,'');
INSERT INTO "delivery" VALUES(14,1,14,0,'sending','',1,'2026-11-10 14:02:00.850000','2026-11-10 14:02:00.850000',NULL,NULL,'','','',2,'',NULL,'');
INSERT INTO "delivery" VALUES(15,1,15,0,'queued','',0,NULL,NULL,NULL,NULL,'','','',NULL,'',NULL,'');
INSERT INTO "delivery" VALUES(16,1,16,0,'queued','',0,NULL,NULL,NULL,NULL,'','','',NULL,'',NULL,'');
INSERT INTO "delivery" VALUES(17,1,17,0,'queued','',0,NULL,NULL,NULL,NULL,'','','',NULL,'',NULL,'');
INSERT INTO "delivery" VALUES(18,1,18,0,'queued','',0,NULL,NULL,NULL,NULL,'','','',NULL,'',NULL,'');
INSERT INTO "delivery" VALUES(19,1,19,0,'queued','',0,NULL,NULL,NULL,NULL,'','','',NULL,'',NULL,'');
INSERT INTO "delivery" VALUES(20,1,20,0,'queued','',0,NULL,NULL,NULL,NULL,'','','',NULL,'',NULL,'');
INSERT INTO "delivery" VALUES(21,1,21,0,'queued','',0,NULL,NULL,NULL,NULL,'','','',NULL,'',NULL,'');
INSERT INTO "delivery" VALUES(22,1,22,0,'queued','',0,NULL,NULL,NULL,NULL,'','','',NULL,'',NULL,'');
INSERT INTO "delivery" VALUES(23,1,23,0,'queued','',0,NULL,NULL,NULL,NULL,'','','',NULL,'',NULL,'');
INSERT INTO "delivery" VALUES(24,1,24,0,'queued','',0,NULL,NULL,NULL,NULL,'','','',NULL,'',NULL,'');
INSERT INTO "delivery" VALUES(25,1,25,0,'queued','',0,NULL,NULL,NULL,NULL,'','','',NULL,'',NULL,'');
INSERT INTO "delivery" VALUES(26,1,26,0,'queued','',0,NULL,NULL,NULL,NULL,'','','',NULL,'',NULL,'');
INSERT INTO "delivery" VALUES(27,1,27,0,'queued','',0,NULL,NULL,NULL,NULL,'','','',NULL,'',NULL,'');
INSERT INTO "delivery" VALUES(28,1,28,0,'queued','',0,NULL,NULL,NULL,NULL,'','','',NULL,'',NULL,'');
INSERT INTO "delivery" VALUES(29,1,29,0,'queued','',0,NULL,NULL,NULL,NULL,'','','',NULL,'',NULL,'');
INSERT INTO "delivery" VALUES(30,1,30,0,'queued','',0,NULL,NULL,NULL,NULL,'','','',NULL,'',NULL,'');
CREATE TABLE edition (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	date DATE NOT NULL, 
	number INTEGER NOT NULL, 
	tip_id INTEGER NOT NULL, 
	tip_slug TEXT NOT NULL, 
	title TEXT NOT NULL, 
	source TEXT NOT NULL, 
	why TEXT NOT NULL, 
	status TEXT NOT NULL, 
	status_why TEXT DEFAULT '' NOT NULL, 
	audience INTEGER NOT NULL, 
	content TEXT NOT NULL, 
	nonce TEXT NOT NULL, 
	sends_at DATETIME NOT NULL, 
	started_at DATETIME NOT NULL, 
	finished_at DATETIME, 
	tip_used BOOLEAN NOT NULL, 
	totals JSON, kind TEXT DEFAULT 'regular' NOT NULL, of_edition INTEGER, borne JSON, local BOOLEAN DEFAULT 0 NOT NULL, 
	CONSTRAINT ck_edition_status CHECK (status IN ('sending', 'paused', 'finished', 'cancelled')), 
	CONSTRAINT fk_edition_date_slot FOREIGN KEY(date) REFERENCES slot (date), 
	CONSTRAINT fk_edition_tip_id_tip FOREIGN KEY(tip_id) REFERENCES tip (id), 
	CONSTRAINT uq_edition_date_number UNIQUE (date, number)
);
INSERT INTO "edition" VALUES(1,'2026-11-10',1,1,'name-your-branches','Name your branches','queue','next in the queue (1st of 2)','sending','',30,'{"format": 1, "edition_name": "2026-11-10", "nonce": "e21ad67cf41ed37b97b7", "head": "From: Tip of the Week <tips@news.example.com>\r\nTo: \u0000to\u0000\r\nReply-To: hello@news.example.com\r\nSubject: Name your branches\r\nDate: \u0000date\u0000\r\nMessage-ID: <\u0000message-id\u0000>\r\nMIME-Version: 1.0\r\nList-Id: \"Tip of the Week\" <tips.list-id.news.example.com>\r\nList-Unsubscribe: <\u0000unsubscribe\u0000>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\nList-Help: <mailto:hello@news.example.com>\r\nList-Post: NO\r\nPrecedence: bulk\r\nX-Auto-Response-Suppress: OOF, DR, RN, NRN, AutoReply\r\nFeedback-ID: 2026-11-10:list-tips:newsletter:newsexamplecom\r\nContent-Type: multipart/alternative; boundary=\"=_7b3b6573b1ad2515ce98c960\"\r\n", "boundary": "=_7b3b6573b1ad2515ce98c960", "subject": "Name your branches", "text": "Tip of the Week | November 10, 2026\n\nName your branches\n==================\n\nHello zq96e529e697a1p000z,\n\na short name says more than a number.\n\n------------------------------------------------------------------------\n\nSent to zq96e529e697a1p001z, because you subscribed to Tip of the Week.\n\nUnsubscribe:\nzq96e529e697a1p002z\n\nTip of the Week\nExample Society\n1 Example Street\nSpringfield\n", "html": "<!DOCTYPE html>\n<html lang=\"en\" dir=\"ltr\" xmlns=\"http://www.w3.org/1999/xhtml\" xmlns:v=\"urn:schemas-microsoft-com:vml\" xmlns:o=\"urn:schemas-microsoft-com:office:office\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light dark\">\n<meta name=\"supported-color-schemes\" content=\"light dark\">\n<meta name=\"x-apple-disable-message-reformatting\">\n<meta name=\"format-detection\" content=\"telephone=no, date=no, address=no, email=no, url=no\">\n<title>Name your branches</title>\n<!--[if mso]><xml><o:OfficeDocumentSettings><o:PixelsPerInch>96</o:PixelsPerInch></o:OfficeDocumentSettings></xml><![endif]-->\n<style>\n:root { color-scheme: light dark; supported-color-schemes: light dark; }\n.tip > :last-child { margin-bottom: 0 !important; }\n.tip a, .footer a, .column { overflow-wrap: anywhere; }\n.tip code { -webkit-box-decoration-break: clone; box-decoration-break: clone; }\n.button:hover { text-decoration: underline !important; }\n@media (max-width: 480px) {\n.masthead-name { padding: 26px 8px 12px 22px !important; }\n.masthead-date { padding: 26px 22px 12px 8px !important; }\n.card { padding: 32px 22px 32px 22px !important; }\n.title { font-size: 27px !important; }\n.footer { padding: 24px 22px 40px 22px !important; }\n}\n@media (prefers-color-scheme: dark) {\nbody, .page { background-color: #121517 !important; color: #dfe4e7 !important; }\n.card { background-color: #1c2124 !important; color: #dfe4e7 !important; border-top-color: #6fc7ad !important; }\n.masthead-name, .masthead-name a { color: #83d3bb !important; }\n.masthead-date, .author, .footer { color: #a4aeb5 !important; }\n.title, .tip h2, .tip h3, .tip h4, .tip h5, .tip h6, .tip th { color: #f4f7f8 !important; }\n.tip a { color: #83d3bb !important; }\n.tip blockquote { color: #c3ccd1 !important; border-left-color: #4c8f7d !important; }\n.tip code, .tip pre { background-color: #272e32 !important; color: #d3ebe3 !important; }\n.tip pre code { background-color: transparent !important; }\n.tip hr { border-top-color: #3a4347 !important; }\n.tip th { border-bottom-color: #4c8f7d !important; }\n.tip td { border-bottom-color: #333b40 !important; }\n.button-cell { background-color: #83d3bb !important; }\n.button { color: #0d2720 !important; }\n.footer a { color: #c3ccd1 !important; }\n}\n[data-ogsb] .page { background-color: #121517 !important; }\n[data-ogsb] .card { background-color: #1c2124 !important; }\n[data-ogsb] .tip code, [data-ogsb] .tip pre { background-color: #272e32 !important; }\n[data-ogsb] .tip pre code { background-color: transparent !important; }\n[data-ogsb] .button-cell { background-color: #83d3bb !important; }\n[data-ogsc] .page, [data-ogsc] .card { color: #dfe4e7 !important; }\n[data-ogsc] .masthead-name, [data-ogsc] .masthead-name a, [data-ogsc] .tip a { color: #83d3bb !important; }\n[data-ogsc] .masthead-date, [data-ogsc] .author, [data-ogsc] .footer { color: #a4aeb5 !important; }\n[data-ogsc] .title, [data-ogsc] .tip h2, [data-ogsc] .tip h3, [data-ogsc] .tip h4, [data-ogsc] .tip th { color: #f4f7f8 !important; }\n[data-ogsc] .tip blockquote, [data-ogsc] .footer a { color: #c3ccd1 !important; }\n[data-ogsc] .tip code, [data-ogsc] .tip pre { color: #d3ebe3 !important; }\n[data-ogsc] .button { color: #0d2720 !important; }\n</style>\n</head>\n<body style=\"margin:0; padding:0; background-color:#f3f1ec\" bgcolor=\"#f3f1ec\">\n<table class=\"page\" role=\"presentation\" lang=\"en\" dir=\"ltr\" width=\"100%\" cellpadding=\"0\" cellspacing=\"0\" border=\"0\" style=''width:100%; background-color:#f3f1ec; color:#232a31; font-family:-apple-system, BlinkMacSystemFont, \"Segoe UI\", Roboto, \"Helvetica Neue\", Arial, sans-serif; font-size:17px; line-height:1.65'' bgcolor=\"#f3f1ec\">\n<tr>\n<td align=\"center\">\n<!--[if mso]><table role=\"presentation\" width=\"600\" cellpadding=\"0\" cellspacing=\"0\" border=\"0\" align=\"center\"><tr><td><![endif]-->\n<div class=\"column\" role=\"article\" aria-roledescription=\"email\" aria-label=\"Name your branches\" style=\"max-width:600px; margin:0 auto; text-align:start\" align=\"start\">\n<table role=\"presentation\" width=\"100%\" cellpadding=\"0\" cellspacing=\"0\" border=\"0\">\n<tr>\n<td class=\"masthead-name\" style=\"padding:36px 8px 14px 36px; font-size:16px; line-height:1.4; font-weight:700; letter-spacing:0.2px; color:#17604f\">Tip of the Week</td>\n<td class=\"masthead-date\" style=\"padding:36px 36px 14px 8px; font-size:14px; line-height:1.4; color:#5a626b; text-align:end; white-space:nowrap\" align=\"end\">November 10, 2026</td>\n</tr>\n</table>\n<table role=\"presentation\" width=\"100%\" cellpadding=\"0\" cellspacing=\"0\" border=\"0\">\n<tr>\n<td class=\"card\" style=\"background-color:#fff; color:#232a31; border-top:4px solid #17604f; border-radius:0 0 10px 10px; padding:44px 36px 40px 36px\" bgcolor=\"#ffffff\">\n<h1 class=\"title\" style=\"margin:0 0 26px 0; font-size:31px; line-height:1.22; font-weight:700; letter-spacing:-0.4px; color:#14191e\">Name your branches</h1>\n<div class=\"tip\">\n<p style=\"margin:0 0 20px 0\">Hello zq96e529e697a1h000z,</p>\n<p style=\"margin:0 0 20px 0\">a short name says more than a number.</p>\n\n</div>\n</td>\n</tr>\n</table>\n<table role=\"presentation\" width=\"100%\" cellpadding=\"0\" cellspacing=\"0\" border=\"0\">\n<tr>\n<td class=\"footer\" style=\"padding:26px 36px 48px 36px; font-size:14px; line-height:1.6; color:#5a626b\">\n<p style=\"margin:0 0 12px 0\">Sent to zq96e529e697a1h001z, because you subscribed to Tip of the Week.<br>\n<a href=\"zq96e529e697a1h002z\" style=\"color:#3f4a53; text-decoration:underline\">Unsubscribe</a></p>\n<p style=\"margin:0 0 12px 0; margin-bottom:0\">Tip of the Week<br>\nExample Society<br>\n1 Example Street<br>\nSpringfield</p>\n</td>\n</tr>\n</table>\n</div>\n<!--[if mso]></td></tr></table><![endif]-->\n</td>\n</tr>\n</table>\n</body>\n</html>\n", "fields": [{"name": "first_name", "fallback": "there"}, {"name": "email", "fallback": ""}, {"name": "unsubscribe_url", "fallback": ""}], "warnings": []}','e21ad67cf41ed37b97b7','2026-11-10 14:00:00.000000','2026-11-10 14:00:00.000000',NULL,1,NULL,'regular',NULL,NULL,0);
CREATE TABLE heartbeat (
	name TEXT NOT NULL, 
	at DATETIME NOT NULL, 
	process TEXT NOT NULL, 
	CONSTRAINT pk_heartbeat PRIMARY KEY (name)
);
INSERT INTO "heartbeat" VALUES('bell','2026-11-10 14:00:00.000000','test 1');
INSERT INTO "heartbeat" VALUES('sender','2026-11-10 14:00:00.000000','test 1 (stopped)');
INSERT INTO "heartbeat" VALUES('retention','2026-11-10 11:02:00.850000','test 1');
INSERT INTO "heartbeat" VALUES('retention doubt','2026-11-10 12:02:00.850000','test 1');
INSERT INTO "heartbeat" VALUES('copy','2026-11-09 14:02:00.850000','test 1');
CREATE TABLE installation (
	id INTEGER NOT NULL, 
	created_at DATETIME NOT NULL, 
	first_tick_at DATETIME, 
	cadence TEXT, 
	cadence_since DATETIME, 
	key_fingerprint TEXT NOT NULL, identity TEXT DEFAULT '' NOT NULL, ledger_seq INTEGER DEFAULT '0' NOT NULL, machine TEXT, 
	CONSTRAINT pk_installation PRIMARY KEY (id), 
	CONSTRAINT ck_installation_single CHECK (id = 1)
);
INSERT INTO "installation" VALUES(1,'2026-11-01 12:00:00.000000','2026-11-01 12:00:00.000000','tuesday 09:00 America/New_York','2026-11-01 12:00:00.000000','ec1bd3a61a29449b','b007b1e2de5a2ccc',1,NULL);
CREATE TABLE log (
	id INTEGER NOT NULL, 
	at DATETIME NOT NULL, 
	who TEXT NOT NULL, 
	what TEXT NOT NULL, 
	about TEXT NOT NULL, 
	why TEXT DEFAULT '' NOT NULL, 
	CONSTRAINT pk_log PRIMARY KEY (id)
);
CREATE TABLE notice (
	id INTEGER NOT NULL, 
	kind TEXT NOT NULL, 
	about TEXT NOT NULL, 
	variant TEXT DEFAULT '' NOT NULL, 
	recipient TEXT NOT NULL, 
	message TEXT NOT NULL, 
	state TEXT NOT NULL, 
	reason TEXT DEFAULT '' NOT NULL, 
	created_at DATETIME NOT NULL, 
	attempts INTEGER DEFAULT '0' NOT NULL, 
	first_attempt_at DATETIME, 
	last_attempt_at DATETIME, 
	next_attempt_at DATETIME, 
	reply_code INTEGER, 
	reply_enhanced TEXT DEFAULT '' NOT NULL, 
	reply_text TEXT DEFAULT '' NOT NULL, 
	CONSTRAINT pk_notice PRIMARY KEY (id), 
	CONSTRAINT ck_notice_state CHECK (state IN ('queued', 'sending', 'deferred', 'accepted', 'rejected', 'expired', 'withdrawn')), 
	CONSTRAINT uq_notice_kind_about_variant_recipient UNIQUE (kind, about, variant, recipient)
);
CREATE TABLE quota (
	name TEXT NOT NULL, 
	window TEXT NOT NULL, 
	CONSTRAINT pk_quota PRIMARY KEY (name)
);
INSERT INTO "quota" VALUES('pace','1794319201.8000004');
INSERT INTO "quota" VALUES('relay','{"minutes":[[29905320,12]],"quarters":[[1993688,12]]}');
INSERT INTO "quota" VALUES('bounces 1','{"29000000": 2, "29000001": 1}');
CREATE TABLE slot (
	date DATE NOT NULL, 
	sends_at DATETIME NOT NULL, 
	extra BOOLEAN NOT NULL, 
	state TEXT NOT NULL, 
	reason TEXT DEFAULT '' NOT NULL, 
	changed_at DATETIME NOT NULL, 
	CONSTRAINT pk_slot PRIMARY KEY (date), 
	CONSTRAINT ck_slot_state CHECK (state IN ('open', 'frozen', 'skipped', 'empty', 'missed'))
);
INSERT INTO "slot" VALUES('2026-11-03','2026-11-03 14:00:00.000000',0,'empty','no tip: the queue is empty','2026-11-06 14:00:00.000000');
INSERT INTO "slot" VALUES('2026-11-10','2026-11-10 14:00:00.000000',0,'frozen','next in the queue (1st of 2)','2026-11-10 14:00:00.000000');
INSERT INTO "slot" VALUES('2026-11-11','2026-11-11 14:00:00.000000',1,'open','no tip: the queue was empty','2026-11-10 14:02:00.850000');
CREATE TABLE subscriber (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	email TEXT NOT NULL, 
	canonical TEXT NOT NULL, 
	name TEXT DEFAULT '' NOT NULL, 
	first_name TEXT DEFAULT '' NOT NULL, 
	last_name TEXT DEFAULT '' NOT NULL, 
	time_zone TEXT DEFAULT '' NOT NULL, 
	tags JSON DEFAULT '[]' NOT NULL, 
	fields JSON DEFAULT '{}' NOT NULL, 
	state TEXT NOT NULL, 
	state_since DATETIME NOT NULL, 
	state_why TEXT DEFAULT '' NOT NULL, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT ck_subscriber_state CHECK (state IN ('pending', 'active', 'paused', 'unsubscribed', 'bounced', 'complained')), 
	CONSTRAINT uq_subscriber_canonical UNIQUE (canonical)
);
INSERT INTO "subscriber" VALUES(1,'p0@example.com','p0@example.com','Person 0','Person0','','','[]','{}','active','2026-01-01 00:00:00.000000','','2026-01-01 00:00:00.000000');
INSERT INTO "subscriber" VALUES(2,'p1@example.com','p1@example.com','Person 1','Person1','','','[]','{}','active','2026-01-01 00:00:00.000000','','2026-01-01 00:00:00.000000');
INSERT INTO "subscriber" VALUES(3,'p2@example.com','p2@example.com','Person 2','Person2','','','[]','{}','active','2026-01-01 00:00:00.000000','','2026-01-01 00:00:00.000000');
INSERT INTO "subscriber" VALUES(4,'p3@example.com','p3@example.com','Person 3','Person3','','','[]','{}','active','2026-01-01 00:00:00.000000','','2026-01-01 00:00:00.000000');
INSERT INTO "subscriber" VALUES(5,'p4@example.com','p4@example.com','Person 4','Person4','','','[]','{}','active','2026-01-01 00:00:00.000000','','2026-01-01 00:00:00.000000');
INSERT INTO "subscriber" VALUES(6,'p5@example.com','p5@example.com','Person 5','Person5','','','[]','{}','active','2026-01-01 00:00:00.000000','','2026-01-01 00:00:00.000000');
INSERT INTO "subscriber" VALUES(7,'p6@example.com','p6@example.com','Person 6','Person6','','','[]','{}','active','2026-01-01 00:00:00.000000','','2026-01-01 00:00:00.000000');
INSERT INTO "subscriber" VALUES(8,'p7@example.com','p7@example.com','Person 7','Person7','','','[]','{}','active','2026-01-01 00:00:00.000000','','2026-01-01 00:00:00.000000');
INSERT INTO "subscriber" VALUES(9,'p8@example.com','p8@example.com','Person 8','Person8','','','[]','{}','active','2026-01-01 00:00:00.000000','','2026-01-01 00:00:00.000000');
INSERT INTO "subscriber" VALUES(10,'p9@example.com','p9@example.com','Person 9','Person9','','','[]','{}','active','2026-01-01 00:00:00.000000','','2026-01-01 00:00:00.000000');
INSERT INTO "subscriber" VALUES(11,'p10@example.com','p10@example.com','Person 10','Person10','','','[]','{}','active','2026-01-01 00:00:00.000000','','2026-01-01 00:00:00.000000');
INSERT INTO "subscriber" VALUES(12,'p11@example.com','p11@example.com','Person 11','Person11','','','[]','{}','active','2026-01-01 00:00:00.000000','','2026-01-01 00:00:00.000000');
INSERT INTO "subscriber" VALUES(13,'p12@example.com','p12@example.com','Person 12','Person12','','','[]','{}','active','2026-01-01 00:00:00.000000','','2026-01-01 00:00:00.000000');
INSERT INTO "subscriber" VALUES(14,'p13@example.com','p13@example.com','Person 13','Person13','','','[]','{}','active','2026-01-01 00:00:00.000000','','2026-01-01 00:00:00.000000');
INSERT INTO "subscriber" VALUES(15,'p14@example.com','p14@example.com','Person 14','Person14','','','[]','{}','active','2026-01-01 00:00:00.000000','','2026-01-01 00:00:00.000000');
INSERT INTO "subscriber" VALUES(16,'p15@example.com','p15@example.com','Person 15','Person15','','','[]','{}','active','2026-01-01 00:00:00.000000','','2026-01-01 00:00:00.000000');
INSERT INTO "subscriber" VALUES(17,'p16@example.com','p16@example.com','Person 16','Person16','','','[]','{}','active','2026-01-01 00:00:00.000000','','2026-01-01 00:00:00.000000');
INSERT INTO "subscriber" VALUES(18,'p17@example.com','p17@example.com','Person 17','Person17','','','[]','{}','active','2026-01-01 00:00:00.000000','','2026-01-01 00:00:00.000000');
INSERT INTO "subscriber" VALUES(19,'p18@example.com','p18@example.com','Person 18','Person18','','','[]','{}','active','2026-01-01 00:00:00.000000','','2026-01-01 00:00:00.000000');
INSERT INTO "subscriber" VALUES(20,'p19@example.com','p19@example.com','Person 19','Person19','','','[]','{}','active','2026-01-01 00:00:00.000000','','2026-01-01 00:00:00.000000');
INSERT INTO "subscriber" VALUES(21,'p20@example.com','p20@example.com','Person 20','Person20','','','[]','{}','active','2026-01-01 00:00:00.000000','','2026-01-01 00:00:00.000000');
INSERT INTO "subscriber" VALUES(22,'p21@example.com','p21@example.com','Person 21','Person21','','','[]','{}','active','2026-01-01 00:00:00.000000','','2026-01-01 00:00:00.000000');
INSERT INTO "subscriber" VALUES(23,'p22@example.com','p22@example.com','Person 22','Person22','','','[]','{}','active','2026-01-01 00:00:00.000000','','2026-01-01 00:00:00.000000');
INSERT INTO "subscriber" VALUES(24,'p23@example.com','p23@example.com','Person 23','Person23','','','[]','{}','active','2026-01-01 00:00:00.000000','','2026-01-01 00:00:00.000000');
INSERT INTO "subscriber" VALUES(25,'p24@example.com','p24@example.com','Person 24','Person24','','','[]','{}','active','2026-01-01 00:00:00.000000','','2026-01-01 00:00:00.000000');
INSERT INTO "subscriber" VALUES(26,'p25@example.com','p25@example.com','Person 25','Person25','','','[]','{}','active','2026-01-01 00:00:00.000000','','2026-01-01 00:00:00.000000');
INSERT INTO "subscriber" VALUES(27,'p26@example.com','p26@example.com','Person 26','Person26','','','[]','{}','active','2026-01-01 00:00:00.000000','','2026-01-01 00:00:00.000000');
INSERT INTO "subscriber" VALUES(28,'p27@example.com','p27@example.com','Person 27','Person27','','','[]','{}','active','2026-01-01 00:00:00.000000','','2026-01-01 00:00:00.000000');
INSERT INTO "subscriber" VALUES(29,'p28@example.com','p28@example.com','Person 28','Person28','','','[]','{}','active','2026-01-01 00:00:00.000000','','2026-01-01 00:00:00.000000');
INSERT INTO "subscriber" VALUES(30,'p29@example.com','p29@example.com','Person 29','Person29','','','[]','{}','active','2026-01-01 00:00:00.000000','','2026-01-01 00:00:00.000000');
CREATE TABLE suppression (
	hash TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	at DATETIME NOT NULL, 
	CONSTRAINT pk_suppression PRIMARY KEY (hash)
);
CREATE TABLE tally (
	edition_id INTEGER NOT NULL, 
	worker_id INTEGER NOT NULL, 
	accepted INTEGER DEFAULT '0' NOT NULL, 
	"deferred" INTEGER DEFAULT '0' NOT NULL, 
	hard INTEGER DEFAULT '0' NOT NULL, 
	policy INTEGER DEFAULT '0' NOT NULL, 
	content INTEGER DEFAULT '0' NOT NULL, 
	refused INTEGER DEFAULT '0' NOT NULL, 
	uncertain INTEGER DEFAULT '0' NOT NULL, 
	since DATETIME NOT NULL, 
	at DATETIME NOT NULL, 
	CONSTRAINT pk_tally PRIMARY KEY (edition_id, worker_id), 
	CONSTRAINT fk_tally_edition_id_edition FOREIGN KEY(edition_id) REFERENCES edition (id)
);
INSERT INTO "tally" VALUES(1,1,12,0,0,0,0,0,0,'2026-11-10 14:00:00.850000','2026-11-10 14:00:00.850000');
INSERT INTO "tally" VALUES(1,-1,-1,0,0,1,0,0,0,'2026-11-10 14:02:00.850000','2026-11-10 14:02:00.850000');
INSERT INTO "tally" VALUES(1,0,0,0,0,0,0,0,0,'2026-11-10 14:02:00.850000','2026-11-10 14:02:00.850000');
CREATE TABLE tip (
	id INTEGER NOT NULL, 
	slug TEXT NOT NULL, 
	title TEXT NOT NULL, 
	subject TEXT NOT NULL, 
	preheader TEXT DEFAULT '' NOT NULL, 
	author TEXT DEFAULT '' NOT NULL, 
	tags JSON DEFAULT '[]' NOT NULL, 
	evergreen BOOLEAN NOT NULL, 
	season TEXT, 
	pin DATE, 
	series TEXT, 
	part INTEGER, 
	first_published DATE, 
	status TEXT NOT NULL, 
	body TEXT NOT NULL, 
	position INTEGER NOT NULL, 
	changed_at DATETIME NOT NULL, 
	CONSTRAINT pk_tip PRIMARY KEY (id), 
	CONSTRAINT ck_tip_status CHECK (status IN ('draft', 'approved', 'sent', 'retired')), 
	CONSTRAINT uq_tip_pin UNIQUE (pin), 
	CONSTRAINT uq_tip_slug UNIQUE (slug)
);
INSERT INTO "tip" VALUES(1,'name-your-branches','Name your branches','Name your branches','','','[]',0,NULL,NULL,NULL,NULL,NULL,'sent','Hello {{ first_name|there }},

a short name says more than a number.
',1024,'2026-11-10 14:00:00.000000');
INSERT INTO "tip" VALUES(2,'keep-a-diary','Keep a diary','Keep a diary','','','[]',0,NULL,NULL,NULL,NULL,NULL,'approved','Hello {{ first_name|there }},

a short name says more than a number.
',2048,'2026-01-01 00:00:00.000000');
CREATE TABLE worker (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	name TEXT NOT NULL, 
	machine TEXT NOT NULL, 
	started_at DATETIME NOT NULL, 
	seen_at DATETIME NOT NULL, 
	ended_at DATETIME, 
	report JSON DEFAULT '{}' NOT NULL
);
INSERT INTO "worker" VALUES(1,'test 1','test machine','2026-11-10 14:00:00.000000','2026-11-10 14:00:00.850000',NULL,'{"connections": 0, "relays": [{"name": "mail.example.com:25", "connections": 0, "allowed": 3, "most": 3, "since": null, "trouble": "", "again_at": null, "needs_person": false}]}');
INSERT INTO "worker" VALUES(2,'host 2','test machine','2026-11-10 14:02:00.850000','2026-11-10 14:02:00.850000',NULL,'{}');
CREATE INDEX ix_consent_subscriber_id ON consent (subscriber_id);
CREATE INDEX ix_edition_tip_id ON edition (tip_id);
CREATE INDEX ix_delivery_edition_id_block ON delivery (edition_id, block);
CREATE INDEX ix_notice_open ON notice (next_attempt_at) WHERE state IN ('queued', 'sending', 'deferred');
CREATE UNIQUE INDEX uq_alert_open ON alert (kind, about) WHERE closed_at IS NULL;
CREATE INDEX ix_delivery_later ON delivery (edition_id, later) WHERE later <> '';
CREATE INDEX ix_block_begun ON block (edition_id, number) WHERE begun = 1;
CREATE INDEX ix_delivery_deferred ON delivery (edition_id, next_attempt_at) WHERE next_attempt_at IS NOT NULL;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('subscriber',30);
INSERT INTO "sqlite_sequence" VALUES('edition',1);
INSERT INTO "sqlite_sequence" VALUES('delivery',30);
INSERT INTO "sqlite_sequence" VALUES('worker',2);
COMMIT;