/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         message - a raw message, pushed in, taken apart
 * DESCRIPTION  What a milter gets from its MTA, made out of a file: header fields in wire form, the
 *              end of the header, the body in chunks. Bytes come in pieces cut anywhere.
 *              The first line end decides: CR LF, then the body goes on byte for byte, bare LF and
 *              CR included; LF alone (a file as Unix keeps it), then each LF becomes CR LF.
 *              In the header every LF ends a line. As in Postfix, a line that is neither a field
 *              nor a fold ends the header and is the body's first. A first line "From " (mbox) is
 *              skipped.
 * DIAGNOSTICS  -1 and message_reader.error: the header passes LIMIT_HEADER_BYTES (in wire form) or
 *              LIMIT_HEADER_FIELDS. It stays so; nothing more is handed on.
 * BUGS         Dot-stuffing is not undone: that is SMTP's.
 */
#ifndef ASSAY_MESSAGE_H
#define ASSAY_MESSAGE_H

#include "policy/base/strbuf.h"

/* Slices are good during the call only. */
struct message_handler {
	/* name as on the wire, blanks before the colon included; value as in header.h. */
	void (*field)(void *ctx, struct slice name, struct slice value);
	void (*end_of_header)(void *ctx);
	void (*body)(void *ctx, struct slice chunk);
	void *ctx;
};

struct message_reader { /* read error only */
	const struct message_handler *handler;
	const char *error; /* static text, or NULL */
	enum { MESSAGE_LINES_UNKNOWN, MESSAGE_LINES_CRLF, MESSAGE_LINES_LF } lines;
	bool in_body;
	bool after_cr;	      /* the body's last byte was CR */
	bool after_first;     /* a line was met */
	size_t fields, bytes; /* of the header so far, as header_limit() counts them */
	struct strbuf line;   /* the line that is coming in */
	struct strbuf field;  /* the field so far, folds as CR LF */
};

void message_reader_init(
    struct message_reader *r, struct arena *a, const struct message_handler *handler);
int message_reader_feed(struct message_reader *r, struct slice bytes)
    __attribute__((warn_unused_result));
/* The message ends here: hands over what is still held. end_of_header() was called after this. */
int message_reader_end(struct message_reader *r) __attribute__((warn_unused_result));

#endif
