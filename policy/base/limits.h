/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         limits - every bound on what mail or DNS can make us do
 * DESCRIPTION  value, unit, where it comes from, and what happens beyond it. A limit that an
 *              operator may change is a row of conf/schema.c whose default is the value here.
 */
#ifndef ASSAY_LIMITS_H
#define ASSAY_LIMITS_H

/* clang-format off */

/* Domains and addresses */
#define LIMIT_DOMAIN_BYTES	253	/* text form, no final dot; RFC 1035 2.3.4; not a domain */
#define LIMIT_LABEL_BYTES	63	/* RFC 1035 2.3.4; not a domain */
#define LIMIT_LABELS		127	/* RFC 1035 2.3.4 by arithmetic; not a domain */
#define LIMIT_LOCAL_PART_BYTES	256	/* RFC 5321 4.5.3.1.1 says 64, kept wide; SPF: cut for %{l} */

/* The message */
#define LIMIT_HEADER_BYTES	(1024 * 1024)	/* all fields; Postfix header_size_limit is 100 KB; -> tempfail */
#define LIMIT_HEADER_FIELDS	1000	/* ours; -> tempfail */
#define LIMIT_AUTHOR_BYTES	(32 * 1024)	/* From value that is parsed; ours; beyond: malformed */
#define LIMIT_AUTHORS		32	/* author addresses kept; ours; beyond: malformed */
#define LIMIT_COMMENT_DEPTH	64	/* nested comments in a field; ours; beyond: malformed */
#define LIMIT_MESSAGE_MEMORY	(8 * 1024 * 1024) /* arena of one message; ours; -> tempfail */
#define LIMIT_RECIPIENTS	64	/* recipients remembered for log and rules; ours; rest counted */

/* DNS */
#define LIMIT_DNS_TIMEOUT_MS	5000	/* one lookup; -> tempfail */
#define LIMIT_DNS_BUDGET_MS	20000	/* waiting at MAIL FROM, again at the end; RFC 7208 4.6.4 asks >= 20 s; -> tempfail */
#define LIMIT_DNS_LOOKUPS	300	/* lookups for one message, all methods; ours; -> tempfail */
#define LIMIT_DNS_IN_FLIGHT	4096	/* queries under way, whole process; ours; -> tempfail */
#define LIMIT_DNS_RECORDS	500	/* of one answer; ours; A, AAAA and TXT beyond: -> tempfail; of others the rest is dropped */
#define LIMIT_DNS_RDATA_BYTES	16384	/* one record, TXT strings joined; ours; -> tempfail (malformed) */
#define LIMIT_DNS_CACHE_BYTES	(16 * 1024 * 1024) /* whole cache; ours; oldest go */
#define LIMIT_DNS_TTL_MIN_S	1	/* floor for what is cached; ours */
#define LIMIT_DNS_TTL_MAX_S	86400	/* ceiling; ours */
#define LIMIT_DNS_TTL_NEGATIVE_S 900	/* ceiling for NXDOMAIN and NODATA; RFC 2308 5 allows 3 h */
#define LIMIT_DNS_TTL_FAIL_S	5	/* a failure is remembered as long; RFC 2308 7 allows 5 min */
#define LIMIT_CNAME_CHAIN	12	/* zone file only; ours; -> tempfail */

/* Tag=value lists (DKIM, ARC, DMARC) */
#define LIMIT_TAGS		64	/* tags in one list; ours; -> syntax error */
#define LIMIT_TAGLIST_BYTES	65536	/* one list; ours; -> syntax error */

/* SPF */
#define LIMIT_SPF_LOOKUPS	10	/* terms causing DNS queries; RFC 7208 4.6.4; -> permerror */
#define LIMIT_SPF_VOID		2	/* empty answers;             RFC 7208 4.6.4; -> permerror */
#define LIMIT_SPF_NAMES		10	/* hosts of one mx (-> permerror) or ptr (rest ignored); RFC 7208 4.6.4 */
#define LIMIT_SPF_RECORD_BYTES	4096	/* one record; ours (RFC 7208 3.4: fits 512); -> permerror */
#define LIMIT_SPF_TERMS		512	/* mechanisms of one record; ours; -> permerror */
#define LIMIT_SPF_EXPLANATION_BYTES 512	/* exp= text after macros; ours; cut */

/* DKIM and ARC */
#define LIMIT_DKIM_SIGNATURES	8	/* verified per message, aligned ones first; ours; rest "policy" */
#define LIMIT_DKIM_FIELDS	100	/* DKIM-Signature fields looked at; ours; rest ignored, counted */
#define LIMIT_DKIM_SIGNED_FIELDS 512	/* names in h=; ours; -> permerror */
#define LIMIT_DKIM_RSA_BITS_MIN	1024	/* RFC 8301 3.2; -> permerror */
#define LIMIT_DKIM_RSA_BITS_MAX	8192	/* cost of one verification; ours; -> permerror */
#define LIMIT_DKIM_KEY_RECORDS	4	/* TXT records tried at one selector; ours; rest ignored */
#define LIMIT_DKIM_SKEW_S	300	/* t= in the future by no more; ours; -> permerror */
#define LIMIT_TAIL_BYTES	16384	/* end of a body that is searched for a footer: so much to twice as much; ours; more: not found */
#define LIMIT_TAIL_LINES	1024	/* lines of it where the footer may begin; ours; the last ones */
#define LIMIT_TAIL_PARTS	32	/* MIME parts of it that may be the addition; ours; the first ones */
#define LIMIT_DIAGNOSED		2	/* signatures of a message whose failure is looked into; ours; rest not */
#define LIMIT_DIAGNOSIS_TRIES	16	/* public-key operations for one of them; ours; rest not tried */
#define LIMIT_DIAGNOSIS_BYTES	(1024 * 1024) /* body that is decoded to look into it; ours; longer: not tried */
#define LIMIT_PART_HEADER_BYTES	8192	/* preamble and header of the first MIME part; ours; longer: not tried */
#define LIMIT_ARC_PREFETCH	5	/* newest sets whose keys are fetched ahead; ours; rest in turn */
#define LIMIT_ARC_SETS		50	/* RFC 8617 4.2.1; -> fail */

/* DMARC */
#define LIMIT_DMARC_WALK	8	/* names asked by one tree walk; RFC 9989 4.10 */
#define LIMIT_DMARC_RECORD_BYTES 4096	/* ours; record ignored */
#define LIMIT_DMARC_URIS	16	/* addresses of one rua or ruf; ours; rest ignored */
#define LIMIT_DMARC_IDENTIFIERS	9	/* SPF and passing DKIM domains compared; = signatures + 1 */

/* Authentication-Results */
#define LIMIT_AUTHRES_BYTES	65536	/* a field that is read; ours; beyond: treated as ours if the id matches */
#define LIMIT_AUTHRES_RESULTS	64	/* results in one field; ours; beyond: invalid */
#define LIMIT_AUTHRES_VALUE_BYTES 900	/* one value or comment that is written; RFC 5322 2.1.1: lines of 998; cut */
#define LIMIT_AUTHRES_KEYWORD_BYTES 40	/* a method, result or property that is written; ours; cut */
#define LIMIT_AUTHRES_LABELS	16	/* U-label names compared in an unreadable field; ours; beyond: ours */
#define LIMIT_AUTHRES_PROPS	32	/* properties of one result; ours; beyond: invalid */

/* The daemon */
#define LIMIT_EDITS		1000	/* received fields to be removed from one message; ours; -> tempfail */
#define LIMIT_HELO_BYTES	512	/* HELO and client name kept; RFC 5321 4.5.3.1.2 says 255; cut */
#define LIMIT_LOG_LINE_BYTES	8000	/* one log line; what syslog daemons take; cut */
#define LIMIT_LOG_VALUE_BYTES	512	/* one value in it; ours; cut */
#define LIMIT_LOG_SIGNATURES	10	/* signatures in it; ours; rest counted */
#define LIMIT_STOP_WAIT_MS	60000	/* messages under way at SIGTERM; ours; -> cut off, the MTA tempfails */

/* The native front */
#define LIMIT_MILTER_FRAME_BYTES (1024 * 1024)	/* data of one frame; the most that can be negotiated; -> closed */
#define LIMIT_MACRO_BYTES	65535	/* macros of one stage; a frame of any MTA; -> closed */
#define LIMIT_MACROS		256	/* likewise, names; ours; -> closed */
#define LIMIT_MILTER_GREETING_MS 60000	/* from connect to the negotiation; ours; -> closed */
#define LIMIT_MILTER_FRAME_MS	300000	/* a frame, or our answer, on its way; ours; -> closed */
#define LIMIT_MILTER_CONNECTIONS 16384	/* of MTAs at once; ours; more wait in the socket's queue */
#define LIMIT_MILTER_LOOPS	8	/* threads that read, else one a processor; ours */
#define LIMIT_MILTER_THREADS	1024	/* with those that wait for DNS; ours; beyond: a wait holds up its loop */

/* SMTP reply */
#define LIMIT_REPLY_BYTES	480	/* text of one line; RFC 5321 4.5.3.1.5: 512 with code; cut */

/* clang-format on */

#endif
