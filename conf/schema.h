/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         schema - the table of settings
 * DESCRIPTION  One row a setting: its name, kind, default, bounds, place in struct conf and the
 *              paragraph that documents it. The parser, the defaults, the checks, the sample file
 *              and the test of assay.conf(5) are all made from it.
 */
#ifndef ASSAY_CONF_SCHEMA_H
#define ASSAY_CONF_SCHEMA_H

#include "conf/conf.h"

enum conf_kind {       /* type of the field in struct conf */
	CONF_BOOL,     /* bool */
	CONF_INT,      /* uint32_t */
	CONF_MODE,     /* uint32_t, written in octal */
	CONF_DURATION, /* uint32_t in unit_ms, written with a unit */
	CONF_SIZE,     /* size_t bytes, written with a unit */
	CONF_WORD,     /* an enum */
	CONF_CHOICE,   /* const char *, one of words */
	CONF_NAME,     /* const char *, a user or group; NULL: none */
	CONF_PATH,     /* const char *, absolute; NULL: none */
	CONF_FILE,     /* the same, and readable */
	CONF_TEXT,     /* const char *, one line; NULL: none */
	CONF_SOCKET,   /* const char * */
	CONF_FIELD,    /* const char *, name of a header field */
	CONF_ADDRESS,  /* const char *, of mail; NULL: none */
	CONF_SMTP_URL, /* const char * */
	CONF_DOMAIN,   /* struct slice, normal form; empty: none */
	CONF_ID,       /* struct slice, a token; empty: none */
	CONF_IDS,      /* struct slice array; from here on: with a count, a list in the file */
	CONF_NETWORKS, /* struct ip_network array */
	CONF_DOMAINS,  /* struct slice array, normal form */
	CONF_SERVERS,  /* const char * array */
	CONF_PATTERNS, /* struct conf_pattern array */
	CONF_FIELDS,   /* struct slice array, names of header fields */
	CONF_SECTIONS, /* an array with an object for each section of that name */
};

struct conf_word {
	const char *word;
	unsigned value; /* of the enum; not used for CONF_CHOICE */
};

struct conf_setting {
	const char *group; /* heading above it; NULL: that of the row before */
	const char *name;
	enum conf_kind kind;
	const char *value; /* default: a word or text; of a list, its items with ", " between */
	uint64_t number, min, max;     /* numeric kinds: default (ms or bytes) and range */
	const struct conf_word *words; /* WORD, CHOICE; ends with a NULL word */
	uint32_t unit_ms;	       /* DURATION: what the field counts in */
	size_t offset, count_offset;   /* in struct conf, or in the object of the section */
	bool required;		       /* of what stands in a section: it must be given */
	/* SECTIONS: what may stand in one, its object, and where its title goes: a struct slice;
	 * with below_offset a domain pattern, whose "*." goes there. */
	const struct conf_setting *options;
	size_t option_count, object_size, title_offset, below_offset;
	const char *example; /* SECTIONS: lines for the sample */
	const char *text;    /* for people; plain ASCII, one paragraph */
};

extern const struct conf_setting conf_settings[];
extern const size_t conf_setting_count;

/* A list in the file, { "a", "b" }; sections are none. */
bool conf_setting_is_list(const struct conf_setting *s);

/* What the file may say, as one phrase: "a number from 1 to 10". Arena text. */
const char *conf_setting_allowed(struct arena *a, const struct conf_setting *s);

/* The default as the file would say it, quotes and braces included. Arena text; "" for
 * CONF_SECTIONS.
 */
const char *conf_setting_default(struct arena *a, const struct conf_setting *s);

#endif
