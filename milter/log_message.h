/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         log_message - the one line that a message leaves
 * DESCRIPTION  key=value pairs separated by one space; the keys are those of assayd(8). A value is
 *              bare where it has letters, digits and harmless marks only; else it stands between
 *              quotes, with quote, backslash and every byte outside printable ASCII as \xNN. So a
 *              line can be taken apart without guessing, and no sender can forge a second one.
 */
#ifndef ASSAY_LOG_MESSAGE_H
#define ASSAY_LOG_MESSAGE_H

#include "policy/base/strbuf.h"
#include "policy/decide.h"

struct log_message {
	struct slice queue_id;
	struct ip_address client;
	struct slice host, helo;
	struct slice from, to; /* MAIL FROM, the first RCPT TO, as they came */
	size_t recipients;
	const char *skipped;	       /* why it was not evaluated; NULL: it was */
	const struct verdict *verdict; /* NULL: not evaluated */
	const struct disposition *disposition;
	bool refused_edit; /* tempfailed, because the MTA refused to edit */
	size_t removed;	   /* forged fields */
	uint64_t took_ms;  /* from MAIL FROM to the answer */
};

/* One value, encoded, cut at LIMIT_LOG_VALUE_BYTES of input. */
void log_value(struct strbuf *b, struct slice value);

/* The whole line, arena memory. */
const char *log_message_text(struct arena *a, const struct log_message *m);

#endif
