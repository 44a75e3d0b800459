/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         mta - all that a session can ask of its MTA
 * DESCRIPTION  A table of calls. libmilter is the first front behind it (front_libmilter.c), a
 * test's recorder the second, a native front the third. Text is NUL-terminated and clean: no CR in
 * it, line breaks as "\n" only in header values, no unescaped "%" trouble: the front does what its
 * library wants (smfi_setreply() wants "%%"). All calls but macro() are valid at end of message
 * only, reply() anywhere. DIAGNOSTICS  0, or -1: the MTA refused or is gone.
 */
#ifndef ASSAY_MTA_H
#define ASSAY_MTA_H

struct mta_calls {
	/* code "550", enhanced "5.7.26", text one line. */
	int (*reply)(void *ctx, const char *code, const char *enhanced, const char *text);
	/* index 0: above the MTA's own Received. value without leading blank. */
	int (*insert_header)(void *ctx, int index, const char *name, const char *value);
	/* index-th field of that name, from 1, topmost first. value NULL: delete. */
	int (*change_header)(void *ctx, const char *name, int index, const char *value);
	int (*quarantine)(void *ctx, const char *reason);
	int (*progress)(void *ctx); /* keeps the MTA from timing out */
	/* Value of a macro ("i", "{auth_authen}") or NULL; valid until the callback returns. */
	const char *(*macro)(void *ctx, const char *name);
};

struct mta {
	const struct mta_calls *calls;
	void *ctx;
};

/* What a session answers to a callback. */
enum answer {
	ANSWER_CONTINUE,
	ANSWER_ACCEPT,	 /* of the message, or of the connection when given there */
	ANSWER_REJECT,	 /* with the reply set before */
	ANSWER_TEMPFAIL, /* likewise */
	ANSWER_DISCARD,
	ANSWER_SKIP, /* no more body chunks, please */
};

#endif
