/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * report_fill FILE AT DOMAINS ROWS COUNT [RUA [ANSWERS]]: put rows for reports into a store, as
 * assayd does: for each of d1.example, d2.example, ... so many rows of COUNT messages each that
 * passed, at the Unix time AT. rua: mailto:rua@dN.example, or RUA. ANSWERS of COUNT were reports.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/base/num.h"
#include "report/store.h"

#define DAY_S 86400

static void
die(const char *what, const char *why)
{
	(void)fprintf(stderr, "report_fill: %s: %s\n", what, why);
	exit(1);
}

static uint32_t
number(const char *text)
{
	uint32_t n;

	if (num_u32(slice_str(text), 0, UINT32_MAX, &n) != 0)
		die(text, "not a number");
	return n;
}

static void
fill_domain(struct store *s, const char *domain, const char *rua, const char *const *argv)
{
	const struct report_policy policy = { .domain = slice_str(domain),
		.discovery = DMARC_TREEWALK,
		.p = DMARC_P_REJECT,
		.fo = SLICE("0"),
		.rua = slice_str(rua) };
	uint32_t rows = number(argv[4]);
	const char *error = "?";

	for (uint32_t i = 0; i < rows; i++) {
		struct report_row row = { .disposition = REPORT_D_PASS,
			.dkim_aligned = true,
			.header_from = slice_str(domain),
			.envelope_from = slice_str(domain),
			.count = number(argv[5]),
			.answers = argv[6] != NULL && argv[7] != NULL ? number(argv[7]) : 0 };
		char ip[32];

		(void)snprintf(ip, sizeof(ip), "10.%u.%u.%u", i >> 16 & 255, i >> 8 & 255, i & 255);
		if (ip_parse(slice_str(ip), &row.source) != 0 ||
		    store_append(s, &policy, &row, number(argv[2]), DAY_S, &error) != 0)
			die(argv[1], error);
	}
}

int
main(int argc, char **argv)
{
	const char *error = "?";
	char *why = NULL;
	struct db *db;
	struct store *s;

	if (argc < 6 || argc > 8)
		die("usage", "FILE AT DOMAINS ROWS COUNT [RUA [ANSWERS]]");
	db = db_open_sqlite(argv[1], 5000, &why);
	if (db == NULL)
		die(argv[1], why);
	s = store_open(db, &error);
	if (s == NULL || store_begin(s, &error) != 0)
		die(argv[1], error);
	for (uint32_t i = 1; i <= number(argv[3]); i++) {
		char domain[64], rua[128];

		(void)snprintf(domain, sizeof(domain), "d%u.example", i);
		(void)snprintf(rua, sizeof(rua), "mailto:rua@%s", domain);
		fill_domain(s, domain, argc > 6 && argv[6][0] != '\0' ? argv[6] : rua,
		    (const char *const *)argv);
	}
	if (store_commit(s, &error) != 0)
		die(argv[1], error);
	store_close(&s);
	db_close(&db);
	return 0;
}
